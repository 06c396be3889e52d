"""Large and many journals counted by all cores: each process counts a part, and the sums are put together.

Parts of one journal begin and end where lines do, so a line, whole or damaged, is counted by exactly one
process. The processes are new ones (nothing is forked, Windows is served alike) that import nothing but what
counts; the part of one that fails is counted here. For the command line: a library starts no processes
unasked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final

from .census import Taken, take
from .index import counts_from_plain, counts_to_plain, groups_from_bytes, groups_to_bytes
from .lines import BLOCK
from .packed import Plain, opened

__all__ = ["count", "count_all", "main"]

PAYS: Final = 32 * 1024 * 1024  # bytes; below, starting a process (some 60 ms) costs about what it saves
MANY: Final = 2000  # small journals that take as long
_MOST: Final = 8  # processes; beyond, putting the sums together and the disk set the pace

Part = tuple[str, int, "int | None"]  # a journal, from where, up to where (None: to its end)


def count(
    path: str, offset: int = 0, *, grouped: bool = True, tick: Callable[[int], object] | None = None
) -> Taken:
    """As `census.take` from *offset* to the end, by as many processes as help."""
    parts = _parts(path, offset)
    if len(parts) < 2:
        return take(path, offset, grouped=grouped, tick=tick)
    workers = [_Worker([part], grouped) for part in parts[1:]]
    try:
        mine = take(*parts[0], grouped=grouped, tick=tick and (lambda size: tick(size * len(parts))))
        for part, worker in zip(parts[1:], workers):
            more = worker.answers().get(path) or take(*part, grouped=grouped)
            mine.census.merge(more.census)
            mine = more._replace(census=mine.census, opening=mine.opening)
    finally:
        for worker in workers:
            worker.stop()
    return mine


def count_all(paths: Sequence[str], *, grouped: bool) -> dict[str, Taken]:
    """Some of *paths* counted, where they are so many that it pays; the others are left to the caller."""
    number = min(_cores(), _MOST, 2 * len(paths) // MANY)
    if number < 2 or not _may_start():
        return {}
    workers = [_Worker([(path, 0, None) for path in paths[n::number]], grouped) for n in range(number)]
    try:
        return {path: taken for worker in workers for path, taken in worker.answers().items()}
    finally:
        for worker in workers:
            worker.stop()


def _parts(path: str, offset: int) -> list[Part]:
    """Stretches that begin and end with lines; none where more than one would not pay."""
    with opened(path) as file:
        if file.packed:
            return []
        size = file.size()
        number = min(_cores(), _MOST, (size - offset) // (PAYS // 2))
        if number < 2 or not _may_start():
            return []
        edges = [offset]
        for n in range(1, number):
            edges.append(_line_start(file, max(edges[-1], offset + (size - offset) * n // number), size))
        return [(path, start, end) for start, end in zip(edges, [*edges[1:], size])]


def _line_start(file: Plain, position: int, size: int) -> int:
    """Where the first line behind *position* begins."""
    while position < size:
        block = file.pread(BLOCK, position)
        newline = block.find(b"\n")
        if newline >= 0:
            return position + newline + 1
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


def _may_start() -> bool:
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class _Worker:
    """A process that counts *parts*."""

    def __init__(self, parts: Sequence[Part], grouped: bool) -> None:
        import subprocess

        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        path = os.pathsep.join([here, *map(os.path.abspath, filter(None, sys.path))])
        self._asked = [part[0] for part in parts]
        self._process: subprocess.Popen[bytes] | None = None
        work = [[os.path.abspath(name), start, end] for name, start, end in parts]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps([grouped, work]).encode())
            self._process.stdin.close()
        except (OSError, ValueError):
            self.stop()

    def answers(self) -> dict[str, Taken]:
        """What it has counted, by path; less than asked for where it failed."""
        if self._process is None or self._process.stdout is None:
            return {}
        try:
            return dict(zip(self._asked, _read(self._process.stdout)))
        except (OSError, ValueError):
            return {}

    def stop(self) -> None:
        """End it, if it has not ended."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:
                    pass
            process.wait()


def _read(stream: IO[bytes]) -> Iterator[Taken]:
    """One answer after the other; raises `ValueError` where they break off."""
    while header := stream.readline():
        offset, marks, opening, counts, size = json.loads(header)
        census = counts_from_plain(counts)
        if size is not None:
            groups_from_bytes(census, stream.read(size))
        yield Taken(census, offset, marks, opening.encode("latin-1"))


def main(source: IO[bytes], target: IO[bytes]) -> None:
    """Count the parts that *source* names, and write to *target* what each adds up to."""
    grouped, parts = json.loads(source.read())
    for path, start, end in parts:
        taken = take(path, start, end, grouped=grouped)
        sums = groups_to_bytes(taken.census) if grouped else b""
        header: list[Any] = [taken.offset, taken.marks, taken.opening.decode("latin-1")]
        header += [counts_to_plain(taken.census), len(sums) if grouped else None]
        target.write(json.dumps(header).encode() + b"\n" + sums)
    target.flush()


if __name__ == "__main__":
    try:
        main(sys.stdin.buffer, sys.stdout.buffer)
    except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C is meant for the process that asked
        os._exit(1)
