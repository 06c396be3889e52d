"""`ai-trace list`: the sessions of a folder, newest first.

Only the sessions that are shown are read, and those as streams: the counts of a folder of large journals cost
time, never memory. A folder that does not exist holds no session, and that is no failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .. import safe
from ..record import Record, number
from ..render import words
from ..sniff import refusal
from . import choose, options, sieve, table, times
from .output import BOLD, CYAN, GREEN, RED, YELLOW, Output
from .progress import Progress
from .streams import Stream
from .survey import UNREADABLE, Survey, shown_state, surveys

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..folder import Entry
    from ..where import Where

__all__ = ["HELP", "EXAMPLES", "arguments", "facts_of", "run"]

HELP = "List the sessions of a folder, newest first."
EXAMPLES = """
examples:
  ai-trace list                             the newest sessions
  ai-trace list --state died --state failed --since 1d    what went wrong since yesterday
  ai-trace list -q -n 1                     the name of the newest
  ai-trace list --where 'price > 100'       with a step that saw such a price
  ai-trace list --json -n 5                 for a program

failed, cancelled: ended, and the last outermost step as an error, or cancelled
times (--since, --until): 10m, 2h, 3d (ago), 2026-03-01, 2026-03-01T17:30:00Z
keys of --json and --jsonl: session, agent, session_id, state, outcome
  (of the last outermost step), started_at (seconds since 1970), duration_ms, steps, unfinished, errors, damage,
  size (bytes), path; null is unknown
"""
EXAMPLES += sieve.GRAMMAR

_DEFAULT_ROWS: Final = 20  # of the table, so that the newest is still on the screen
_AGENT_COLUMNS: Final = (8, 32)  # at least, at most
_STATES: Final = {
    "running": ("●", "*", GREEN), "ended": ("○", "o", ""), "died": ("✘", "x", RED),
    "failed": ("✘", "x", RED), "cancelled": ("⊘", "/", YELLOW),
}  # fmt: skip
_BY_OUTCOME: Final = {"failed", "cancelled"}  # what only the steps tell


def arguments(parser: ArgumentParser) -> None:
    """The options of `list`."""
    add = parser.add_argument
    add("-n", type=options.count, metavar="N",
        help=f"at most N sessions, 0 for all (default: {_DEFAULT_ROWS} in the table, else all)")  # fmt: skip
    add("--since", type=options.moment, metavar="TIME", help="started at TIME or later")
    add("--until", type=options.moment, metavar="TIME", help="started at TIME or before")
    add("--agent", metavar="NAME", help="of the agent NAME alone")
    add("--state", action="append", choices=("running", "ended", "failed", "cancelled", "died", "unknown"),
        help="in this state alone; may be given again ('ended' holds 'failed' and 'cancelled')")  # fmt: skip
    sieve.where(parser, "with a step that")
    add("--utc", action="store_true", help="dates in UTC instead of '3 m ago'")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document, a list of objects")
    form.add_argument("--jsonl", action="store_true", help="a line of JSON for each session")
    form.add_argument("-q", "--quiet", action="store_true", help="names alone, one a line")


def run(args: Namespace, out: Output) -> int:
    """List and return 0, also where there is nothing to list; 1 where something could not be read."""
    known = choose.entries(args.dir)
    fit = [entry for entry in known if _wanted(entry, args)]
    for_people = not (args.json or args.jsonl or args.quiet)
    limit = args.n if args.n is not None else _DEFAULT_ROWS if for_people else 0
    refused: list[str] = []
    to_be_read = args.where is not None or bool(_BY_OUTCOME & set(args.state or ()))
    if to_be_read:  # no more of them than asked for, and one to know of more
        with Progress(sum(entry.size for entry in fit)) as progress, closing(_looked_into(fit, args, refused, progress)) as looked:
            fit = list(islice(looked, limit + 1 if limit else None))
    shown = fit[:limit] if limit else fit
    if args.quiet:
        for entry in shown:
            out.line(safe.terminal(entry.name))
    elif shown or not for_people:
        facts = _told(surveys(shown, args.dir, grouped=False), refused)
        _write(facts, _shared_ids(known), args, out)
        if for_people and len(shown) < len(fit):
            some = f"the newest {len(shown)} that fit" if to_be_read else f"{len(shown)} of {len(fit)} sessions"
            out.message(f"{some}; -n 0 shows all")
    else:
        out.message("no session fits" if known else choose.missing(args.dir))
    for sentence in refused:
        out.message(sentence)
    return 1 if refused else 0


def _told(found: Iterable[tuple[Entry, Survey]], refused: list[str]) -> Iterator[dict[str, Any]]:
    """What is said of each session; into *refused*, why some could not be read."""
    for entry, one in found:
        refused += one.refused
        yield _facts(entry, one)


def _shared_ids(known: list[Entry]) -> set[str]:
    """The ids of more than one session: agents that began in the same second."""
    return {id for id, times in Counter(entry.id for entry in known).items() if times > 1}


def _looked_into(
    fit: list[Entry], args: Namespace, refused: list[str], progress: Progress
) -> Generator[Entry, None, None]:
    """Those of *fit* whose steps are as asked for; into *refused*, why some could not be looked into."""
    states = set(args.state or ())
    if _BY_OUTCOME & states:
        found = surveys(fit, args.dir, grouped=False, tick=progress.tick)
        chosen = (entry for entry, one in found if {one.state, one.shown_state} & states)
    else:
        chosen = (entry for entry in fit)
    for entry in chosen:
        if args.where is None or _has_step(entry, args.where, refused, progress):
            yield entry


def _has_step(entry: Entry, where: Where, refused: list[str], progress: Progress) -> bool:
    try:
        return any(isinstance(item, Record) and where.matches(item) for item in Stream(entry, progress.tick))
    except FileNotFoundError:  # removed since it was listed
        return False
    except OSError as error:
        refused.append(f"{entry.path}: {refusal(error)}")
        return False


def _write(facts: Iterator[dict[str, Any]], shared: set[str], args: Namespace, out: Output) -> None:
    if args.json:
        out.one_json(facts)
    elif args.jsonl:
        for one in facts:
            out.json_line(one)
    else:
        _table(facts, shared, args.utc, out)


def _wanted(entry: Entry, args: Namespace) -> bool:
    started = entry.started_at
    return (
        (args.since is None or (started is not None and started >= args.since))
        and (args.until is None or (started is not None and started <= args.until))
        and (args.agent is None or entry.agent == args.agent)
        and (args.state is None or _may_be(entry.state, args.state))
    )


def _may_be(state: str, wanted: list[str]) -> bool:
    """Whether a session in *state* is one that is *wanted*, as far as its files tell without their steps."""
    return state in wanted or (state == "ended" and not _BY_OUTCOME.isdisjoint(wanted))


def facts_of(entries: Sequence[Entry], trace_dir: str) -> Iterator[dict[str, Any]]:
    """What `list` says of each of *entries*, and `shown_state`, its state in a word for people."""
    for entry, found in surveys(entries, trace_dir, grouped=False):
        yield {**_facts(entry, found), "shown_state": found.shown_state}


def _facts(entry: Entry, found: Survey) -> dict[str, Any]:
    counted = found.census
    started = _earliest(entry, found)
    return {
        "session": entry.name,
        "agent": found.agent,
        "session_id": entry.id,
        "state": found.state,
        "outcome": found.outcome,
        "started_at": started,
        "duration_ms": _duration_ms(started, found),
        "steps": None if found.refused else counted.steps,
        "unfinished": len(found.open),
        "errors": None if found.refused else counted.errors,
        "damage": None if found.refused else counted.damage,
        "size": entry.size,
        "path": entry.path,
    }


def _earliest(entry: Entry, found: Survey) -> float | None:
    """The start as the header or the first step has it; the name of the file knows whole seconds only."""
    begun, first = number(found.head.get("started_at")), found.census.first
    if begun is None or (first is not None and first < begun):
        begun = first
    for step in found.open:
        start = number(step.started_at)
        if begun is None or (start is not None and start < begun):
            begun = start
    return entry.started_at if begun is None else begun


def _duration_ms(started: float | None, found: Survey) -> float | None:
    """From the session's start to the end of its last step; to now while it runs."""
    end = times.now() if found.state == "running" else _last_sign(found)
    return None if started is None or end is None else round(max(0.0, end - started) * 1000, 3)


def _last_sign(found: Survey) -> float | None:
    """The last end of a step; of those still open, the last log or the start."""
    if not found.open:
        return found.census.last
    seen = [found.census.last]
    for step in found.open:
        seen += [number(step.started_at), *(number(entry.get("_t")) for entry in step.logs[-1:])]
    return max((time for time in seen if time is not None), default=None)


def _table(facts: Iterable[dict[str, Any]], shared: set[str], utc: bool, out: Output) -> None:
    now = times.now()
    head = ("SESSION", "AGENT", "STARTED", "DURATION", "STEPS", "ERRORS", "STATE", "SIZE")
    room = max(_AGENT_COLUMNS[0], min(_AGENT_COLUMNS[1], out.width - 72))

    @cache  # of ten thousand sessions many are alike in these
    def agent(name: str) -> str:
        return out.paint(safe.shorten(safe.one_line(name), room, out.ellipsis), BOLD)

    @cache
    def state(shown: str, damaged: bool) -> str:
        sign = _state_sign(shown, out)
        return sign + out.paint(" damaged", YELLOW) if damaged else sign

    rows = (
        (
            out.paint(safe.terminal(one["session" if one["session_id"] in shared else "session_id"]), CYAN),  # to be copied
            agent(one["agent"]),
            words.moment(one["started_at"], ms=False) if utc else times.ago(one["started_at"], now),
            words.duration(one["duration_ms"]),
            "?" if one["steps"] is None else f"{one['steps']}+{one['unfinished']}" if one["unfinished"] else str(one["steps"]),
            "?" if one["errors"] is None else out.paint(str(one["errors"]), RED) if one["errors"] else "0",
            state(
                UNREADABLE if one["steps"] is None else shown_state(one["state"], one["outcome"]), bool(one["damage"])
            ),
            words.size(one["size"]),
        )
        for one in facts
    )
    table.write(out, head, rows, right=(3, 4, 5, 7))


def _state_sign(state: str, out: Output) -> str:
    """A session's state as a sign, its word and its colour."""
    sign, ascii_sign, color = _STATES.get(state, ("?", "?", YELLOW))
    return out.paint(f"{ascii_sign if out.ascii else sign} {state}", *([color] if color else []))
