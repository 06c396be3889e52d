"""`ai-trace completion`: a script for the shell, made from the commands' own options, so it cannot fall behind."""

from __future__ import annotations

import argparse
import importlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from .options import Parser
from .output import Output

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Print a script that lets the shell complete commands, options and the names of sessions."
EXAMPLES = """
examples:
  source <(ai-trace completion bash)                   now, in this bash; put it into ~/.bashrc to stay
  ai-trace completion zsh > "${fpath[1]}/_ai-trace"
  ai-trace completion fish > ~/.config/fish/completions/ai-trace.fish"""

_NAMES_AND_IDS: Final = (  # ids of two sessions are left out: they would be refused
    "ai-trace list -q 2>/dev/null | "
    r"sed -n 'p;s/.*_\([0-9]\{8\}_[0-9]\{6\}\)/\1/p' | sort | uniq -u"
)
_SHARED: Final = ("--dir", "--color", "--help", "--version")


class _Option(NamedTuple):
    names: list[str]
    help: str
    choices: list[str]
    takes_value: bool


class _Command(NamedTuple):
    name: str
    help: str
    options: list[_Option]
    takes_session: bool


def arguments(parser: ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=sorted(_SCRIPTS), help="for which shell")


def run(args: Namespace, out: Output) -> int:
    """Print the script and return 0."""
    out.write(_SCRIPTS[args.shell](_commands(out)))
    return 0


def _commands(out: Output) -> list[_Command]:
    from . import COMMANDS

    found = []
    for name, (room_name, text) in COMMANDS.items():
        room = importlib.import_module(f"{__package__}.{room_name}")
        parser = Parser(out, name, "", "")
        room.arguments(parser)
        actions = parser._actions  # argparse has no other way to ask
        sessions = any(not a.option_strings and "session" in a.dest for a in actions)
        found.append(_Command(name, text, [_option(a) for a in actions if a.option_strings], sessions))
    return found


def _option(action: argparse.Action) -> _Option:
    words = [str(choice) for choice in action.choices] if action.choices else []
    return _Option(list(action.option_strings), (action.help or "").replace("%%", "%"), words, action.nargs != 0)


def _bash(commands: list[_Command]) -> str:
    cases = []
    for one in commands:
        words = " ".join(name for option in one.options for name in option.names)
        sessions = f" $({_NAMES_AND_IDS}) latest" if one.takes_session else ""
        cases.append(f'        {one.name}) words="{words} {" ".join(_SHARED)}{sessions}" ;;')
    values = sorted({(name, " ".join(o.choices)) for c in commands for o in c.options if o.choices for name in o.names})
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
        f'        *) words="{" ".join(c.name for c in commands)} {" ".join(_SHARED)}" ;;',
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$here"))',
        "}",
        "complete -o default -F _ai_trace ai-trace",
        "",
    ])  # fmt: skip


def _zsh(commands: list[_Command]) -> str:
    lines = ["#compdef ai-trace", "# Completion of ai-trace for zsh.", "_ai_trace() {", "  local -a commands=("]
    lines += [f"    {_quoted(f'{c.name}:{_plain(c.help)}')}" for c in commands]
    lines += ["  )", "  _arguments -C '1:command:->command' '*::argument:->rest'", "  case $state in"]
    lines += ["    command) _describe command commands ;;", "    rest)", "      case $words[1] in"]
    for one in commands:
        options = [
            _quoted(f"{name}[{_plain(option.help)}]{_zsh_value(option)}") for option in one.options for name in option.names
        ]
        rest = "'*:session:{compadd -- latest ${(f)\"$(ai-trace list -q 2>/dev/null)\"}}'" if one.takes_session else ""
        lines.append(f"        {one.name}) _arguments {' '.join([*options, rest or _quoted('*:file:_files')])} ;;")
    return "\n".join([*lines, "      esac ;;", "  esac", "}", '_ai_trace "$@"', ""])


def _zsh_value(option: _Option) -> str:
    if option.choices:
        return f":value:({' '.join(option.choices)})"
    return ":value: " if option.takes_value else ""


def _fish(commands: list[_Command]) -> str:
    names = " ".join(c.name for c in commands)
    lines = ["# Completion of ai-trace for fish.", "complete -c ai-trace -f"]
    for one in commands:
        lines.append(
            f"complete -c ai-trace -n 'not __fish_seen_subcommand_from {names}' -a {one.name} -d {_quoted(_plain(one.help))}"
        )
        seen = f"complete -c ai-trace -n '__fish_seen_subcommand_from {one.name}'"
        for option in one.options:
            flags = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r" if option.takes_value else ""
            lines.append(f"{seen} {flags}{value} -d {_quoted(_plain(option.help))}")
        if one.takes_session:
            lines.append(f"{seen} -a '(ai-trace list -q 2>/dev/null) latest'")
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """A help text without the signs that mean something to a shell's completion."""
    return re.sub(r"[\[\]:'\"`$\\]", "", text).strip()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "") + "'"


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}
