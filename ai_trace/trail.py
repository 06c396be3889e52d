"""The steps of a session as the search for where values came from goes through them: by place, by start. Pure.

`Steps` is the trail of steps that are at hand; of a long journal `outline.py` reads one from the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from math import inf
from typing import NamedTuple, Protocol

from .marks import Marks
from .record import Record, number
from .sightings import Said
from .sweep import sweep

__all__ = ["Reading", "Steps", "Trail", "start"]


class Trail(Protocol):
    """The steps of a session in the order of their starts."""

    def number(self, step: Record) -> int:
        """The place of *step* by start, from 1."""

    def step(self, number: int) -> Record:
        """The step at that place; the same object each time."""

    def path_to(self, step: Record) -> list[Record]:
        """The steps from the root down to *step*."""

    def reading(self, until: float, near: Iterable[int], holding: tuple[bytes, ...] = ()) -> Reading:
        """What was seen and said by the steps that began by *until*; those right before the numbers *near* stand
        outside its gap. With *holding*, steps in whose lines none of these bytes stand may be left out."""


class Reading(NamedTuple):
    """What steps saw and said, read as far as it is asked for."""

    edges: Iterable[Said]
    gap: tuple[float, float] | None = None  # between which times not all are among *edges*
    between: Callable[[Marks], Iterable[Said]] = lambda _: ()  # more of them, each once: those in lines with marks


class Steps:
    """The trail of *steps*, which are all of a session by start."""

    def __init__(self, steps: Sequence[Record], path_to: Callable[[Record], list[Record]]) -> None:
        self._steps = steps
        self._numbers = {step: place for place, step in enumerate(steps, 1)}
        self.path_to = path_to

    def number(self, step: Record) -> int:
        return self._numbers[step]

    def step(self, number: int) -> Record:
        return self._steps[number - 1]

    def reading(self, until: float, near: Iterable[int], holding: tuple[bytes, ...] = ()) -> Reading:
        return Reading(self._said(until, holding))

    def _said(self, until: float, holding: tuple[bytes, ...]) -> Iterator[Said]:
        earlier = islice(self._steps, bisect_right(self._steps, until, key=start))
        for step, context, logs in sweep(earlier, holding):
            yield self._numbers[step], step.started_at, context, logs


def start(step: Record) -> float:
    """When *step* began, in seconds since 1970; infinity where nothing tells."""
    known = number(step.started_at)
    return inf if known is None else known
