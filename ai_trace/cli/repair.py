"""`ai-trace repair`: a clean copy of a damaged or died session, beside it. The original is never touched.

What the copy keeps and changes is told in `repair.py`. A file that is there already is not overwritten
without `--force`; a session that is in order is not copied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import folder, safe
from . import choose
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..repair import Copy, Repair

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Write a clean copy of a damaged session beside it; the original is never touched."
EXAMPLES = """
examples:
  ai-trace repair latest --dry-run    what would be done
  ai-trace repair latest              writes <session>-repaired.jsonl and prints its path

whole steps are kept byte for byte, glued ones parted; steps that were open when the process
died are closed as cancelled; what is no step is left out, and listed on standard error"""

_SHOWN = 20  # damages and open steps told one by one


def arguments(parser: ArgumentParser) -> None:
    """The options of `repair`."""
    add = parser.add_argument
    add("session", metavar="SESSION", help=choose.STORED)
    add("--dry-run", action="store_true", help="say what would be done, and write nothing")
    add("--force", action="store_true", help="overwrite a copy that is there already")


def run(args: Namespace, out: Output) -> int:
    """Repair and return 0, also where there is nothing to repair; 1 where it cannot be done."""
    from .. import repair

    if args.session == "-":
        raise Stop("standard input has no folder to put a copy in; name a session or a file", 2)
    source = choose.choose(args.session, args.dir)
    planned = repair.plan(folder.entry(source) if isinstance(source, str) else source)
    if not any(copy.changes for copy in planned.copies):
        out.message(f"{planned.name} is in order ({_steps(_whole(planned))}); nothing to repair")
        return 0
    if not args.dry_run:
        _refuse(planned, args.force)
    for copy in planned.copies:
        for sentence in _said(copy):
            out.message(sentence)
    if not _whole(planned):
        raise Stop(f"there is no whole step in {planned.name}, so no copy")
    targets = [copy.target for copy in planned.copies if copy.steps]
    for target, made in zip(targets, targets if args.dry_run else planned.write()):
        out.line(safe.terminal(target if made == os.path.abspath(target) else made))
    if args.dry_run:
        out.message("nothing was written (--dry-run)")
    return 0


def _refuse(planned: Repair, force: bool) -> None:
    for copy in planned.copies:
        if os.path.isdir(copy.target):
            raise Stop(f"{copy.target} is a folder")
        if os.path.lexists(copy.target) and not force:
            raise Stop(f"{copy.target} is there already; --force overwrites it")


def _whole(planned: Repair) -> int:
    return sum(copy.steps for copy in planned.copies)


def _said(copy: Copy) -> Iterator[str]:
    """What the copy of one journal is, in sentences."""
    name = os.path.basename(copy.source)
    yield f"{name}: {_steps(copy.kept)} kept byte for byte"
    for count, what in (
        (copy.parted, "of the steps shared a line, and are parted"),
        (copy.tidied, "of the lines tidied (white space, line ends, blank lines)"),
        (copy.mended, "of the steps written anew (the line was edited, or was not strict JSON)"),
    ):
        if count:
            yield f"{name}: {count:,} {what}"
    for step in copy.closed[:_SHOWN]:
        yield f"{name}: closed as cancelled, still open in the black box: {safe.one_line(step)}"
    for damage in copy.damage[:_SHOWN]:
        yield f"{name}: left out, {damage.length:,} bytes at byte {damage.offset:,}: {damage.reason}"
    more = max(0, len(copy.closed) - _SHOWN) + max(0, len(copy.damage) - _SHOWN)
    if more:
        yield f"{name}: and {more:,} more"
    if copy.sealed:
        yield f"{name}: the seals stay as they are; only the original can prove anything"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"
