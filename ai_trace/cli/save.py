"""`ai-trace save`: the snapshots of a session whose own process could not write them.

The JSON snapshot and the Markdown postmortem, beside the journal, each whole or absent; those are ours to
replace. A file that `-o` names is the user's: it is not overwritten without `--force`.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from .. import folder, packed, safe, snapshot
from ..exceptions import TraceError
from . import choose
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..session import Session

__all__ = ["HELP", "EXAMPLES", "arguments", "refuse", "run"]

_LOOKED_AT = 20  # earlier runs among which the last good one is sought
_LARGEST = 64 * 1024 * 1024  # bytes; a larger run is not compared with

HELP = "Write the JSON snapshot and the Markdown postmortem of a session, and print their paths."
EXAMPLES = """
examples:
  ai-trace save                        of the newest session, both, beside the journal
  ai-trace save 20260301 --md -o report.md
  ai-trace save latest --json -o - | jq .totals

Beside the journal, <agent>_<session>.json and .md are written anew each time: they say what the journal says.
A FILE of your own (-o) is not overwritten without --force."""


def arguments(parser: ArgumentParser) -> None:
    """The options of `save`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    add("--md", action="store_true", help="the postmortem in Markdown")
    add("--json", action="store_true", help="the snapshot in JSON (default: both)")
    add("-o", "--output", metavar="FILE", help="write one of them to FILE, '-' for standard output")
    add("--force", action="store_true", help="let -o overwrite FILE")


def run(args: Namespace, out: Output) -> int:
    """Write and return 0; 1 where there is no such session, or the file cannot be written."""
    forms = [form for form in ("json", "md") if getattr(args, form)]
    if args.output is not None:
        forms = [_one_form(forms, args.output)]
    elif args.session == "-":
        raise Stop("a session from standard input has no folder of its own; name a file with -o FILE", 2)
    with choose.picked(args.session, args.dir) as source:
        session = folder.load(source)
        if session.state == "running":
            out.message(
                f"{safe.one_line(session.agent)} {session.id} is still running; this is how far it is now"
            )
        if args.output == "-":
            markdown = forms[0] == "md"
            form = snapshot.FORMS[forms[0]]
            for piece in snapshot.to_markdown(session, _last_good(session)) if markdown else form(session):
                out.write(piece)
        elif args.output is not None:
            refuse(args.output, args.force)
            _write(session, args.output, forms[0], out)
        else:
            _beside(session, forms, out)
    return 0


def _one_form(forms: list[str], path: str) -> str:
    """The form of a single file: the one asked for, else as its suffix says."""
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    if not forms and suffix in snapshot.FORMS:
        return suffix
    if len(forms) != 1:
        raise Stop("-o takes one form: say --md or --json", 2)
    return forms[0]


def refuse(path: str, force: bool) -> None:
    """Stop where *path* is a folder, lies in none, or is there already and *force* is not said."""
    if os.path.isdir(path):
        raise Stop(f"{path} is a folder; name a file in it")
    if os.path.lexists(path) and not force:
        raise Stop(f"{path} is there already; --force overwrites it")
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise Stop(f"there is no folder {parent}")


def _beside(session: Session, forms: list[str], out: Output) -> None:
    stem = packed.stem(session.paths[0])
    for form in forms or ("json", "md"):
        path = f"{stem}.{form}"
        if path not in session.paths:
            _write(session, path, form, out)
        elif forms:
            raise Stop(f"{path} is the session's only record; name another file with -o FILE")


def _write(session: Session, path: str, form: str, out: Output) -> None:
    made = snapshot.write(session, path, form, _last_good(session) if form == "md" else None)
    out.line(safe.terminal(path if made == os.path.abspath(path) else made))


def _last_good(session: Session) -> Session | None:
    """The last run of the same agent before *session*, in its folder, that went to its end without any failure."""
    place = os.path.dirname(session.paths[0]) or "." if session.paths else ""
    known = folder.sessions(place) if place else []
    ours = next((at for at, entry in enumerate(known) if session.paths[0] in entry.paths), len(known))
    earlier = (entry for entry in known[ours + 1 :] if entry.size <= _LARGEST)
    for entry in islice((entry for entry in earlier if entry.agent == session.agent), _LOOKED_AT):
        try:
            run = entry.load()
        except TraceError:
            continue
        whole = run.state == "ended" and not run.unfinished and run.stopped_in is None
        if whole and run.steps and not run.totals.errors:
            return run
    return None
