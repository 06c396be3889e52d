"""The numbers behind `ai-trace stats`: counts, rates, durations, tokens and cost, gathered session by session.

Percentiles are by nearest rank: p95 is a duration that really happened, and 95 % were no longer. Of a group of
more than 100,000 steps they are within 1 % of that one, and `approximate` says so. Unknown is unknown: tokens
and cost that no step logged are None, never 0, and a duration that is no number is counted apart.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..census import Group
from ..totals import USAGE_SUMS

if TYPE_CHECKING:
    from .survey import Survey

__all__ = ["Counts"]


class Counts:
    """Numbers over many sessions, in groups *by* step name, agent, session or model."""

    def __init__(self, by: str) -> None:
        self._by = by
        self._groups: dict[str | None, Group] = {}
        self._all = Group()
        self._states: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, session: Survey, *, steps: bool = True) -> None:
        """Count *session*; without *steps* only what was damaged, lost and masked in it."""
        counted = session.census
        self._states[session.state] += 1
        self._sums.update(damage=counted.damage, dropped=counted.dropped, redacted=counted.redacted)
        if not steps:
            return
        self._sums.update(unfinished=len(session.open), durations_unknown=counted.timeless)
        self._outcomes.update(counted.outcomes)
        for (name, model), group in counted.groups.items():
            key = {"name": name, "model": model, "agent": session.agent, "session": session.name}[self._by]
            self._groups.setdefault(key, Group()).merge(group)
            self._all.merge_usage(group)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data; groups by total duration, the longest first."""
        rows = [{"key": key, **_plain(group)} for key, group in self._groups.items()]
        rows.sort(key=lambda row: (-(row["total_ms"] or 0), -row["count"], row["key"] or ""))
        outcomes = sorted(self._outcomes.items(), key=lambda item: (-item[1], item[0]))
        return {
            "sessions": sum(self._states.values()),
            "states": dict(self._states),
            "steps": sum(self._outcomes.values()),
            "unfinished": self._sums["unfinished"],
            "outcomes": dict(outcomes),
            "damage": self._sums["damage"],
            "dropped": self._sums["dropped"],
            "redacted": self._sums["redacted"],
            "durations_unknown": self._sums["durations_unknown"],
            "usage": _usage(self._all),
            "by": self._by,
            "groups": rows,
        }


def _plain(group: Group) -> dict[str, Any]:
    spans = group.spans
    p50, p95, p99 = spans.percentiles(50, 95, 99)
    return {
        "count": group.count,
        "errors": group.errors,
        "error_rate": round(group.errors / group.count, 6),
        "total_ms": round(spans.total, 3) if spans.count else None,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": spans.longest,
        "approximate": spans.approximate,
        "usage": _usage(group),
    }


def _usage(group: Group) -> dict[str, Any]:
    known: dict[str, Any] = {key: group.sums.get(key) for key in USAGE_SUMS}
    if known["cost_usd"] is not None:
        known["cost_usd"] = round(known["cost_usd"], 9)  # no 0.30000000000000004
    return {**known, "said": dict(group.said)}
