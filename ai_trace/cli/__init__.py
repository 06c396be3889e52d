"""The command line: `ai-trace` and `python -m ai_trace`.

`main` finds the command word, imports that command's file alone, and turns what happens into an exit code:
0 done, 1 not found or failed, 2 wrong usage, 130 stopped by Ctrl-C, 141 nobody reads the output any more.
Data goes to standard output, messages go to standard error, and no trouble of a terminal, a pipe or a file
ends in a Python traceback.

The options of every command (`--dir`, `--color`, `-h`, `-V`) may stand before or after the command word.
A command is a file with `HELP`, `EXAMPLES`, `arguments(parser)` and `run(args, out) -> int`.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import TraceError
from ..record import VERSION
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["main"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "list": ("listing", "the sessions of a folder, newest first"),
        "view": ("view", "one session as a tree: what the agent saw and did"),
        "at": ("at", "what a step knew: where each value came from, and how old it was"),
        "diff": ("diff", "two runs compared: the first divergence, and all that differs"),
        "report": ("report", "write a session, or two compared, as one HTML page"),
        "serve": ("serve", "the folder in a browser, live while sessions run"),
        "tail": ("tail", "the last steps, then each step and log as it happens"),
        "stats": ("stats", "counts, error rates, durations, tokens and cost"),
        "grep": ("grep", "the steps that hold a text, in one, some or all sessions"),
        "run": ("run", "run a program with its calls to models and servers recorded"),
        "save": ("save", "write the snapshot and the postmortem of a session"),
        "export": ("export", "write a session for other tools: OpenTelemetry, Perfetto, CSV, SQLite"),
        "verify": ("verify", "every line checked: damage, edits, seals"),
        "repair": ("repair", "a clean copy of a damaged session, beside it"),
        "doctor": ("doctor", "can this machine record here, and what is wrong"),
        "completion": ("completion", "a completion script for bash, zsh or fish"),
        "prune": ("prune", "remove old sessions, or compress them; only says what, until told --yes"),
        "scan": ("scan", "secrets in what is already stored: where they are, never what they are"),
    }
)

_GROUPS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "look": ("list", "view", "tail", "stats", "grep"),
        "find out why": ("at", "diff", "report", "serve"),
        "keep and hand on": ("save", "export"),
        "take care": ("verify", "repair", "scan", "prune"),
        "record and set up": ("run", "doctor", "completion"),
    }
)
_WITH_VALUE = ("--dir", "--color")  # options that may stand before the command and take the next word
_FAREWELL = """
The folder is --dir, else the environment variable AI_TRACE_DIR, else "traces".
Run 'ai-trace COMMAND --help' for the options and examples of one command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (without the program's name) and return its exit code."""
    try:
        return _run(argv)
    except KeyboardInterrupt:  # while another end was being told, or before there was anything to tell it with
        return 130


def _run(argv: Sequence[str] | None) -> int:
    out = Output()
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv), out)
        out.flush()
        return code
    except KeyboardInterrupt:
        out.reset()
        return 130
    except BrokenPipeError:
        return 141
    except Stop as stop:
        out.message(str(stop), stop.rows)
        return stop.code
    except TraceError as error:
        out.message(str(error))
        return 1
    except OSError as error:
        out.message(_sentence(error))
        return 1
    finally:
        out.detach()


def _dispatch(argv: list[str], out: Output) -> int:
    before, command, after = _split(argv)
    if command == "help":
        before, command, after = [], (after or [None])[0], ["--help"]  # type: ignore[list-item]
    try:
        if command is None:
            return _without_command(before + after, out)
        if command not in COMMANDS:
            raise Stop(_unknown(command), 2)
        room = importlib.import_module(f"{__name__}.{COMMANDS[command][0]}")
        parser = parser_of(out, f"ai-trace {command}", room.HELP, room.EXAMPLES)
        room.arguments(parser)
        args = parser.parse_args(before + after)
    except SystemExit as leave:  # argparse has said what it had to say
        return leave.code if isinstance(leave.code, int) else 2
    out.choose_color(args.color)
    with nullcontext() if command == "run" else _seldom_collected():  # what a program of others wants is its own
        done: int = room.run(args, out)
    return done


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """While the block runs, the collector of cycles looks less often: over ten thousand sessions, of which nearly
    all is kept and nothing is a cycle, its looking was a quarter of the time."""
    if not hasattr(gc, "set_threshold"):  # PyPy
        yield
        return
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _split(argv: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The options before the command word, the word (None where there is none), and all that follows it."""
    at = 0
    while at < len(argv):
        word = argv[at]
        if word in _WITH_VALUE:
            at += 2
        elif word.startswith("-") and word != "-":
            at += 1
        else:
            return argv[:at], word, argv[at + 1 :]
    return argv, None, []


def _without_command(argv: list[str], out: Output) -> int:
    """`ai-trace -h`, `-V`, and `ai-trace` alone: the help, as an error where it was not asked for."""
    wide = max(map(len, COMMANDS))
    rows = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<{wide}}  {COMMANDS[name][1]}" for name in names)])
        for title, names in _GROUPS.items()
    )
    parser = parser_of(
        out, "ai-trace", "The flight recorder for AI agents: see what an agent did.",
        f"{rows}\n{_FAREWELL}",
    )  # fmt: skip
    parser.usage = "ai-trace [-h] [-V] [--dir DIR] COMMAND ..."
    parser.parse_args(argv)
    out.error_text(parser.format_help())
    return 2


def parser_of(out: Output, prog: str, description: str, epilog: str) -> ArgumentParser:
    """A parser that knows the options of every command."""
    from .options import Parser

    parser = Parser(out, prog, description, epilog)
    parser.add_argument("-V", "--version", action="version", version=f"ai-trace {VERSION}")
    parser.add_argument("--dir", metavar="DIR", default=os.environ.get("AI_TRACE_DIR") or "traces",
                        help="folder of the traces (default: $AI_TRACE_DIR, else traces)")  # fmt: skip
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours: auto (on a terminal, unless NO_COLOR is set), always, never",
    )
    return parser


def _unknown(command: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(command, COMMANDS, n=1, cutoff=0.5)
    guess = f" Did you mean '{near[0]}'?" if near else f" The commands are {', '.join(COMMANDS)}."
    return f"there is no command '{command}'.{guess}"


def _sentence(error: OSError) -> str:
    """An error of the operating system as a sentence that names the file."""
    what: Any = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else str(what)
