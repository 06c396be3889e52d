"""The only reader of time and randomness, so that a replay or a test can take its place.

`active` is the clock in use. Whoever needs the time asks `clock.active` when it is built (a tracer) or
called (a command); a test puts its own object with the same four methods there.

Guarantees: `wall_ns` is UTC nanoseconds since 1970 and may jump; `steady_ns` never goes back; ids come from
the operating system's randomness, so `random.seed()` in an agent cannot repeat them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["Clock", "active"]

_BLOCK = 512  # step ids drawn from the system at a time: one by one they cost 0.35 µs, so 0.1

_GIL = bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Clock:
    """Time and identity as the operating system gives them."""

    wall_ns: Callable[[], int] = staticmethod(time.time_ns)
    steady_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)

    def __init__(self) -> None:
        self._ids: Iterator[str] = iter(())

    def reseed(self) -> None:
        """Forget the ids drawn ahead; called in a forked child, which must not repeat its parent's."""
        self._ids = iter(())

    def step_id(self) -> str:
        """16 hex digits, random (a W3C span id)."""
        return next(self._ids, None) or self._draw()  # `next` is one step of the interpreter: none comes twice

    def _draw(self) -> str:
        if not _GIL:  # there it is not
            return os.urandom(8).hex()
        digits = os.urandom(8 * _BLOCK).hex()
        self._ids = ids = iter([digits[at : at + 16] for at in range(0, 16 * _BLOCK, 16)])
        return next(ids)

    @staticmethod
    def trace_id() -> str:
        """32 random hex digits (a W3C trace id): the identity of a session."""
        return os.urandom(16).hex()


active = Clock()
