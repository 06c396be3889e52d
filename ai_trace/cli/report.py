"""`ai-trace report`: a session as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .. import folder, packed, safe, snapshot, whole
from . import choose, times
from .output import Output, Stop
from .save import refuse

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..session import Session

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Write a session as one HTML page to look at, search and mail, and print its path."
EXAMPLES = """
examples:
  ai-trace report                   the newest session, beside its journal
  ai-trace report --open            and open it in the browser
  ai-trace report 20260301 -o run.html
  ai-trace report @-1 --diff latest    what the last run did otherwise than the one before"""


def arguments(parser: ArgumentParser) -> None:
    """The options of `report`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    add("-o", "--output", metavar="FILE", help="write to FILE, '-' for standard output (default: beside the journal)")
    add("--force", action="store_true", help="let -o overwrite FILE")
    add("--open", action="store_true", help="open the page in the browser")
    add("--diff", metavar="B", help="a page of what session B does otherwise than SESSION: <SESSION>.diff.<B>.html")


def run(args: Namespace, out: Output) -> int:
    """Write and return 0; 1 where there is no such session, or the file cannot be written."""
    if args.output == "-" and args.open:
        raise Stop("what goes to standard output cannot be opened in a browser; leave out --open", 2)
    if args.output is None and args.session == "-":
        raise Stop("a session from standard input has no folder of its own; name a file with -o FILE", 2)
    if args.session == args.diff == "-":
        raise Stop("only one session can come from standard input", 2)
    with choose.picked(args.session, args.dir) as source:
        session = folder.load(source)
        if args.diff is None:
            return _write(session.paths[0], "html", snapshot.to_html(session), args, out)
        with choose.picked(args.diff, args.dir) as other:
            b = folder.load(other)
            named = os.path.basename(packed.stem(b.paths[0]))
            return _write(session.paths[0], f"diff.{named}.html", _diff(session, b), args, out)


def _diff(a: Session, b: Session) -> Iterator[str]:
    from ..alignment import compare
    from ..render import html_diff

    return html_diff.page(a, b, compare(a, b), now=times.now())


def _write(journal: str, suffix: str, pieces: Iterable[str], args: Namespace, out: Output) -> int:
    if args.output == "-":
        for piece in pieces:
            out.write(piece)
        return 0
    if args.output is not None:
        refuse(args.output, args.force)
    path = whole.write(args.output or f"{packed.stem(journal)}.{suffix}", pieces)
    out.line(safe.terminal(path))
    if args.open:
        import webbrowser
        from pathlib import Path

        out.flush()
        webbrowser.open(Path(path).as_uri())
    return 0
