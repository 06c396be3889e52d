"""What a run did again and again, and when nothing was heard of it. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..record import Record, number
from ..session import Session
from ..sweep import sweep
from ..totals import duration_of
from ..tree import ended_at
from ..worth import canonical

__all__ = ["Loop", "Silence", "loops", "silences"]

_OFTEN: Final = 3  # times; twice may be a retry
_SHORTEST_S: Final = 1.0
_SHARE: Final = 0.05  # of the whole run; shorter silences are its pace


class Loop(NamedTuple):
    """One call made again and again: steps of one name with one and the same context, which is not empty.

    `in_a_row` counts those that followed each other with no other step between them inside the same step.
    """

    first: Record
    last: Record
    times: int
    in_a_row: int
    errors: int
    total_ms: float


class Silence(NamedTuple):
    """A stretch in which no step began, logged or ended; `inside` is the innermost step then open."""

    start: float  # seconds since 1970
    end: float
    inside: Record | None


def loops(session: Session, count: int = 5) -> list[Loop]:
    """The *count* calls that came most often, at least three times each."""
    keys = {
        record: (record.name, hash(canonical(context)))  # 100,000 prompts would be much to hold
        for record, context, _ in sweep(session.steps)
        if context
    }
    groups: dict[tuple[str, int], list[Record]] = {}
    rows: dict[tuple[str, int], int] = {}
    running: dict[str | None, tuple[tuple[str, int] | None, int]] = {}  # parent -> last call, so often
    for record in session.steps:
        key = keys.get(record)
        before, times = running.get(record.parent, (None, 0))
        times = times + 1 if key is not None and key == before else 1
        running[record.parent] = (key, times)
        if key is not None:
            groups.setdefault(key, []).append(record)
            rows[key] = max(rows.get(key, 0), times)
    often = [key for key, group in groups.items() if len(group) >= _OFTEN]
    often.sort(key=lambda key: -len(groups[key]))
    return [_loop(groups[key], rows[key]) for key in often[:count]]


def _loop(group: list[Record], in_a_row: int) -> Loop:
    errors = sum(record.outcome == "error" for record in group)
    total_ms = sum(duration_of(record) or 0 for record in group)
    return Loop(group[0], group[-1], len(group), in_a_row, errors, total_ms)


def silences(session: Session, count: int = 3) -> list[Silence]:
    """The *count* longest silences, longest first; each at least a second, and a twentieth of the run."""
    signs = _signs(session)
    least = max(_SHORTEST_S, _SHARE * (signs[-1] - signs[0])) if signs else 0.0
    gaps = [(end - start, start, end) for start, end in zip(signs, signs[1:]) if end - start >= least]
    longest = sorted(gaps, key=lambda gap: (-gap[0], gap[1]))[:count]
    return [Silence(start, end, _around(session, start, end)) for _, start, end in longest]


def _signs(session: Session) -> list[float]:
    """The time of each sign of life."""
    signs = array("d")
    for record, _, logs in sweep(session.steps):
        signs.extend(_known(record.started_at, None if record.open else ended_at(record)))
        signs.extend(_known(*(entry.get("_t") for entry in logs)))
    return sorted(signs)


def _known(*times: object) -> Iterable[float]:
    return (known for time in times if (known := number(time)) is not None)


def _around(session: Session, start: float, end: float) -> Record | None:
    """The innermost step that was open from *start* to *end*; of several, the one that began last."""
    found = None
    for record in session.steps:
        began = number(record.started_at)
        if began is None or began > start:
            break
        ended = None if record.open else ended_at(record)
        if ended is None or ended >= end:
            found = record
    return found
