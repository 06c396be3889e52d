"""Counts over steps: outcomes, mean duration, tokens and cost by model. Pure.

Unknown stays unknown: a number that no step logged is absent (None in plain data), never 0, and each sum says
how many steps it is made of. A value that is no finite number, or is negative, is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from .record import Record, number

__all__ = ["Totals", "Usage", "USAGE_SUMS", "count", "usage_by_model", "duration_of"]

USAGE_SUMS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")


class Usage(NamedTuple):
    """Tokens and cost of the steps that named one model (None: they named none).

    `sums` holds only what some step logged. `said` counts the steps that logged each, so a cost known for
    3 of 10 steps can be shown as just that.
    """

    model: str | None
    steps: int
    sums: dict[str, float]
    said: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """`model`, `steps`, each sum or None, and `said`."""
        sums = {name: self.sums.get(name) for name in USAGE_SUMS}
        return {"model": self.model, "steps": self.steps, **sums, "said": dict(self.said)}


class Totals(NamedTuple):
    """Counts over a session; `steps` is the sum of the five outcomes after it."""

    steps: int
    ok: int
    errors: int
    cancelled: int
    other: int
    unfinished: int
    avg_duration_ms: float | None
    redacted: int
    dropped: int
    usage: list[Usage]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**self._asdict(), "usage": [usage.to_dict() for usage in self.usage]}


def count(steps: list[Record], *, redacted: int = 0, dropped: int = 0) -> Totals:
    """The totals of *steps*, open ones included; *redacted* and *dropped* are the session's own sums."""
    ended = [record for record in steps if not record.open]
    outcomes = [record.outcome for record in ended]
    ok, errors, cancelled = (outcomes.count(word) for word in ("ok", "error", "cancelled"))
    durations = [ms for ms in map(duration_of, ended) if ms is not None]
    return Totals(
        steps=len(steps),
        ok=ok,
        errors=errors,
        cancelled=cancelled,
        other=len(ended) - ok - errors - cancelled,
        unfinished=len(steps) - len(ended),
        avg_duration_ms=round(sum(durations) / len(durations), 2) if durations else None,
        redacted=redacted,
        dropped=dropped,
        usage=usage_by_model(steps),
    )


def duration_of(record: Record) -> float | None:
    """The milliseconds that *record* took, where it has a duration that can be one."""
    ms = number(record.duration_ms)
    return ms if ms is not None and ms >= 0 else None


def usage_by_model(steps: Iterable[Record]) -> list[Usage]:
    """Tokens and cost by model, models by name, the steps that named none last."""
    found: dict[str | None, list[Record]] = {}
    for record in steps:
        if record.usage:
            model = record.usage.get("model")
            found.setdefault(model if isinstance(model, str) else None, []).append(record)
    models = sorted(found, key=lambda model: (model is None, model or ""))
    return [_usage(model, found[model]) for model in models]


def _usage(model: str | None, records: list[Record]) -> Usage:
    sums: dict[str, float] = {}
    said: dict[str, int] = {}
    for name in USAGE_SUMS:
        logged: list[Any] = [record.usage.get(name) for record in records]
        good: list[float] = [value for value in logged if _counts(value)]
        if good:
            sums[name] = sum(good)  # whole tokens stay whole numbers
            said[name] = len(good)
    return Usage(model, len(records), sums, said)


def _counts(value: Any) -> bool:
    known = number(value)
    return known is not None and known >= 0
