"""How long things took: total, longest and percentiles of any number of durations, in bounded memory. Pure.

Up to `EXACT` durations are kept as they are, and a percentile is by nearest rank: one that really happened.
Beyond that they are counted in buckets, and a percentile is at most 1 % away from that one. A bucket is all
doubles that share their exponent and the first six bits of their fraction (IEEE 754): 64 to each doubling, so
the middle of one is within 1/128 of whatever lies in it, and no logarithm is needed.

Guarantee: the answers depend on the durations alone, not on their order, nor on how they were put together.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["EXACT", "Spans"]

EXACT: Final = 100_000  # durations of one name kept one by one: 800 KB
_SHIFT: Final = 46  # of the 52 bits of a fraction six stay: the middle of a bucket is off by 0.8 % at most


class Spans:
    """Durations in milliseconds, finite and not negative.

    Attributes:
        count: how many there are.
        total: their sum.
        longest: the longest, or None where there is none.
    """

    __slots__ = ("count", "total", "longest", "_exact", "_buckets")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.longest: float | None = None
        self._exact = array("d")
        self._buckets: dict[int, int] = {}

    @property
    def approximate(self) -> bool:
        """Whether percentiles come from buckets."""
        return self.count > EXACT

    def extend(self, durations: Iterable[float]) -> None:
        """Add *durations*."""
        more = array("d", durations)
        if more:
            self._add(len(more), math.fsum(more), max(more))
            self._keep(more, {})

    def merge(self, other: Spans) -> None:
        """Add all that *other* holds."""
        if other.longest is not None:
            self._add(other.count, other.total, other.longest)
            self._keep(other._exact, other._buckets)

    def _add(self, count: int, total: float, longest: float) -> None:
        self.count += count
        self.total += total
        self.longest = longest if self.longest is None else max(self.longest, longest)

    def _keep(self, exact: array[float], buckets: dict[int, int]) -> None:
        self._exact.extend(exact)
        self._pour(buckets)
        if self.approximate and self._exact:
            bits = memoryview(self._exact).cast("B").cast("Q")
            self._pour(Counter([number >> _SHIFT for number in bits]))
            self._exact = array("d")

    def _pour(self, buckets: dict[int, int]) -> None:
        for bucket, count in buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def percentiles(self, *percents: int) -> list[float | None]:
        """For each of *percents* the smallest duration that so many percent of them do not exceed."""
        if not self.count:
            return [None] * len(percents)
        ranks = [max(1, math.ceil(self.count * percent / 100)) for percent in percents]
        if not self.approximate:
            ordered = sorted(self._exact)
            return [ordered[rank - 1] for rank in ranks]
        return [self._in_buckets(rank) for rank in ranks]

    def _in_buckets(self, rank: int) -> float:
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                break
        edges = struct.pack("=2Q", bucket << _SHIFT, (bucket + 1) << _SHIFT)
        low, high = struct.unpack("=2d", edges)
        return float(f"{min((low + high) / 2, self.longest or 0.0):.4g}") if low else 0.0

    def to_plain(self) -> tuple[list[Any], bytes]:
        """All of it: numbers, and the bytes of the durations kept one by one, in this machine's order."""
        ordered = array("d", sorted(self._exact))  # sorted once is sorted fast ever after
        return [self.count, self.total, self.longest, len(ordered), list(self._buckets.items())], ordered.tobytes()

    @classmethod
    def from_plain(cls, plain: list[Any], exact: bytes) -> Spans:
        """What `to_plain` gave, as it was."""
        spans = cls()
        spans.count, spans.total, spans.longest, _, buckets = plain
        spans._exact.frombytes(exact)
        spans._buckets.update(buckets)
        return spans
