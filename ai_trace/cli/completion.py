"""`ai-trace completion`: a script for the shell, made from the commands' own options, so it cannot fall behind."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING, Final, NamedTuple

from .output import Output

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Print a script that lets the shell complete commands, options and the names of sessions."
EXAMPLES = """
examples:
  source <(ai-trace completion bash)                   now, in this bash; put it into ~/.bashrc to stay
  ai-trace completion zsh > "${fpath[1]}/_ai-trace"    or, after compinit: source <(ai-trace completion zsh)
  ai-trace completion fish > ~/.config/fish/completions/ai-trace.fish"""

_NAMES_AND_IDS: Final = (  # ids of two sessions are left out: they would be refused
    "ai-trace list -q 2>/dev/null | "
    r"sed -n 'p;s/.*_\([0-9]\{8\}_[0-9]\{6\}\)/\1/p' | sort | uniq -u"
)
_LIST: Final = "ai-trace list -q 2>/dev/null"


class _Option(NamedTuple):
    names: list[str]
    help: str
    words: list[str]  # what its value may be, where that is known
    value: str  # what its value stands for in the help ("FILE"), or "" where it takes none


class _Command(NamedTuple):
    name: str
    help: str
    options: list[_Option]
    words: list[str]  # what may follow, where that is known
    takes: str  # "sessions", "files", or "" for neither


def arguments(parser: ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=sorted(_SCRIPTS), help="for which shell")


def run(args: Namespace, out: Output) -> int:
    """Print the script and return 0."""
    out.write(_SCRIPTS[args.shell](_commands(out)))
    return 0


def _commands(out: Output) -> list[_Command]:
    from . import COMMANDS, parser_of

    found = []
    for name, (room_name, text) in COMMANDS.items():
        parser = parser_of(out, name, "", "")
        importlib.import_module(f"{__package__}.{room_name}").arguments(parser)
        actions = parser._actions  # argparse has no other way to ask
        rest = [action for action in actions if not action.option_strings]
        words = [str(choice) for action in rest for choice in action.choices or ()]
        options = [_option(action) for action in actions if action.option_strings]
        found.append(_Command(name, text, options, words, _takes(rest)))
    return found


def _takes(rest: list[argparse.Action]) -> str:
    if any("session" in action.dest for action in rest):
        return "sessions"
    return "files" if any(action.dest in ("script", "paths") for action in rest) else ""


def _option(action: argparse.Action) -> _Option:
    words = [str(choice) for choice in action.choices] if action.choices else []
    value = "" if action.nargs == 0 else str(action.metavar or action.dest)
    return _Option(list(action.option_strings), (action.help or "").replace("%%", "%"), words, value)


def _shared(commands: list[_Command]) -> list[_Option]:
    """The options that may also stand before the command: those that all commands have."""
    return [option for option in commands[0].options if all(option in one.options for one in commands)]


# bash.


def _bash(commands: list[_Command]) -> str:
    cases = [f'        {one.name}) words="{" ".join(_bash_words(one))}" ;;' for one in commands]
    shared = [name for option in _shared(commands) for name in option.names]
    values = sorted({(name, " ".join(o.words)) for c in commands for o in c.options if o.words for name in o.names})
    choices = [f'        {name}) COMPREPLY=($(compgen -W "{words}" -- "$here")); return ;;' for name, words in values]
    return "\n".join([
        "# Completion of ai-trace for bash.",
        "_ai_trace() {",
        '    local here="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" word command="" words',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f'        case "$word" in {"|".join(c.name for c in commands)}) command="$word"; break ;; esac',
        "    done",
        '    case "$before" in', *choices,
        '        --dir) COMPREPLY=($(compgen -d -- "$here")); return ;;',
        "    esac",
        '    case "$command" in', *cases,
        f'        *) words="{" ".join([*(c.name for c in commands), *shared])}" ;;',
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$here"))',
        "}",
        "complete -o default -F _ai_trace ai-trace",
        "",
    ])  # fmt: skip


def _bash_words(one: _Command) -> list[str]:
    words = [*one.words, *(name for option in one.options for name in option.names)]
    return [*words, f"$({_NAMES_AND_IDS})", "latest"] if one.takes == "sessions" else words


# zsh.

_ZSH_SESSIONS: Final = '{compadd -- latest ${(f)"$(' + _LIST + ')"}}'
_ZSH_REST: Final = {"sessions": f"*:session:{_ZSH_SESSIONS}", "files": "*:file:_files", "": "*: : "}
_ZSH_VALUES: Final = {"FILE": "_files", "FILE|URL": "_files", "DIR": "_files -/", "A": _ZSH_SESSIONS, "B": _ZSH_SESSIONS}


def _zsh(commands: list[_Command]) -> str:
    before = [_zsh_option(option) for option in _shared(commands)]
    lines = ["#compdef ai-trace", "# Completion of ai-trace for zsh.", "_ai_trace() {", "  local -a commands=("]
    lines += ["    " + _quoted(f"{c.name}:{c.help}") for c in commands]
    lines += ["  )", f"  _arguments -C {' '.join(before)} '1:command:->command' '*::argument:->rest'"]
    lines += ["  case $state in", "    command) _describe command commands ;;", "    rest)", "      case $words[1] in"]
    for one in commands:
        rest = f"*:word:({' '.join(one.words)})" if one.words else _ZSH_REST[one.takes]
        lines.append(f"        {one.name}) _arguments {' '.join(map(_zsh_option, one.options))} {_quoted(rest)} ;;")
    lines += ["      esac ;;", "  esac", "}"]
    lines += ["# As a file on the fpath this is the function's own body; sourced, it announces the function."]
    return "\n".join([*lines, '[[ $funcstack[1] = _ai-trace ]] && _ai_trace "$@" || compdef _ai_trace ai-trace', ""])


def _zsh_option(option: _Option) -> str:
    text = option.help.replace("[", r"\[").replace("]", r"\]")
    value = f"({' '.join(option.words)})" if option.words else _ZSH_VALUES.get(option.value, " ")
    return " ".join(_quoted(f"{name}[{text}]{f':value:{value}' if option.value else ''}") for name in option.names)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


# fish.

_FISH_SESSIONS: Final = f"-x -a '({_LIST}) latest'"
_FISH_REST: Final = {"sessions": _FISH_SESSIONS, "files": "-F", "": ""}
_FISH_VALUES: Final = {
    "FILE": "-r -F", "FILE|URL": "-r -F", "DIR": "-x -a '(__fish_complete_directories)'",
    "A": _FISH_SESSIONS, "B": _FISH_SESSIONS,
}  # fmt: skip


def _fish(commands: list[_Command]) -> str:
    names = " ".join(c.name for c in commands)
    first = f"complete -c ai-trace -n 'not __fish_seen_subcommand_from {names}'"
    lines = ["# Completion of ai-trace for fish.", "complete -c ai-trace -f"]
    lines += [f"complete -c ai-trace {_fish_option(option)}" for option in _shared(commands)]
    for one in commands:
        lines.append(f"{first} -a {one.name} -d {_fish_quoted(one.help)}")
        seen = f"complete -c ai-trace -n '__fish_seen_subcommand_from {one.name}'"
        lines += [f"{seen} {_fish_option(option)}" for option in one.options if option not in _shared(commands)]
        rest = f"-x -a '{' '.join(one.words)}'" if one.words else _FISH_REST[one.takes]
        lines += [f"{seen} {rest}"] if rest else []
    return "\n".join([*lines, ""])


def _fish_option(option: _Option) -> str:
    flags = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
    value = f"-x -a '{' '.join(option.words)}'" if option.words else _FISH_VALUES.get(option.value, "-x")
    return f"{flags} {value if option.value else ''} -d {_fish_quoted(option.help)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", r"\'") + "'"


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}
