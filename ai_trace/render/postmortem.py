"""The first part of the page: what happened, where it first went wrong, what was open, what stands out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from .. import safe
from ..provenance import Knowledge
from ..record import Record
from ..session import Session
from ..totals import Usage
from ..tree import ended_at
from . import blocks, decided, insights, words
from .findings import failures, repeated, slowest
from .verdict import remarks, verdict

__all__ = ["lines", "spans_days"]

_KINDS: Final = 20  # of failure in the table
_PLACES: Final = 20  # of damage in the list
_PATH: Final = 12  # steps of a path, one a line


def lines(session: Session, *, now: float | None, day: bool, good: Session | None = None) -> Iterator[str]:
    """The sections before the list of steps, those without anything to say left out.

    *good* is an earlier run of the same agent to compare with.
    """
    yield verdict(session, blocks.quote, now=now, bold="**")
    yield ""
    numbers = {node.record: at for at, node in enumerate(session.walk(), 1)}
    first, fatal, stopped = session.first_error, session.fatal_error, session.stopped_in
    told = decided.known(session)
    yield from insights.old_values(session, numbers, told)
    if first is not None:
        yield from _scene("Where it first went wrong", session, first, numbers[first], day, told)
    if fatal is not None and fatal is not first:
        yield from _scene("What ended the run", session, fatal, numbers[fatal], day, told)
    if stopped is not None:
        yield from _scene("Where it was stopped", session, stopped, numbers[stopped], day, told, "What stopped it")
    yield from _in_flight(session, now, numbers, day)
    if good is not None:
        yield from insights.divergence(session, good)
    yield from _failures(session, numbers, day)
    yield from _summary(session)
    yield from _slowest(session, numbers)
    yield from _repeated(session)
    yield from insights.repeated_calls(session, numbers)
    yield from insights.silence(session, numbers, day=day)
    yield from _usage(session)
    yield from _about_the_record(session)
    yield from _metadata(session)


def spans_days(session: Session) -> bool:
    """Whether times need their date to be understood."""
    return words.moment(session.started_at, ms=False)[:10] != words.moment(session.ended_at, ms=False)[:10]


def _scene(
    heading: str, session: Session, record: Record, at: int, day: bool, told: Mapping[Record, Knowledge],
    how: str = "How it failed",
) -> Iterator[str]:
    """The way down to a step that failed or was stopped, what it saw, what it said, how it ended."""
    yield f"## {heading}"
    yield ""
    yield f"In step {at:,} of the list below:"
    yield ""
    yield from _way_down(session, record, day)
    yield from _seen_and_said(record, day)
    yield from insights.knowledge(told.get(record) or session.at(record))
    error = safe.code(blocks.short(record.error, 500)) if record.error else "not recorded."
    yield f"**{how}:** {error}"
    yield ""
    if record.traceback:
        yield from safe.fence(blocks.last(record.traceback, blocks.WHOLE), "text")
        yield ""
    record.shed()


def _way_down(session: Session, record: Record, day: bool) -> Iterator[str]:
    path = session.path_to(record)
    hidden = len(path) - _PATH
    for depth, step in enumerate(path):
        if hidden > 0 and 3 <= depth < 3 + hidden:
            if depth == 3:
                yield f"{'   ' * 3}… {words.plural(hidden, 'more level')} …"
            continue
        level = depth if hidden <= 0 or depth < 3 else depth - hidden + 1
        sign = " ⏳" if step.open else {"error": " ❌", "cancelled": " 🚫"}.get(step.outcome or "", "")
        took = "" if step.open else f", took {words.duration(step.duration_ms)}"
        name = blocks.quote(step.name)
        last = f"**{name}**" if step is record else name
        yield f"{'   ' * level}1. {last}{sign} from {words.moment(step.started_at, day=day)}{took}"
    yield ""


def _seen_and_said(record: Record, day: bool) -> Iterator[str]:
    yield "**What it saw:**" if record.context else "**What it saw:** nothing was recorded as its context."
    yield ""
    if record.context:
        yield from blocks.fields(record.context, blocks.WHOLE)
        yield ""
    entries = record.logs
    yield "**What it logged:**" if entries else "**What it logged:** nothing."
    yield ""
    if entries:
        yield from blocks.logs(entries, day=day, limit=blocks.WHOLE)
        yield ""


def _in_flight(session: Session, now: float | None, numbers: dict[Record, int], day: bool) -> Iterator[str]:
    """Every open step that was not only waiting for another one inside it, with its way down."""
    nodes = [session.node(record) for record in session.unfinished]
    inner = [node.record for node in nodes if not any(child.record.open for child in node.children)]
    if not inner:
        return
    headings = {"died": "## In flight when it died", "running": "## Running now"}
    yield headings.get(session.state, "## Never ended")
    yield ""
    for record in inner[:_KINDS]:
        known = words.inflight(record, session.state, now)
        yield f"Step {numbers[record]:,}, {blocks.quote(record.name)}: {known}."
        yield ""
        yield from _way_down(session, record, day)
        yield from _seen_and_said(record, day)
        record.shed()
    if len(inner) > _KINDS:
        yield f"… and {words.plural(len(inner) - _KINDS, 'more open step')}; they are in the list of steps."
        yield ""


def _failures(session: Session, numbers: dict[Record, int], day: bool) -> Iterator[str]:
    kinds = failures(session)
    if len(kinds) < 2 and not (kinds and kinds[0].times > 1):
        return
    yield "## All failures"
    yield ""
    rows = (
        (
            f"{kind.times:,}",
            blocks.quote_cell(kind.first.name),
            blocks.quote_cell(kind.first.error or ""),
            f"{words.moment(ended_at(kind.first), day=day)} (step {numbers[kind.first]:,})",
            f"{words.moment(ended_at(kind.last), day=day)} (step {numbers[kind.last]:,})",
        )
        for kind in kinds[:_KINDS]
    )
    yield from blocks.table(("Times:", "Step", "Error", "First", "Last"), rows)
    if len(kinds) > _KINDS:
        yield ""
        yield f"… and {words.plural(len(kinds) - _KINDS, 'more kind')} of failure."
    yield ""


def _summary(session: Session) -> Iterator[str]:
    totals = session.totals
    average = "—" if totals.avg_duration_ms is None else f"{totals.avg_duration_ms} ms"
    counts = (totals.steps, totals.ok, totals.errors, totals.cancelled, totals.other, totals.unfinished)
    yield "## Summary"
    yield ""
    yield from blocks.table(
        ("Steps", "OK", "Errors", "Cancelled", "Other", "Unfinished", "Avg duration"),
        [(*(f"{count:,}" for count in counts), average)],
    )
    yield ""
    span = f"{words.moment(session.started_at)} to {words.moment(session.ended_at)}"
    took, state = words.duration(session.duration_ms), safe.markdown(session.state)
    yield f"From {span}, {took} by the clock. State: {state}."
    yield ""


def _slowest(session: Session, numbers: dict[Record, int]) -> Iterator[str]:
    found = slowest(session)
    if len(found) < 2:
        return
    yield "## Slowest steps"
    yield ""
    yield "By their own time, which is without that of the steps inside them."
    yield ""
    rows = (
        (
            words.duration(slow.own_ms),
            words.duration(slow.record.duration_ms),
            f"{numbers[slow.record]:,}",
            words.route(session.path_to(slow.record), blocks.quote_cell),
        )
        for slow in found
    )
    yield from blocks.table(("Own time:", "In all:", "Step:", "Path"), rows)
    yield ""


def _repeated(session: Session) -> Iterator[str]:
    found = repeated(session)
    if not found:
        return
    yield "## Most repeated steps"
    yield ""
    rows = (
        (
            f"{one.times:,}",
            blocks.quote_cell(one.name),
            f"{one.errors:,}",
            words.duration(one.total_ms),
            f"{one.alike:,}",
        )
        for one in found
    )
    yield from blocks.table(("Times:", "Step", "Failed:", "In all:", "With one and the same context:"), rows)
    yield ""


def _usage(session: Session) -> Iterator[str]:
    if not session.totals.usage:
        return
    yield "## Tokens and cost"
    yield ""
    yield "As the steps logged them; “?” is unknown, and not zero."
    yield ""
    head = ("Model", "Steps:", "Input:", "Cached:", "Output:", "Reasoning:", "Cost (USD):")
    yield from blocks.table(head, map(_usage_row, session.totals.usage))
    yield ""


def _usage_row(usage: Usage) -> tuple[str, ...]:
    model = "(not named)" if usage.model is None else blocks.quote_cell(usage.model)
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd")
    return (model, f"{usage.steps:,}", *(_sum_cell(usage, name) for name in names))


def _sum_cell(usage: Usage, name: str) -> str:
    amount = usage.sums.get(name)
    if amount is None:
        return "?"
    text = f"{amount:,.4f}" if name == "cost_usd" else f"{amount:,.0f}"
    said = usage.said[name]
    return text if said == usage.steps else f"{text} (from {said:,} of {usage.steps:,})"


def _about_the_record(session: Session) -> Iterator[str]:
    said = list(remarks(session))
    if not said:
        return
    yield "## About this record"
    yield ""
    for remark in said:
        yield f"- {safe.markdown(blocks.short(remark, 500))}"
    for place in session.damage[:_PLACES]:
        line = "" if place.line is None else f"line {place.line:,}, "
        where = f"{line}byte {place.offset:,}, {words.plural(place.length, 'byte')}"
        reason = safe.markdown(blocks.short(place.reason, 300))
        yield f"- Damage in {blocks.quote(place.path)}, {where}: {reason}"
    if len(session.damage) > _PLACES:
        yield f"- … and {len(session.damage) - _PLACES:,} more damaged places."
    yield ""


def _metadata(session: Session) -> Iterator[str]:
    if not session.meta:
        return
    yield "## Metadata"
    yield ""
    yield from blocks.fields(session.meta)
    yield ""
