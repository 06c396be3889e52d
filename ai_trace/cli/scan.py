"""`ai-trace scan`: are there secrets in what is already stored? What and where, never the secret itself.

Takes files and folders of any kind: ours, other JSONL or JSON, logs, text. The rules are those by which the
recorder masks (`redact.py`); how files are taken apart is in `leaks.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from .. import safe
from . import choose
from .output import BOLD, DIM, Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..leaks import Leak

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Look for secrets in stored files; say what and where they are, never show them."
EXAMPLES = """
examples:
  ai-trace scan                     the trace folder
  ai-trace scan logs/ prompts.jsonl .env
  git diff | ai-trace scan -        what stands in standard input
  ai-trace scan --json | jq '.totals'

exit code 1 where a secret was found, or a file could not be read
a line of the output: FILE:LINE, the byte where the value begins, what it is, the keys to it
keys of --json: leaks[]: path, line, byte, rule ("by name", else the kind of key), what,
  where, times; totals[]: rule, what, times; skipped[]: path, reason"""


def arguments(parser: ArgumentParser) -> None:
    """The options of `scan`."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="files and folders, '-' for standard input (default: the trace folder)")
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Look, and return 0 where nothing was found, 1 where something was or a file refused."""
    if not args.paths and not os.path.isdir(args.dir):
        raise Stop(choose.missing(args.dir))
    with choose.picked("-", args.dir) if "-" in args.paths else nullcontext() as copy:
        search = _Search(args.paths or [args.dir], "" if copy is None or isinstance(copy, str) else copy.path)
        _show(search, args, out)
    return 1 if search.found or search.failed else 0


def _show(search: _Search, args: Namespace, out: Output) -> None:
    if args.json:
        # Each part is asked for when the one before it has been written: the totals come behind the leaks.
        out.one_json({"leaks": map(_facts, search), "totals": search.rows(), "skipped": search.passed_over()})
    else:
        for leak in search:
            out.line(_row(leak, out))
        _sum_up(search, out)


class _Search:
    """The leaks in *paths*, found as they are asked for; the counts are those so far.

    A file that is met twice counts once. *copy* holds what standard input ("-" among *paths*) held.
    """

    def __init__(self, paths: list[str], copy: str = "") -> None:
        self._paths = [copy if path == "-" else path for path in paths]
        self._copy = copy
        self.files = self.found = 0
        self.failed = False
        self.totals: dict[str, int] = {}
        self.skipped: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[Leak]:
        from .. import leaks
        from ..redact import Redactor

        redactor = Redactor()
        met: set[str] = set()
        for place in leaks.files(self._paths):
            path = "-" if self._copy and place == self._copy else place
            if (real := os.path.realpath(place)) in met:
                continue
            met.add(real)
            try:
                reason = leaks.unreadable(place)
                if reason:
                    self.skipped.append((path, reason))
                    continue
                for leak in leaks.leaks(place, redactor):
                    self.totals[leak.rule] = self.totals.get(leak.rule, 0) + leak.times
                    self.found += leak.times
                    yield leak._replace(path=path)
                self.files += 1
            except OSError as error:
                self.failed = True
                self.skipped.append((path, f"it cannot be read ({error.strerror or error})"))

    def rows(self) -> Iterator[dict[str, Any]]:
        """How many of each kind, the most frequent first."""
        for rule, times in sorted(self.totals.items(), key=lambda item: -item[1]):
            yield {"rule": rule, "what": _what(rule), "times": times}

    def passed_over(self) -> Iterator[dict[str, str]]:
        """The files that were not looked into, and why."""
        for path, reason in self.skipped:
            yield {"path": path, "reason": reason}


def _what(rule: str) -> str:
    from ..redact import DEFAULT_RULES

    by_name = "a value under a secret's name"
    return next((shape.what for shape in DEFAULT_RULES.shapes if shape.name == rule), by_name)


def _facts(leak: Leak) -> dict[str, Any]:
    return {**leak._asdict(), "what": _what(leak.rule)}


def _row(leak: Leak, out: Output) -> str:
    place = f"{safe.terminal(leak.path)}:{leak.line}"
    times = f" ({leak.times} times)" if leak.times > 1 else ""
    where = f" at {safe.shorten(safe.one_line(leak.where), 80, out.ellipsis)}" if leak.where else ""
    byte = out.paint(f"byte {leak.byte:,}", DIM)
    return f"{out.paint(place, BOLD)}  {byte}  {_what(leak.rule)}{times}{where}"


def _sum_up(search: _Search, out: Output) -> None:
    if search.found:
        rows = [f"{row['times']:,} {row['what']}" for row in search.rows()]
        out.message(f"{_count(search.found, 'secret')} in {_count(search.files, 'file')}:", rows)
    else:
        out.message(f"no secret found in {_count(search.files, 'file')}")
    if search.skipped:
        rows = [f"{path}: {reason}" for path, reason in search.skipped[:20]]
        rows += [f"and {len(search.skipped) - 20:,} more"] if len(search.skipped) > 20 else []
        out.message(f"{_count(len(search.skipped), 'file')} not looked into:", rows)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
