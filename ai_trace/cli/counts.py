"""The numbers behind `ai-trace stats`: counts, rates, durations, tokens and cost, gathered step by step.

Memory holds 8 bytes for each duration and one group per key, nothing else. Percentiles are by nearest rank:
p95 is a duration that really happened, and 95 % were no longer. Unknown is unknown: tokens and cost that no
step logged are None, never 0, and a duration that is no number is counted apart.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..record import Damage, number
from ..totals import USAGE_SUMS, duration_of

if TYPE_CHECKING:
    from ..record import Record
    from .streams import Stream

__all__ = ["Counts"]


class Counts:
    """Numbers over many sessions, in groups *by* step name, agent, session or model.

    *since* leaves out the steps that began before it (seconds since 1970).
    """

    def __init__(self, by: str, since: float | None = None) -> None:
        self._by = by
        self._since = since
        self._groups: dict[str | None, _Group] = {}
        self._usage = _Usage()
        self._states: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, session: Stream) -> None:
        """Count the steps of *session*."""
        self._states[session.state] += 1
        key_of = _key(self._by, session)
        for item in session:
            if isinstance(item, Damage):
                self._sums["damage"] += 1
            elif self._since is None or (item.started_at is not None and item.started_at >= self._since):
                if item.open:
                    self._sums["unfinished"] += 1
                else:
                    self._add_step(item, key_of(item))
        self._sums["dropped"] += session.dropped
        self._sums["redacted"] += session.redacted

    def _add_step(self, step: Record, key: str | None) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        self._outcomes[step.outcome or "unknown"] += 1
        duration = duration_of(step)
        if duration is None:
            self._sums["durations_unknown"] += 1
        group.add(step, duration)
        if step.usage:
            self._usage.add(step)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data; groups by total duration, the longest first."""
        rows = [{"key": key, **group.to_dict()} for key, group in self._groups.items()]
        rows.sort(key=lambda row: (-(row["total_ms"] or 0), -row["count"], row["key"] or ""))
        return {
            "sessions": sum(self._states.values()),
            "states": dict(self._states),
            "steps": sum(self._outcomes.values()),
            "unfinished": self._sums["unfinished"],
            "outcomes": dict(self._outcomes.most_common()),
            "damage": self._sums["damage"],
            "dropped": self._sums["dropped"],
            "redacted": self._sums["redacted"],
            "durations_unknown": self._sums["durations_unknown"],
            "usage": self._usage.to_dict(),
            "by": self._by,
            "groups": rows,
        }


def _key(by: str, session: Stream) -> Callable[[Record], str | None]:
    """What names the group of a step; None where that is unknown (a step without a model)."""
    if by == "agent":
        return lambda step: session.agent
    if by == "session":
        return lambda step: session.name
    if by == "model":
        return _model
    return lambda step: step.name


def _model(step: Record) -> str | None:
    model = step.usage.get("model")
    return model if isinstance(model, str) and model else None


class _Usage:
    """Sums of what steps logged, and how many logged each."""

    __slots__ = ("sums", "said")

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.said: dict[str, int] = {}

    def add(self, step: Record) -> None:
        for key, value in step.usage.items():
            amount = number(value)
            if key in USAGE_SUMS and amount is not None and amount >= 0:
                self.sums[key] = self.sums.get(key, 0) + value  # whole tokens stay whole numbers
                self.said[key] = self.said.get(key, 0) + 1

    def to_dict(self) -> dict[str, Any]:
        known: dict[str, Any] = {key: self.sums.get(key) for key in USAGE_SUMS}
        if known["cost_usd"] is not None:
            known["cost_usd"] = round(known["cost_usd"], 9)  # no 0.30000000000000004
        return {**known, "said": dict(self.said)}


class _Group:
    """The steps with one key."""

    __slots__ = ("count", "errors", "durations", "usage")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.durations = array("d")
        self.usage = _Usage()

    def add(self, step: Record, duration: float | None) -> None:
        self.count += 1
        self.errors += step.outcome == "error"
        if duration is not None:
            self.durations.append(duration)
        if step.usage:
            self.usage.add(step)

    def to_dict(self) -> dict[str, Any]:
        ordered = sorted(self.durations)
        return {
            "count": self.count,
            "errors": self.errors,
            "error_rate": round(self.errors / self.count, 6),
            "total_ms": round(math.fsum(ordered), 3) if ordered else None,
            "p50_ms": _rank(ordered, 50),
            "p95_ms": _rank(ordered, 95),
            "p99_ms": _rank(ordered, 99),
            "max_ms": ordered[-1] if ordered else None,
            "usage": self.usage.to_dict(),
        }


def _rank(ordered: list[float], percent: int) -> float | None:
    """The smallest of *ordered* that *percent* of them do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None
