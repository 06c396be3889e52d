"""How long the steps of two runs took, name by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .record import Record
from .totals import duration_of

__all__ = ["Change", "Spread", "changes"]


class Spread(NamedTuple):
    """The durations of the steps of one name, in milliseconds; percentiles by nearest rank."""

    steps: int
    total_ms: float
    median_ms: float
    p10_ms: float
    p90_ms: float


class Change(NamedTuple):
    """One name in both runs; None where a run has no step of it with a duration."""

    name: str
    a: Spread | None
    b: Spread | None

    @property
    def total_ms(self) -> float:
        """Milliseconds more (or, negative, fewer) in B."""
        return (self.b.total_ms if self.b else 0.0) - (self.a.total_ms if self.a else 0.0)

    @property
    def clear(self) -> bool:
        """Whether the medians differ by more than chance might: neither lies in the other's middle 80 %."""
        if self.a is None or self.b is None or min(self.a.steps, self.b.steps) < 3:
            return False
        a, b = self.a, self.b
        return not a.p10_ms <= b.median_ms <= a.p90_ms and not b.p10_ms <= a.median_ms <= b.p90_ms

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        spreads = {"a": self.a and self.a._asdict(), "b": self.b and self.b._asdict()}
        return {"name": self.name, **spreads, "total_change_ms": round(self.total_ms, 3), "clear": self.clear}


def changes(a: Iterable[Record], b: Iterable[Record]) -> list[Change]:
    """Every step name of both, the largest change of the total first."""
    ours, theirs = _durations(a), _durations(b)
    found = [Change(name, _spread(ours.get(name)), _spread(theirs.get(name))) for name in {**ours, **theirs}]
    return sorted(found, key=lambda change: (-abs(change.total_ms), change.name))


def _durations(steps: Iterable[Record]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for step in steps:
        took = duration_of(step)
        if took is not None and not step.open:
            found.setdefault(step.name, []).append(took)
    return found


def _spread(durations: list[float] | None) -> Spread | None:
    if not durations:
        return None
    ranked = sorted(durations)
    low, middle, high = (ranked[(len(ranked) * part + 99) // 100 - 1] for part in (10, 50, 90))
    return Spread(len(ranked), round(sum(ranked), 3), middle, low, high)
