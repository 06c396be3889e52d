"""Sections of the postmortem that look beyond the step that failed: where its knowledge came from, what an
earlier good run did otherwise, what was called again and again, when nothing was heard. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..alignment import ABSENT, Difference, compare
from ..provenance import Knowledge
from ..record import Record
from ..session import Session
from . import blocks, decided, origins, words
from .rhythm import loops, silences

__all__ = ["divergence", "knowledge", "old_values", "repeated_calls", "silence"]

_VALUES: Final = 20  # in a list
_DECIDED: Final = 5  # steps that decided on old values, and
_DECIDED_ON: Final = 5  # of those values
_DIFFERENCES: Final = 5


def knowledge(known: Knowledge) -> Iterator[str]:
    """Where each value that a step saw came from: stale ones first, those not linked by name."""
    told = [*known.stale, *known.known]
    given = [piece for piece in known.new if piece.where != "log"]
    if not told and not given:
        return
    yield "**Where it came from** (# counts the steps by their start):"
    yield ""
    for piece in told[:_VALUES]:
        value = f"{blocks.quote(piece.path)} = {blocks.quote(words.spell(piece.value))}"
        stale = f"; ⚠️ **stale**: {origins.newer(piece, blocks.quote, blocks.quote)}" if piece.stale else ""
        yield f"- {value} {origins.sentence(piece, blocks.quote, blocks.quote)}{stale}"
    if len(told) > _VALUES:
        yield f"- … and {words.plural(len(told) - _VALUES, 'more value')} from earlier steps"
    if given:
        more = f" and {len(given) - _VALUES:,} more" if len(given) > _VALUES else ""
        names = ", ".join(blocks.quote(piece.path) for piece in given[:_VALUES])
        yield f"- Not linked to an earlier step: {names}{more}"
    yield ""


def divergence(session: Session, good: Session) -> Iterator[str]:
    """Where *session* parts from *good*, an earlier run that went well, and what differs first."""
    found = compare(good, session)
    yield "## First divergence from the last good run"
    yield ""
    name = blocks.quote(f"{good.agent}_{good.id}")
    if found.first is None:
        yield f"None: step by step it did the same as {name}."
        yield ""
        return
    count = len(found.differences)
    first = f"; the first {_DIFFERENCES}" if count > _DIFFERENCES else ""
    yield f"Compared with {name}, {words.plural(count, 'difference')}{first}:"
    yield ""
    for difference in found.differences[:_DIFFERENCES]:
        yield f"1. {_difference(difference, session, good)}"
    yield ""


def _difference(one: Difference, session: Session, good: Session) -> str:
    run, step = (session, one.b) if one.b else (good, one.a)
    if step is None:
        return blocks.quote(one.path)
    where = words.route(run.path_to(step), blocks.quote)
    if not one.path:
        which = "did not happen" if one.b is None else "happened only now"
        inside = f", with {words.plural(one.inside, 'step')} inside" if one.inside else ""
        return f"{where} {which}{inside}"
    both = (one.was, one.now)
    was, now = ("absent" if value is ABSENT else blocks.quote(words.spell(value)) for value in both)
    return f"{where}: {blocks.quote(one.path)} was {was}, now {now}"


def old_values(
    session: Session, numbers: dict[Record, int], told: Mapping[Record, Knowledge]
) -> Iterator[str]:
    """The steps that used an old value while a newer one was there: those that failed first, then the latest."""
    found = decided.on_old_values(session, told)
    if not found:
        return
    yield "## Decided on old values"
    yield ""
    yield "A newer value was there and not used (# counts the steps by their start):"
    yield ""
    for known in found[:_DECIDED]:
        yield f"- {blocks.quote(known.step.name)} #{known.number:,}, step {numbers[known.step]:,} of the list below:"
        for piece in known.stale[:_DECIDED_ON]:
            value = f"{blocks.quote(piece.path)} = {blocks.quote(words.spell(piece.value))}"
            yield f"  - {value} {origins.sentence(piece, blocks.quote, blocks.quote)}; {origins.newer(piece, blocks.quote, blocks.quote)}"
        if len(known.stale) > _DECIDED_ON:
            yield f"  - … and {words.plural(len(known.stale) - _DECIDED_ON, 'more old value')}"
    if len(found) > _DECIDED:
        yield f"- … and {words.plural(len(found) - _DECIDED, 'more step')}"
    yield ""


def repeated_calls(session: Session, numbers: dict[Record, int]) -> Iterator[str]:
    """A table of the calls made again and again with the same context."""
    found = loops(session)
    if not found:
        return
    yield "## Repeated calls"
    yield ""
    yield "The same step with the same context, three times or more."
    yield ""
    rows = []
    for one in found:
        context = blocks.quote_cell(words.compact(one.first.context))
        one.first.shed()
        spent = words.duration(one.total_ms)
        name = blocks.quote_cell(one.first.name)
        counts = f"{one.times:,}", f"{one.in_a_row:,}"
        ends = f"{numbers[one.first]:,}", f"{numbers[one.last]:,}"
        rows.append((*counts, name, context, f"{one.errors:,}", spent, *ends))
    head = ("Times:", "In a row:", "Step", "Context", "Failed:", "In all:", "First (step):", "Last (step):")
    yield from blocks.table(head, rows)
    yield ""


def silence(session: Session, numbers: dict[Record, int], *, day: bool) -> Iterator[str]:
    """The longest stretches in which nothing was recorded, and in which step."""
    found = silences(session)
    if not found:
        return
    yield "## Longest silences"
    yield ""
    yield "No step began, logged or ended:"
    yield ""
    for one in found:
        where = "between two steps"
        if one.inside is not None:
            path = words.route(session.path_to(one.inside), blocks.quote)
            where = f"in step {numbers[one.inside]:,}, {path}"
        took = words.duration((one.end - one.start) * 1000)
        yield f"- {took} from {words.moment(one.start, day=day)}, {where}"
    yield ""
