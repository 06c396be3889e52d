"""What stands out in a session: the slowest steps, the most repeated ones, the kinds of failure. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..record import Record, number
from ..session import Session
from ..totals import duration_of
from ..tree import Node, ended_at
from . import words

__all__ = ["Slow", "Repeated", "Failure", "slowest", "repeated", "failures"]

_OFTEN: Final = 3  # times; twice is no pattern


class Slow(NamedTuple):
    """A step, and the milliseconds of its own: without those of the steps inside it."""

    record: Record
    own_ms: float


class Repeated(NamedTuple):
    """A name that came often: how many times, how many failed, time in all, how many had the same context."""

    name: str
    times: int
    errors: int
    total_ms: float
    alike: int


class Failure(NamedTuple):
    """One kind of failure: the same error in steps of the same name."""

    first: Record
    last: Record
    times: int


def slowest(session: Session, count: int = 5) -> list[Slow]:
    """The *count* steps with the most time of their own, slowest first."""
    found = [Slow(node.record, own) for node in session.walk() if (own := _own_ms(node)) > 0]
    found.sort(key=lambda slow: -slow.own_ms)
    return found[:count]


def _own_ms(node: Node) -> float:
    """Duration less that of the children, and never below zero where those ran side by side."""
    inside = sum(duration_of(child.record) or 0 for child in node.children)
    return max((duration_of(node.record) or 0) - inside, 0)


def repeated(session: Session, count: int = 5) -> list[Repeated]:
    """The *count* names that came most often, at least three times each."""
    names = Counter(record.name for record in session.steps)
    often = sorted((-times, name) for name, times in names.items() if times >= _OFTEN)
    by_name: dict[str, list[Record]] = {name: [] for _, name in often[:count]}
    for record in session.steps:
        if record.name in by_name:
            by_name[record.name].append(record)
    return [_repeated(name, records) for name, records in by_name.items()]


def _repeated(name: str, records: list[Record]) -> Repeated:
    return Repeated(
        name=name,
        times=len(records),
        errors=sum(record.outcome == "error" for record in records),
        total_ms=sum(duration_of(record) or 0 for record in records),
        alike=_alike(records),
    )


def _alike(records: Iterable[Record]) -> int:
    """How often the most frequent context came, which shows a loop. Compared is a hash of the text."""
    seen: Counter[int] = Counter()
    for record in records:
        seen[hash(words.compact(record.context))] += 1
        record.shed()
    return max(seen.values(), default=0)


def failures(session: Session) -> list[Failure]:
    """The kinds of failure in the order in which they first came, without those that only passed through."""
    kinds: dict[tuple[str, str | None], Failure] = {}
    failed = [node for node in session.walk() if node.record.outcome == "error" and not _passed_on(node)]
    for node in sorted(failed, key=lambda node: ended_at(node.record) or number(node.record.started_at) or 0):
        record = node.record
        key = (record.name, record.error)
        known = kinds.get(key)
        kinds[key] = Failure(known.first if known else record, record, known.times + 1 if known else 1)
    return list(kinds.values())


def _passed_on(node: Node) -> bool:
    error = node.record.error
    return any(child.record.outcome == "error" and child.record.error == error for child in node.children)
