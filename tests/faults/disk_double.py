"""A disk that fails the n-th call: SQLite's test loop, for everything that `ai_trace.disk` can be asked.

`run_failing_each_call` runs a scenario with the first call failing, then with the second, and so on until a
run reaches its end without meeting the failure; so no call can be forgotten, not even one written tomorrow.

The double wraps every public method that `Disk` has. A failing `close` closes first (as Linux does), so
that a descriptor counted as leaked is one that the recorder lost.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ai_trace import disk
from tests.faults import IN_MEMORY

__all__ = ["FAULTS", "Fault", "FailingDisk", "open_descriptors", "run_failing_each_call"]

Call = Callable[..., Any]


class Fault(NamedTuple):
    """What the n-th call does in place of its work; `act(call, args)` may do part of it."""

    name: str
    act: Callable[[str, Call, tuple[Any, ...]], Any]

    def __repr__(self) -> str:  # the name of a test case
        return self.name


def _refuse(number: int) -> Fault:
    def act(method: str, call: Call, args: tuple[Any, ...]) -> Any:
        if method == "close":
            call(*args)
        raise OSError(number, os.strerror(number), *(a for a in args[:1] if isinstance(a, str)))

    return Fault(errno.errorcode[number], act)


def _raise(error: type[BaseException], *, after: bool) -> Fault:
    def act(method: str, call: Call, args: tuple[Any, ...]) -> Any:
        if after or method == "close":
            answer = call(*args)
            if method in ("open", "open_regular"):
                os.close(answer)  # nobody will ever hear of this descriptor
        raise error(f"the disk double, in {method}")

    return Fault(f"{error.__name__}-{'after' if after else 'before'}", act)


def _short(kept: int) -> Fault:
    """Writes at most *kept* bytes and never all of them, as a disk does that is about to be full.

    A single byte cannot be cut short: it is written where *kept* is not 0.
    """

    def act(method: str, call: Call, args: tuple[Any, ...]) -> Any:
        if method not in ("write", "pwrite"):
            return call(*args)
        fd, data, *offset = args
        return call(fd, data[: min(kept, max(1, len(data) - 1))], *offset)

    return Fault(f"short-{kept}", act)


def _piece(kept: int) -> Fault:
    """Writes *kept* bytes and refuses the rest, as the last block of a disk does; other calls are refused whole."""

    def act(method: str, call: Call, args: tuple[Any, ...]) -> Any:
        if method == "close":
            call(*args)
        if method in ("write", "pwrite"):
            fd, data, *offset = args
            call(fd, data[: min(kept, len(data) - 1)], *offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return Fault(f"piece-{kept}-then-ENOSPC", act)


FAULTS = [
    *(
        _refuse(getattr(errno, name))
        for name in ("ENOSPC", "EIO", "EMFILE", "EINTR", "EDQUOT", "EROFS", "ESTALE", "EACCES")
        if hasattr(errno, name)
    ),
    _short(0),
    _short(1),
    _short(100),
    _piece(40),
    _raise(MemoryError, after=False),
    _raise(KeyboardInterrupt, after=False),
    _raise(KeyboardInterrupt, after=True),
]


class FailingDisk(disk.Disk):
    """The real disk, but for call number *nth* (and all after it, where *lasting*).

    Attributes:
        calls: what was asked, in order, as names of methods.
        met: whether the failure was reached.
    """

    def __init__(self, nth: int, fault: Fault, *, lasting: bool = False) -> None:
        self.nth = nth
        self.fault = fault
        self.lasting = lasting
        self.calls: list[str] = []
        self.healed = False
        for name in dir(disk.Disk):
            if not name.startswith("_"):
                setattr(self, name, self._wrapped(name, getattr(super(), name)))

    def _wrapped(self, name: str, call: Call) -> Call:
        def wrapper(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            at = len(self.calls)
            if not self.healed and (at == self.nth or (self.lasting and at > self.nth)):
                return self.fault.act(name, lambda *a: call(*a, **named), args)
            return call(*args, **named)

        return wrapper

    @property
    def met(self) -> bool:
        return len(self.calls) >= self.nth

    @property
    def failed_in(self) -> str:
        """The method that failed first; for the message of a failing test."""
        return self.calls[self.nth - 1] if self.met else "nothing"

    @contextmanager
    def in_place(self) -> Iterator[FailingDisk]:
        """Make this the disk of everything recorded meanwhile."""
        before = disk.active
        disk.active = self
        try:
            yield self
        finally:
            disk.active = before


def open_descriptors() -> set[str]:
    """What this process has open, `number -> target`, where the system can say so; else nothing."""
    found = set()
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            found.add(f"{name} -> {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            pass  # the descriptor of this very listing
    return found


def run_failing_each_call(
    scenario: Callable[[str, FailingDisk], Any],
    check: Callable[[str, FailingDisk, Any], None],
    fault: Fault,
    *,
    lasting: bool = False,
    limit: int = 2_000,
) -> int:
    """Run *scenario(folder, disk)* with call 1, 2, 3 … failing; after each, *check(folder, disk, answer)*.

    Returns how many runs it took until one met no failure. The check runs with the real disk back in place.
    """
    for nth in range(1, limit):
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            double = FailingDisk(nth, fault, lasting=lasting)
            with double.in_place():
                answer = scenario(folder, double)
            check(folder, double, answer)
        if not double.met:
            return nth
    raise AssertionError(f"after {limit} runs the scenario still meets a failing call")
