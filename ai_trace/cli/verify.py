"""`ai-trace verify`: is every line of what was recorded whole, as it was written, and sealed as it should be?

One row for a session; below it each finding with its file, place, length, reason, and how many whole steps
stand around it. The rules are in `verify.py`, and what seals prove in `seal.py`.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from .. import folder, safe
from ..render import words
from . import choose, options
from .output import BOLD, DIM, GREEN, RED, YELLOW, Output, Stop
from .progress import Progress

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..seal import Seal
    from ..verify import File, Finding, Report

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Check every line: damage, edits, and the seals where there are any."
EXAMPLES = """
examples:
  ai-trace verify                          every session of the folder
  ai-trace verify latest --head >> heads.txt      keep that file elsewhere
  ai-trace verify --expect "$(cat heads.txt)"     nothing up to there was changed or cut off
  ai-trace verify latest --key-file seal.key      sealed with this key, or not at all

exit code 1 where anything was found
without a key a seal shows changes by accident or by whoever did not seal anew;
a head kept elsewhere, or a key, shows the others
keys of --json: found, sessions[]: session, state, steps, sealed (sha256,
  hmac-sha256 or null), proved, found, files[]: path, size, steps, sealed (lines),
  head, found, findings[]: offset, length, line, reason, steps, steps_before,
  steps_after; expected[]: seal, path (null: nowhere), lines_after"""

_DEFAULT_ROWS: Final = 20  # findings of one file
_SEAL: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{72}(?![0-9a-f])")


def arguments(parser: ArgumentParser) -> None:
    """The options of `verify`."""
    add = parser.add_argument
    add(
        "sessions",
        nargs="*",
        metavar="SESSION",
        help=choose.MANY,
    )
    add("--head", action="store_true", help="print the last seal of each journal, to be kept elsewhere")
    add("--expect", action="append", default=[], metavar="HEAD",
        help="a seal that --head printed (or all of its output): some line must carry it")  # fmt: skip
    add("--key-file", metavar="FILE",
        help="the key of the seals; a newline at its end is no part of it")  # fmt: skip
    add("-n", type=options.count, default=_DEFAULT_ROWS, metavar="N",
        help=f"findings shown of each file, 0 for all (default: {_DEFAULT_ROWS})")  # fmt: skip
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Check; 0 where all is well, 1 where something was found or there is nothing to check."""
    from .. import verify

    if args.head and args.json:
        raise Stop("--head prints seals alone; the heads are in --json, too", 2)
    key, expect = _key(args.key_file), _seals(args.expect)
    reports = []
    with ExitStack() as stack:
        chosen = [stack.enter_context(choose.picked(word, args.dir)) for word in args.sessions]
        sources = [folder.entry(one) if isinstance(one, str) else one for one in chosen or choose.entries(args.dir)]
        for entry in sources:
            with Progress(entry.size) as progress:  # one for each: what was found of the last stands above it
                reports.append(verify.verify(entry, key, expect, progress.tick))
            for file in reports[-1].files:
                file.path = choose.told(entry, file.path)
            if not args.json:
                (_show_heads if args.head else _show)(reports[-1], args.n, out)
    if not reports:
        raise Stop(choose.missing(args.dir))
    places = [_place(seal, reports) for seal in expect]
    found = sum(report.found for report in reports) + sum(place["path"] is None for place in places)
    if args.json:
        sessions = (_facts(report) for report in reports)
        out.one_json({"found": found, "sessions": sessions, "expected": places})
    else:
        _show_places(places, out)
    none = args.head and not any(file.chain.head for report in reports for file in report.files)
    return 1 if found or none else 0


def _key(path: str | None) -> Seal | None:
    if path is None:
        return None
    from ..seal import Seal

    with open(path, "rb") as file:
        key = file.read()
    if not key.strip():
        raise Stop(f"the key file {path} is empty", 2)
    return Seal(key)


def _seals(texts: list[str]) -> list[str]:
    """The seals in what was given for --expect, each once."""
    for text in texts:
        if not _SEAL.search(text):
            shown = safe.shorten(safe.one_line(text), 80)
            raise Stop(f"'{shown}' holds no seal: 72 hex digits, as --head prints", 2)
    return list(dict.fromkeys(seal for text in texts for seal in _SEAL.findall(text)))


def _place(seal: str, reports: list[Report]) -> dict[str, Any]:
    """Where *seal* stands."""
    for report in reports:
        for file in report.files:
            if seal in file.expected:
                return {"seal": seal, "path": file.path, "lines_after": file.expected[seal]}
    return {"seal": seal, "path": None, "lines_after": None}


# For people.


def _show(report: Report, limit: int, out: Output) -> None:
    good = not report.found
    sign = ("*" if good else "x") if out.ascii else ("✔" if good else "✘")
    steps = f"{report.steps:,} step{'' if report.steps == 1 else 's'}"
    size = words.size(sum(file.size for file in report.files))
    row = [safe.terminal(report.state), steps, size, _sealed(report)]
    if report.found:
        row.append(out.paint(_findings(report.found), RED))
    name = out.paint(safe.terminal(report.name), BOLD)
    out.line(f"{out.paint(sign, GREEN if good else RED)} {name}  {', '.join(row)}")
    for file in report.files:
        _show_file(file, limit, out)


def _sealed(report: Report) -> str:
    if not report.sealed:
        return "not sealed"
    if not report.proved:
        return "sealed with a key: only the order was checked (--key-file)"
    if report.sealed == "sha256":
        return "sealed"
    return "sealed with a key" if report.found else "sealed with this key"


def _show_file(file: File, limit: int, out: Output) -> None:
    if not file.found:
        return
    out.line("    " + safe.terminal(file.path))
    shown = file.findings[:limit] if limit else file.findings
    for finding in shown:
        out.line(f"      {_sentence(finding, file, out)}")
    if len(shown) < file.found:
        out.line(out.paint(f"      and {file.found - len(shown):,} more", YELLOW))


def _sentence(finding: Finding, file: File, out: Output) -> str:
    line = f"line {finding.line:,}, " if finding.line else ""
    place = f"{line}byte {finding.offset:,}, {finding.length:,} bytes"
    around = f"{words.plural(finding.before, 'whole step')} before, {file.after(finding):,} after"
    return f"{place}: {safe.terminal(finding.reason)} {out.paint(f'({around})', DIM)}"


def _findings(count: int) -> str:
    return "1 finding" if count == 1 else f"{count:,} findings"


def _show_heads(report: Report, limit: int, out: Output) -> None:
    for file in report.files:
        if file.chain.head:
            out.line(f"{file.chain.head}  {safe.terminal(os.path.basename(file.path))}")
    if not report.sealed:
        out.message(f"{report.name} is not sealed: it has no head")
    if report.found:
        out.message(f"{report.name}: {_findings(report.found)}; 'ai-trace verify' shows them")


def _show_places(places: list[dict[str, Any]], out: Output) -> None:
    for place in places:
        seal = f"{place['seal'][:16]}{out.ellipsis}"
        if place["path"] is None:
            reason = "no line carries it: the end was cut off, or the journal was sealed anew"
            out.message(f"expected {seal}: {reason}")
        else:
            out.message(f"expected {seal}: found, with {place['lines_after']:,} lines after it")


# For programs.


def _facts(report: Report) -> dict[str, Any]:
    return {
        "session": report.name,
        "state": report.state,
        "steps": report.steps,
        "sealed": report.sealed or None,
        "proved": report.proved if report.sealed else None,
        "found": report.found,
        "files": [_file_facts(file) for file in report.files],
    }


def _file_facts(file: File) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "steps": file.steps,
        "sealed": file.chain.sealed,
        "head": file.chain.head or None,
        "found": file.found,
        "findings": [
            {
                "offset": finding.offset,
                "length": finding.length,
                "line": finding.line,
                "reason": finding.reason,
                "steps": finding.steps,
                "steps_before": finding.before,
                "steps_after": file.after(finding),
            }
            for finding in file.findings
        ],
    }
