"""KeyboardInterrupt where it hurts: at the k-th line or bytecode of ours, or by a real signal at any moment.

`interrupt_each` runs a scenario with the first event inside `ai_trace` raising, then the second, and so on
until a run reaches its end without meeting the interrupt. `storm` raises from a signal handler of a timer.

A trace function may raise where a real signal never strikes: between the end of a `with` block and the call
of its `__exit__`, and at the NOP of a `try:`, which CPython runs without looking for signals and leaves out of
the table of handlers. Those events are passed over.
"""

from __future__ import annotations

import dis
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

__all__ = ["interrupt_each", "storm"]

_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "ai_trace")


class Interrupter:
    """A trace function that raises KeyboardInterrupt at the *nth* event inside `ai_trace`, once.

    Attributes:
        met: whether it did.
        where: file and line, for the message of a failing test.
    """

    def __init__(self, nth: int, opcodes: bool) -> None:
        self.nth, self.opcodes = nth, opcodes
        self.count = 0
        self.met = False
        self.where = "nowhere"

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        if self.opcodes:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        wanted = "opcode" if self.opcodes else "line"
        if event == wanted and not self.met and frame.f_lasti not in _deaf_places(frame.f_code):
            self.count += 1
            if self.count == self.nth:
                self.met, self.where = True, f"{frame.f_code.co_filename}:{frame.f_lineno}, at {frame.f_lasti}"
                raise KeyboardInterrupt(self.where)
        return self


_known: dict[int, tuple[CodeType, frozenset[int]]] = {}  # by id: to compare code costs more than to trace it


def _deaf_places(code: CodeType) -> frozenset[int]:
    """Offsets in *code* at which no signal can strike."""
    if id(code) not in _known:
        _known[id(code)] = code, frozenset(_find_deaf_places(code))
    return _known[id(code)][1]


def _find_deaf_places(code: CodeType) -> Iterator[int]:
    """`__exit__(None, None, None)` is the only call whose arguments are three constants None in a row."""
    steps = list(dis.get_instructions(code))
    nones: list[int] = []
    for at, step in enumerate(steps):
        if step.opname == "NOP":
            yield step.offset
        if (step.opname == "LOAD_CONST" and step.argval is None) or (step.opname == "DUP_TOP" and nones):
            nones.append(step.offset)
        elif len(nones) >= 3 and step.opname in ("PRECALL", "CALL", "CALL_FUNCTION"):
            before = steps[at - len(nones) - 1]
            yield from (before.offset, *nones, step.offset)
            if step.opname == "PRECALL":
                yield steps[at + 1].offset
            nones = []
        else:
            nones = []


def interrupt_each(
    run: Callable[[Interrupter], None], *, opcodes: bool = False, every: int = 1, first: int = 1
) -> int:
    """Call *run(interrupter)* for the events *first*, *first* + *every*, …; answers how many runs it took.

    *run* puts the interrupter to work by `interrupting` and checks what must hold.
    """
    nth, runs = first, 0
    while True:
        interrupter = Interrupter(nth, opcodes)
        runs += 1
        run(interrupter)
        if not interrupter.met:
            return runs
        nth += every


@contextmanager
def interrupting(interrupter: Interrupter) -> Iterator[None]:
    """Here the interrupter strikes."""
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = interrupter.opcodes  # 3.12 asks for opcodes where tracing begins, or never
    sys.settrace(interrupter)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def storm(act: Callable[[], None], seconds: float = 1e-4) -> Iterator[None]:
    """*act* is called from a signal handler, again and again, about every *seconds*; POSIX, main thread."""

    over = False

    def handler(number: int, frame: FrameType | None) -> None:
        if not over:  # it may run once more behind the end, and must not set the timer again
            act()
            signal.setitimer(signal.ITIMER_REAL, seconds * random.uniform(0.5, 1.5))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
