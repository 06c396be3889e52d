"""`ai-trace prune`: remove old sessions, or compress them. It says what it would do, and does it with --yes.

What a session is, what is spared, and how it is done safely is told in `prune.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .. import packed, safe
from ..folder import entry
from ..prune import Candidate, Rules, candidates, compress, plain_journals, remove
from ..render import words
from . import choose, options, table, times
from .output import CYAN, YELLOW, Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Remove old sessions, or compress them. Only says what it would do, until told --yes."
EXAMPLES = """
examples:
  ai-trace prune --older 30d                 what is older than thirty days
  ai-trace prune --older 30d --yes           remove it
  ai-trace prune --keep 100 --max-size 2GB   all but the last hundred, and 2 GB in all
  ai-trace prune --compress --older 1d --yes
                                             .jsonl.gz, which every command reads as it stands

a session goes whole, and by the time of its last change; none that runs or may run;
no link, and no file that is not ours; a limit of 0 is no limit
keys of --json: done, action (remove, compress), sessions[]: session, state, changed_at
  (seconds since 1970), size (bytes), reason, stays (why, or null), files
"""

_SHOWN: Final = 40  # rows of the table


def arguments(parser: ArgumentParser) -> None:
    """The options of `prune`."""
    add = parser.add_argument
    add("--older", type=options.span, metavar="AGE", help="sessions last changed longer ago than AGE: 12h, 30d, 8w")
    add("--keep", type=options.count, metavar="N", help="all but the last N sessions")
    add("--max-size", type=options.size, metavar="SIZE",
        help="the oldest, until all sessions together have no more than SIZE: 500MB, 2GB, 1.5GiB")  # fmt: skip
    add("--agent", metavar="NAME", help="only sessions of the agent NAME; the others do not count")
    add("--compress", action="store_true",
        help="compress them instead; without a limit: every session that is over")  # fmt: skip
    add("--dry-run", action="store_true", help="only say what would be done (the default)")
    add("--yes", action="store_true", help="do it")
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Say what goes, or do it; 1 where something that should go could not."""
    limits = (args.older, args.keep, args.max_size)
    if limits == (None, None, None) and not args.compress:
        raise Stop("say what may go: --older 30d, --keep 100 or --max-size 2GB", 2)
    rules = None if limits == (None, None, None) else Rules(args.older or 0, args.keep or 0, args.max_size or 0)
    known = choose.entries(args.dir)
    chosen = [one for one in known if args.agent is None or one.agent == args.agent]
    named = candidates(chosen, rules, times.now())
    if args.compress:
        named = [one for one in named if plain_journals(one.entry)]
    do_it = args.yes and not args.dry_run
    if not args.json:
        _table(named, out)
    failed = _act(named, args.compress, out) if do_it else {}
    if args.json:
        out.one_json(_document(named, failed, args.compress, do_it))
    else:
        _conclude(named, failed, args.compress, do_it, out)
    return 1 if any(named[place].spared == "" for place in failed) else 0


def _act(named: Sequence[Candidate], packing: bool, out: Output) -> dict[int, str]:
    """Do it; place among *named* -> why that one stays."""
    failed = {}
    for place, one in enumerate(named):
        if one.spared:
            continue
        try:
            why = (compress if packing else remove)(one, times.now())
        except OSError as error:
            why = f"{error.filename or one.entry.name}: {error.strerror}" if error.strerror else str(error)
        if why:
            failed[place] = why
            out.message(f"{one.entry.name} stays: {why}")
    return failed


def _document(named: Sequence[Candidate], failed: dict[int, str], packing: bool, done: bool) -> dict[str, Any]:
    rows = [
        {
            "session": one.entry.name,
            "state": one.state,
            "changed_at": one.entry.modified,
            "size": one.size,
            "reason": one.reason,
            "stays": one.spared or failed.get(place),
            "files": plain_journals(one.entry) if packing else one.files,
        }
        for place, one in enumerate(named)
    ]
    return {"done": done, "action": "compress" if packing else "remove", "sessions": rows}


def _table(named: Sequence[Candidate], out: Output) -> None:
    if not named:
        return
    now = times.now()
    rows = [
        (
            out.paint(safe.terminal(one.entry.name), CYAN),
            times.ago(one.entry.modified, now),
            words.size(one.size),
            out.paint(f"stays: {safe.terminal(one.spared)}", YELLOW) if one.spared else safe.terminal(one.reason),
        )
        for one in named[:_SHOWN]
    ]
    table.write(out, ("SESSION", "CHANGED", "SIZE", "WHY"), rows, right=(2,))
    if len(named) > _SHOWN:
        out.line(f"and {len(named) - _SHOWN:,} more")


def _conclude(
    named: Sequence[Candidate], failed: dict[int, str], packing: bool, done: bool, out: Output
) -> None:
    going = [one for place, one in enumerate(named) if not one.spared and place not in failed]
    if not going:
        out.message("nothing to do")
        return
    verb = "compressed" if packing else "removed"
    sum_of = f"{words.plural(len(going), 'session')}, {words.size(sum(one.size for one in going))}"
    if done:
        smaller = f", now {words.size(_packed_size(going))}" if packing else ""
        out.message(f"{verb} {sum_of}{smaller}")
    else:
        out.message(f"{sum_of}, would be {verb}; nothing was done: add --yes to do it")


def _packed_size(going: Sequence[Candidate]) -> int:
    return sum(entry(packed.stem(one.entry.path)).size for one in going)
