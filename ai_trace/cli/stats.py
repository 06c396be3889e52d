"""`ai-trace stats`: what the steps of one, some or all sessions cost, in time, errors, tokens and money.

Journals are streamed, and what they add up to is remembered (`index.py`); what is counted, and how, is in
`counts.py`. Here it is put before a person: unknown is "-", and what was damaged, dropped or masked stands above the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from .. import folder, safe
from ..render import words
from ..sniff import refusal
from ..totals import USAGE_SUMS
from . import choose, counts, options, sieve, streams, table
from .output import BOLD, DIM, GREEN, RED, YELLOW, Output, Stop
from .progress import Progress
from .survey import Survey, surveys

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..record import Record

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Count steps: outcomes, error rates, durations, tokens and cost."
EXAMPLES = """
examples:
  ai-trace stats                        all sessions of the folder, by step name
  ai-trace stats latest                 the newest session alone
  ai-trace stats --by model --since 1d  what each model cost since yesterday
  ai-trace stats --where 'signal > 0.8' only the steps with a strong signal
  ai-trace stats --json | jq '.groups[] | select(.error_rate > 0.1)'

percentiles are by nearest rank; beyond 100,000 steps in a row they are within 1 %
of that, and marked '~' (approximate); tokens and cost are those that steps logged,
'-' (null) where none did
keys of --json: sessions, states, steps, unfinished, outcomes, damage, dropped,
  redacted, durations_unknown, usage, by, groups[]: key, count, errors,
  error_rate, total_ms, p50_ms, p95_ms, p99_ms, max_ms,
  approximate, usage
keys of usage: input_tokens, output_tokens, cached_tokens, reasoning_tokens,
  cost_usd, said (how many steps logged each)
"""
EXAMPLES += sieve.GRAMMAR

_DEFAULT_ROWS: Final = 40
_KEY_COLUMNS: Final = (16, 44)  # at least, at most


def arguments(parser: ArgumentParser) -> None:
    """The options of `stats`."""
    add = parser.add_argument
    add(
        "sessions",
        nargs="*",
        metavar="SESSION",
        help=choose.MANY,
    )
    add("--by", choices=("name", "agent", "session", "model"), default="name",
        help="what a row stands for (default: name, the step's name)")  # fmt: skip
    add("--since", type=options.moment, metavar="TIME", help="only steps that began at TIME or later")
    sieve.where(parser, "only steps that")
    add("-n", type=options.count, default=_DEFAULT_ROWS, metavar="N",
        help=f"rows of the table, 0 for all (default: {_DEFAULT_ROWS})")  # fmt: skip
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Count and return 0; 1 where there is nothing to count, or something could not be read."""
    with ExitStack() as stack:
        chosen: list[Any] = [stack.enter_context(choose.picked(word, args.dir)) for word in args.sessions]
        chosen = chosen or [*choose.entries(args.dir)]
        if not chosen:
            raise Stop(choose.missing(args.dir))
        sources = [folder.entry(one) if isinstance(one, str) else one for one in chosen]
        counted = counts.Counts(args.by)
        refused: list[str] = []
        tick = stack.enter_context(Progress(sum(source.size for source in sources))).tick
        unread = ((source, None) for source in sources)
        for source, session in unread if args.where is not None else surveys(sources, args.dir, tick=tick):
            try:
                refused += _count(source, session, args, counted, tick)
            except OSError as error:
                refused.append(f"{source.path}: {refusal(error)}")
    found = counted.to_dict()
    if args.json:
        out.one_json(found)
    else:
        _show(found, args.n, out)
    for sentence in refused:
        out.message(sentence)
    return 1 if refused else 0


def _count(
    source: folder.Entry, session: Survey | None, args: Namespace, counted: counts.Counts, tick: Callable[[int], object]
) -> tuple[str, ...]:
    """Add *source* to *counted*, and say what of it could not be read. It is read step by step only for a condition,
    and where some of its steps are older than asked for."""
    since: float | None = args.since
    if session is None:
        counted.add(streams.sifted(source, lambda step: _since(step, since) and args.where.matches(step), tick))
        return ()
    begun = [session.census.first, *(step.started_at for step in session.open)]
    if since is None or (not session.census.undated and all(at is None or at >= since for at in begun)):
        counted.add(session)
    elif (session.census.latest or 0) < since and not session.open:
        counted.add(session, steps=False)
    else:
        counted.add(streams.sifted(source, lambda step: _since(step, since), tick))
    return session.refused


def _since(step: Record, since: float | None) -> bool:
    return since is None or (step.started_at or 0) >= since


def _show(found: dict[str, Any], limit: int, out: Output) -> None:
    for name, text in _summary(found, out):
        out.line(f"{out.paint(f'{name:<10}', DIM)} {text}")
    rows = found["groups"]
    if not rows:
        return
    out.line()
    with_usage = [key for key in USAGE_SUMS if any(row["usage"][key] is not None for row in rows)]
    titles = [key.removesuffix("_tokens").removesuffix("_usd").upper() for key in with_usage]
    head = [found["by"].upper(), "COUNT", "ERRORS", "TOTAL", "P50", "P95", "P99", "MAX", *titles]
    shown = rows[:limit] if limit else rows
    keys = _keys([row["key"] for row in shown], len(with_usage), out)
    rows_of_text = [[key, *_numbers(row, with_usage, out)] for key, row in zip(keys, shown)]
    table.write(out, head, rows_of_text, right=range(1, len(head)))
    if len(shown) < len(rows):
        out.message(f"{len(shown)} of {len(rows)} rows; -n 0 shows all")


def _summary(found: dict[str, Any], out: Output) -> Iterable[tuple[str, str]]:
    states = ", ".join(
        f"{count:,} {safe.terminal(state)}" for state, count in sorted(found["states"].items())
    )
    yield "sessions", f"{found['sessions']:,} ({states})"
    unfinished = f", and {found['unfinished']:,} unfinished" if found["unfinished"] else ""
    yield "steps", f"{out.paint(format(found['steps'], ','), BOLD)}{unfinished}"
    colors = {"ok": GREEN, "error": RED, "cancelled": YELLOW}
    ends = [
        out.paint(f"{count:,} {safe.one_line(word, 24)}", *filter(None, [colors.get(word)]))
        + _share(count, found)
        for word, count in list(found["outcomes"].items())[:8]
    ]
    if ends:
        yield "outcomes", ", ".join(ends)
    if found["usage"]["said"]:
        yield "usage", _usage(found["usage"], found["steps"])
    for name, one, many, more in (
        ("damage", "place in the files that is no step", "places in the files that are no step", ""),
        ("dropped", "step or log", "steps or logs", " that could not be written"),
        ("redacted", "value", "values", " masked"),
        ("durations_unknown", "step", "steps", " without a duration, not in the times below"),
    ):
        if found[name]:
            line = words.plural(found[name], one, many) + more
            yield name.partition("_")[0], line if name == "redacted" else out.paint(line, YELLOW)


def _usage(usage: dict[str, Any], steps: int) -> str:
    said = usage["said"]
    shown = [key for key in USAGE_SUMS if key in said or key in ("input_tokens", "output_tokens", "cost_usd")]
    sums = ", ".join(
        f"{key.removesuffix('_usd').replace('_', ' ')} {_amount(key, usage[key])}" for key in shown
    )
    return f"{sums} (logged by {max(said.values()):,} of {words.plural(steps, 'step')})"


def _share(count: int, found: dict[str, Any]) -> str:
    return f" ({count / found['steps']:.1%})" if found["steps"] else ""


def _keys(keys: list[str | None], usages: int, out: Output) -> list[str]:
    """The first column: cut for a terminal alone, and only where what is left still tells the rows apart."""
    whole = ["-" if key is None else safe.one_line(key) for key in keys]
    room = max(_KEY_COLUMNS[0], min(_KEY_COLUMNS[1], out.width - 64 - 10 * usages))
    cut = [safe.shorten(key, room, out.ellipsis) for key in whole]
    return cut if out.terminal and len(set(cut)) == len(set(whole)) else whole


def _numbers(row: dict[str, Any], with_usage: list[str], out: Output) -> list[str]:
    errors = out.paint(f"{row['errors']:,} ({row['error_rate']:.1%})", RED) if row["errors"] else "0"
    about = "~" if row["approximate"] else ""
    spans = [
        _span(row["total_ms"]),
        *(about + _span(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms")),
        _span(row["max_ms"]),
    ]
    return [
        f"{row['count']:,}",
        errors,
        *spans,
        *(_amount(name, row["usage"][name]) for name in with_usage),
    ]


def _span(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else words.duration(milliseconds)


def _amount(key: str, amount: float | None) -> str:
    if amount is None:
        return "-"
    return f"${amount:,.4f}" if key == "cost_usd" else f"{amount:,.0f}"
