"""Where steps go: what every sink answers, what it counts, and the two sinks that write no file.

A step knows a sink and nothing of files. `Recorder` writes to disk; `Memory` keeps steps until somebody asks for
them; `Nothing` is for a tracer that is switched off.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from . import clock
from .line import Parts, decode, encode_step
from .record import Record

__all__ = ["Memory", "Nothing", "Sink", "Tally"]

MOST_WORDS = 1000  # outcomes of the app's own that are counted apart
OTHER = '"other"'
RING_STEPS = 100
RING_BYTES = 4 * 1024 * 1024  # of captured text in the ring's large steps; the newest stays whatever its size
LARGE = RING_BYTES // RING_STEPS  # bytes; a ring of steps below it cannot pass the bound


class Tally:
    """Counts of the finished steps, and a ring of the last of them: what stays in memory, and bounded.

    Not locked by itself: a sink adds to it under its own lock.

    Attributes:
        outcomes: how many steps ended so, by the JSON text of the outcome; past 1,000 words as "other".
        elapsed_ns: the sum of all durations, nanoseconds.
        masked: how many values were redacted.
    """

    __slots__ = ("elapsed_ns", "masked", "outcomes", "ring", "_large")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.elapsed_ns = 0
        self.masked = 0
        self.ring: deque[Parts] = deque(maxlen=RING_STEPS)
        self._large: deque[Parts] = deque(maxlen=RING_STEPS)

    def add(self, step: Parts) -> None:
        """Count *step*, which has just ended."""
        word, outcomes = step.outcome_text, self.outcomes
        if word in outcomes:
            outcomes[word] += 1
        elif len(outcomes) < MOST_WORDS:
            outcomes[word] = 1
        else:
            outcomes[OTHER] = outcomes.get(OTHER, 0) + 1
        self.elapsed_ns += step.elapsed_ns
        if step.masked:
            self.masked += step.masked
        self.ring.append(step)
        if step.size > LARGE:
            self._large.append(step)
            self._spare()

    def _spare(self) -> None:
        """Let go of the oldest large steps: a hundred small ones need no counting to be few bytes."""
        while sum(step.size for step in self._large) > RING_BYTES and len(self._large) > 1:
            oldest = self._large.popleft()
            if oldest in self.ring:
                self.ring.remove(oldest)

    @property
    def steps(self) -> int:
        """How many steps have ended."""
        return sum(self.outcomes.values())


class Sink(Protocol):
    """Takes steps. No method raises; each returns when the record is as safe as the sink makes it."""

    tally: Tally
    dropped: dict[str, int]

    def begin(self, step: Parts) -> None: ...
    def note(self, step: Parts, entry: str) -> None: ...  # adds *entry* to the step's logs
    def end(self, step: Parts) -> None: ...
    def shorten(self, step: Parts) -> None: ...
    def drop(self, reason: str) -> None: ...
    def set_meta(self, meta_text: str) -> None: ...
    def close(self) -> None: ...


class Nothing:
    """Takes everything and keeps nothing."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.dropped: dict[str, int] = {}

    def begin(self, step: Parts) -> None:
        """Nothing is written."""

    def note(self, step: Parts, entry: str) -> None:
        """Nothing is written."""

    def end(self, step: Parts) -> None:
        """Nothing is written or counted."""

    def shorten(self, step: Parts) -> None:
        """There are no logs."""

    def drop(self, reason: str) -> None:
        """Nothing was kept, so nothing was dropped."""

    def set_meta(self, meta_text: str) -> None:
        """Nothing is told."""

    def close(self) -> None:
        """Nothing is open."""


class Memory(Nothing):
    """Keeps every finished step until `steps` is asked for them: a tracer with `auto_save=False`."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Parts] = []
        self._lock = threading.RLock()

    def note(self, step: Parts, entry: str) -> None:
        """Keep *entry* with *step*."""
        with self._lock:
            step.log_texts.append(entry)

    def shorten(self, step: Parts) -> None:
        """Cut the middle out of the logs of *step*."""
        with self._lock:
            step.cut_middle(clock.active.wall_ns())

    def end(self, step: Parts) -> None:
        """Keep *step*."""
        with self._lock:
            self.steps.append(step)
            self.tally.add(step)

    def records(self) -> list[Record]:
        """The steps as a reader would find them on disk."""
        with self._lock:
            lines = [encode_step(step) for step in self.steps]
        found = [one for line in lines for one in decode(line, "", 0, None)]
        return [one for one in found if isinstance(one, Record)]

    def drop(self, reason: str) -> None:
        """Count something that could not be kept."""
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + 1
