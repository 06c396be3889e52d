"""`ai-trace diff`: two runs compared, or many with one: where they first part, and all that differs.

Exit code 0: the same, 1: different, as that of `git diff --exit-code`: a gate for agents in CI. How steps
are matched and what counts as noise is in `alignment.py`. On a screen of 120 columns or more the runs stand
side by side.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import folder, safe
from ..alignment import ABSENT, Comparison, Rules, compare
from ..render import comparison, words
from ..render.ink import Style
from ..timing import Change, Spread, changes
from . import choose, options, table
from .output import BOLD, DIM, GREEN, RED, YELLOW, Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..session import Session

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Compare two runs step by step: the first divergence, steps of one alone, values field by field."
EXAMPLES = """
examples:
  ai-trace diff @-1 latest                 the last two sessions
  ai-trace diff good.jsonl bad.jsonl --ignore 'context.request_id' --tolerance 1e-6
  ai-trace diff --baseline good.jsonl run1 run2 run3
  ai-trace diff @-1 latest --timing

exit code 0: the same, 1: different. Left out are ids, times, durations,
processes and threads, also recorded ones that are named so (request_id, pid,
latency_ms, timestamp; --strict: compared); what the agents said of themselves (meta) is shown, and
does not count. --timing is shown, and does not count either.
keys of --json: a, b (each with damage, the places that could not be read),
count, same, first, differences[]: kind (missing, added, changed), a, b, path,
was, now, inside; meta[], timing[]; with --baseline: baseline, runs[]: b, and
the same keys"""

_ROWS = 30  # of the table of times


def arguments(parser: ArgumentParser) -> None:
    """The options of `diff`."""
    add = parser.add_argument
    add("sessions", nargs="*", metavar="SESSION", help=f"two of them, A and B; each {choose.HELP}")
    add("--baseline", metavar="A", help="compare every SESSION with A, a row each")
    add("--ignore", action="append", default=[], metavar="GLOB",
        help="leave out fields, as context.request_id, 'logs.*' or request_id; may be repeated")  # fmt: skip
    add("--tolerance", type=options.slack, default=0.0, metavar="X",
        help="numbers this close are equal, relative or absolute, as 1e-6")  # fmt: skip
    add("--ignore-order", action="store_true", help="the order of brothers, logs and list items is no matter")
    add("--strict", action="store_true", help="recorded ids, times and durations (request_id, latency_ms) count, too")
    add("--timing", action="store_true", help="also how long the steps of each name took")
    add("--full", action="store_true", help="show all differences, and values whole")
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Compare; 0 where all are the same, 1 where something differs, or a session is not there."""
    names = [args.baseline, *args.sessions] if args.baseline is not None else args.sessions
    if args.baseline is None and len(names) != 2:
        raise Stop("name two sessions, as 'ai-trace diff @-1 latest', or --baseline A and others", 2)
    if len(names) < 2:
        raise Stop("name at least one session to compare with the baseline", 2)
    if names.count("-") > 1:
        raise Stop("only one session can come from standard input", 2)
    rules = Rules(tuple(args.ignore), args.tolerance, args.ignore_order, args.strict)
    with ExitStack() as stack:
        sources = [stack.enter_context(choose.picked(name, args.dir)) for name in names]
        first = folder.load(sources[0])
        if args.baseline is not None:
            return _many(first, sources[1:], rules, args, out)
        second = folder.load(sources[1])
        _warn("A", first, names[0], out)
        _warn("B", second, names[1], out)
        return _two(first, second, rules, args, out)


def _warn(side: str, session: Session, word: str, out: Output) -> None:
    """Say that *session* has lines that could not be read: a step only in the other one may be one of them."""
    if session.damage:
        places = words.plural(len(session.damage), "damaged place")
        out.message(f"{side} has {places} (ai-trace verify {word})")


def _two(a: Session, b: Session, rules: Rules, args: Namespace, out: Output) -> int:
    found = compare(a, b, rules)
    timing = changes(a.steps, b.steps) if args.timing else None
    if args.json:
        out.one_json({"a": _header(a), "b": _header(b), **_plain(found, timing)})
    else:
        _page(a, b, found, args.full, out)
        if timing is not None:
            _times(timing, args.full, out)
    return 1 if found.differences else 0


def _many(a: Session, others: list[Any], rules: Rules, args: Namespace, out: Output) -> int:
    """Every other run against *a*, one at a time, so that only two are in memory."""
    rows, runs, code = [], [], 0
    _warn("the baseline", a, args.baseline, out)
    for word, source in zip(args.sessions, others):
        b = folder.load(source)
        _warn(_title(b), b, word, out)
        found = compare(a, b, rules)
        code = code or (1 if found.differences else 0)
        timing = changes(a.steps, b.steps) if args.timing else None
        if args.json:
            runs.append({"b": _header(b), **_plain(found, timing)})
        count = len(found.differences)
        first = comparison.place(found.first, a, b) if found.first else ""
        rows.append([_title(b), out.paint(f"{count:,}", RED if count else GREEN), first])
    if args.json:
        out.one_json({"baseline": _header(a), "runs": runs})
    else:
        out.line(f"{out.paint('baseline', DIM)} {_title(a)}")
        table.write(out, ["SESSION", "DIFFERENCES", "FIRST"], rows, right=[1])
    return code


def _plain(found: Comparison, timing: list[Change] | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"count": len(found.differences), **found.to_dict()}
    return plain if timing is None else {**plain, "timing": [change.to_dict() for change in timing]}


def _page(a: Session, b: Session, found: Comparison, full: bool, out: Output) -> None:
    for side, session, color in (("A", a, RED), ("B", b, GREEN)):
        state = f"{safe.terminal(session.state)}, {words.plural(len(session.steps), 'step')}"
        out.line(f"{out.paint(side, color)} {_title(session)}  {out.paint(state, DIM)}")
    for one in found.meta:
        was, now = (safe.one_line("(absent)" if value is ABSENT else words.spell(value), 40)
                    for value in (one.was, one.now))  # fmt: skip
        out.line(out.paint(f"  {safe.one_line(one.path, 60)}: {was} -> {now} (not counted)", DIM))
    if found.first is None:
        out.line(out.paint("No differences.", GREEN))
        return
    count = words.plural(len(found.differences), "difference")
    out.line(f"{out.paint(count, BOLD)}; the first: {out.paint(comparison.place(found.first, a, b), YELLOW)}")
    out.line()
    style = Style(color=out.color, unicode=not out.ascii, width=out.width, full=full)
    for line in comparison.lines(a, b, found, style):
        out.line(line)
    often = comparison.often(found)
    if often:
        path, times = often
        out.message(f"{times:,} of them are {path}; if it is noise: --ignore '{path}'")


def _times(timing: list[Change], full: bool, out: Output) -> None:
    out.line()
    shown = timing if full else timing[:_ROWS]
    head = ["NAME", "STEPS", "MEDIAN A", "MEDIAN B", "CHANGE", "TOTAL A", "TOTAL B", "P10-P90 A", "P10-P90 B"]
    table.write(out, head, [_time_row(change, out) for change in shown], right=range(1, len(head)))
    out.line(out.paint("* clear: each median lies outside the other run's middle 80 %", DIM))
    if len(shown) < len(timing):
        out.message(f"{len(shown)} of {len(timing)} names; --full shows all")


def _time_row(change: Change, out: Output) -> list[str]:
    a, b = change.a, change.b
    told = "-"
    if a and b and a.median_ms > 0:
        told = f"{(b.median_ms - a.median_ms) / a.median_ms:+.0%}{'*' if change.clear else ''}"
        if change.clear:
            told = out.paint(told, RED if b.median_ms > a.median_ms else GREEN)
    counts = [f"{one.steps if one else 0:,}" for one in (a, b)]
    steps = counts[0] if counts[0] == counts[1] else " / ".join(counts)
    medians = [words.duration(one.median_ms) if one else "-" for one in (a, b)]
    totals = [words.duration(one.total_ms) if one else "-" for one in (a, b)]
    return [safe.one_line(change.name, 40), steps, *medians, told, *totals, _range(a), _range(b)]


def _range(spread: Spread | None) -> str:
    return f"{words.duration(spread.p10_ms)} - {words.duration(spread.p90_ms)}" if spread else "-"


def _header(session: Session) -> dict[str, Any]:
    keys = {"agent": session.agent, "session_id": session.id, "trace_id": session.trace_id}
    return {**keys, "state": session.state, "steps": len(session.steps), "paths": session.paths,
            "damage": len(session.damage)}  # fmt: skip


def _title(session: Session) -> str:
    name = f"{session.agent}_{session.id}" if session.agent or session.id else (session.paths or ["-"])[0]
    return safe.one_line(name, 60)
