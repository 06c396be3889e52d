"""The only reader of time and randomness, so that a replay or a test can take its place.

`active` is the clock in use. Whoever needs the time asks `clock.active` when it is built (a tracer) or
called (a command); a test puts its own object with the same four methods there.

Guarantees: `wall_ns` is UTC nanoseconds since 1970 and may jump; `steady_ns` never goes back; ids come from
the operating system's randomness, so `random.seed()` in an agent cannot repeat them.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import Callable

__all__ = ["Clock", "active"]

_MASK = (1 << 64) - 1
# 2**64 / golden ratio, odd: multiples of it visit every 64-bit value before one comes again (Knuth, TAOCP 6.4).
_STRIDE = 0x9E3779B97F4A7C15


def _gil_enabled() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Clock:
    """Time and identity as the operating system gives them."""

    wall_ns: Callable[[], int] = staticmethod(time.time_ns)
    steady_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)

    def __init__(self) -> None:
        self.reseed()

    def reseed(self) -> None:
        """Draw a new random base for step ids; called in a forked child, which must not repeat its parent's."""
        base = int.from_bytes(os.urandom(8), "big")
        count = itertools.count(1)
        if _gil_enabled():  # `next(count)` is one step of the interpreter only under the GIL
            self.step_id = lambda: "%016x" % ((base + next(count) * _STRIDE) & _MASK)
        else:
            self.step_id = lambda: os.urandom(8).hex()

    step_id: Callable[[], str]
    """16 hex digits, unique in this process and random between processes (a W3C span id)."""

    @staticmethod
    def trace_id() -> str:
        """32 random hex digits (a W3C trace id): the identity of a session."""
        return os.urandom(16).hex()


active = Clock()
