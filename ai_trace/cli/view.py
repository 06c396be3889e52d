"""`ai-trace view`: one session as a tree of what the agent saw and did.

The options choose steps alike for every form (tree, JSON, lines of JSON). In the tree a chosen step stands
in its place, below the names of the steps around it. Where no step fits the exit code is 1, as that of
grep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .. import folder, snapshot
from ..lines import kept_open
from ..render import terminal
from ..render.ink import Style
from ..session import Session, step_dict
from ..tree import walk
from . import choose, long, options, sieve, times
from . import steps as step_words
from .output import Output, Stop
from .pager import Paged

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..record import Record

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Show one session: the tree of its steps, what each saw, said and how it ended."
EXAMPLES = """
examples:
  ai-trace view                          the newest session
  ai-trace view @-1 --errors             what failed in the one before
  ai-trace view 20260301 --step 4f2a --full
  ai-trace view --name 'fetch*' --grep 'timeout|refused' -i
  ai-trace view --jsonl | jq .duration_ms
  ssh host cat run.jsonl | ai-trace view -

--json is one document in the form of the snapshot that 'save' writes, --jsonl
a step a line, --md the postmortem of the whole session

a session of more than some 50,000 steps is shown while it is read: its steps in
the order in which they ended, those inside one below it
"""

EXAMPLES += sieve.GRAMMAR

_LARGE: Final = 4 * 1024 * 1024  # bytes, from which on lines whose length fits are believed


def arguments(parser: ArgumentParser) -> None:
    """The options of `view`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    add("--step", metavar="STEP", help=f"only one step and those inside it; {step_words.HELP}")
    sieve.arguments(parser)
    add("--last", type=options.natural, metavar="N", help="only the last N of the steps chosen, by start")
    add("--depth", type=options.natural, metavar="N", help="only the outermost N levels")
    add("--full", action="store_true", help="show values, logs and tracebacks whole")
    add("--utc", action="store_true", help="times in UTC instead of local time")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument("--jsonl", action="store_true", help="a line of JSON for each step")
    form.add_argument("--md", action="store_true", help="the postmortem in Markdown")
    add("--no-pager", action="store_true", help="write to the terminal directly")


def run(args: Namespace, out: Output) -> int:
    """Show and return 0; 1 where there is no such session, or no such step."""
    with choose.picked(args.session, args.dir) as source:
        entry = folder.entry(source) if isinstance(source, str) else source
        if _is_long(entry, args):
            return _stream(entry, args, out)
        session = entry.load(check=entry.size < _LARGE)
        chosen = _chosen(session, args)
        if args.md and (chosen is not None or args.depth is not None):
            raise Stop("--md is the postmortem of the whole session; it takes no choice of steps", 2)
        if chosen is not None and not chosen:
            raise Stop("no step fits")
        with Paged(out, wanted=not args.no_pager), kept_open():
            _write(session, chosen, args, out)
    return 0


def _is_long(entry: folder.Entry, args: Namespace) -> bool:
    """Whether to show *entry* as it is read; a whole document, and a step by its place, need all of it."""
    packed = any(path.endswith(".gz") for path in entry.paths)  # its size says little
    if args.json or args.md or (entry.size < _LARGE and not packed):
        return False
    if args.step is not None and not re.fullmatch("[0-9a-f]{1,16}", args.step):
        return False
    from_the_end = args.last is not None and args.step is None and entry.size > 8 * _LARGE
    return from_the_end or long.steps_in(entry) > long.LONG


def _stream(entry: folder.Entry, args: Namespace, out: Output) -> int:
    shown = long.Long(entry, sieve.Sieve(args), args, out)
    if not shown.find():
        raise Stop("no step fits")
    with Paged(out, wanted=not args.no_pager), kept_open():
        if not shown.show():
            raise Stop("no step fits")
    return 0


def _write(session: Session, chosen: list[Record] | None, args: Namespace, out: Output) -> None:
    if args.json or args.jsonl:
        steps = _plain(_in_depth(session, chosen, args.depth))
        if args.json:
            out.one_json({**session.head_dict(), "steps": steps})
        else:
            for step in steps:
                out.json_line(step)
    elif args.md:
        for piece in snapshot.to_markdown(session):
            out.write(piece)
    else:
        keep = None if chosen is None else set(chosen).__contains__
        style = Style(color=out.color, unicode=not out.ascii, width=out.width, full=args.full, utc=args.utc)
        for line in terminal.session(session, style, now=times.now(), keep=keep, depth=args.depth):
            out.line(line)


def _chosen(session: Session, args: Namespace) -> list[Record] | None:
    """The steps that were asked for, by start; None for all of them."""
    wanted = sieve.Sieve(args)
    if wanted.idle and args.step is None and args.last is None:
        return None
    steps = session.steps if args.step is None else _inside(session, args.step)
    found = []
    for step in steps:
        if wanted(step):
            found.append(step)
        step.shed()
    return found if args.last is None else found[-args.last :]


def _inside(session: Session, word: str) -> list[Record]:
    """The step that *word* means and those inside it."""
    return [node.record for node in walk([session.node(step_words.pick(session, word))])]


def _in_depth(session: Session, chosen: list[Record] | None, depth: int | None) -> Iterator[Record]:
    for step in session.steps if chosen is None else chosen:
        if depth is None or session.node(step).depth < depth:
            yield step


def _plain(steps: Iterator[Record]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step_dict(step)
        step.shed()
