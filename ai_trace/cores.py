"""A large journal counted by all cores: each part by a process of its own, and the sums put together.

Parts begin and end where lines do, so a line, whole or damaged, is counted by exactly one of them. The
processes are new ones (nothing is forked, Windows is served alike) that import nothing but what counts; the
part of one that fails is counted here. For the command line: a library does not start processes unasked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from . import disk
from .census import Census, take
from .index import census_from_bytes, census_to_bytes
from .lines import BLOCK

__all__ = ["PAYS", "count", "main"]

PAYS: Final = 32 * 1024 * 1024  # bytes; below, starting a process (some 60 ms) costs about what it saves
_MOST: Final = 8  # processes; beyond, putting the sums together and the disk set the pace


def count(path: str, offset: int, *, tick: Callable[[int], object] | None = None) -> tuple[Census, int]:
    """As `census.take` from *offset* to the end, by as many processes as help."""
    parts = _parts(path, offset)
    if len(parts) < 2:
        return take(path, offset, tick=tick)
    helpers = [_start(path, *part) for part in parts[1:]]
    try:
        whole, reached = take(path, *parts[0], tick=tick and (lambda size: tick(size * len(parts))))
        for part, helper in zip(parts[1:], helpers):
            more, reached = _result(helper) or take(path, *part)
            whole.merge(more)
    finally:
        for helper in helpers:
            if helper is not None:
                _stop(helper)
    return whole, reached


def _parts(path: str, offset: int) -> list[tuple[int, int]]:
    """(start, end) of stretches that begin and end with lines; one, or none, where more would not pay."""
    fd = disk.active.open_regular(path)
    try:
        size = disk.active.fstat(fd).st_size
        number = min(_cores(), _MOST, (size - offset) // (PAYS // 2))
        if size - offset < PAYS or number < 2 or not sys.executable or getattr(sys, "frozen", False):
            return []
        edges = [offset]
        for n in range(1, number):
            edges.append(_line_start(fd, max(edges[-1], offset + (size - offset) * n // number), size))
        return list(zip(edges, [*edges[1:], size]))
    finally:
        disk.active.close(fd)


def _line_start(fd: int, position: int, size: int) -> int:
    """Where the first line behind *position* begins."""
    while position < size:
        block = disk.active.pread(fd, BLOCK, position)
        newline = block.find(b"\n")
        if newline >= 0:
            return int(position + newline + 1)
        if not block:
            break
        position += len(block)
    return size


def _cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _start(path: str, start: int, end: int) -> Any:
    """A process that counts from *start* to *end*; None where none can be started."""
    import subprocess

    command = [sys.executable, "-m", __name__, os.path.abspath(path), str(start), str(end)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}
    try:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        )  # fmt: skip
    except (OSError, ValueError):
        return None


def _result(helper: Any) -> tuple[Census, int] | None:
    if helper is None:
        return None
    reached, _, sums = helper.communicate()[0].partition(b"\n")
    try:
        return census_from_bytes(sums), int(reached)
    except ValueError:
        return None


def _stop(helper: Any) -> None:
    if helper.poll() is None:
        helper.kill()
    helper.stdout.close()
    helper.wait()


def main(path: str, start: str, end: str) -> None:
    """Count, and write where it ended and the sums to standard output."""
    try:
        census, reached = take(path, int(start), int(end))
    except KeyboardInterrupt:  # meant for the process that asked
        return
    sys.stdout.buffer.write(b"%d\n" % reached + census_to_bytes(census))


if __name__ == "__main__":
    main(*sys.argv[1:])
