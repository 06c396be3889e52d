"""Large and many journals counted by all cores: each process counts a part, and the sums are put together.

Of many journals each process counts some, and hands them over in small batches while it counts on. Parts of one journal begin and end where lines do, so a line, whole or damaged, is counted by exactly one
process. The processes are new ones (nothing is forked, Windows is served alike) that import nothing but what
counts; the part of one that fails is counted here. For the command line: a library starts no processes
unasked.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
import sys
from collections.abc import Callable, Generator, Sequence
from typing import IO, Any, Final

from . import disk
from .counting import Taken, take
from .index import Fold, Row, counts_from_plain, counts_to_plain, groups_from_bytes, groups_to_bytes, row
from .lines import BLOCK
from .packed import Plain, opened
from .sniff import header_in

__all__ = ["PLAIN", "count", "count_all", "main"]

PLAIN: Final = b'{"name":'  # how a journal begins, and no snapshot

PAYS: Final = 32 * 1024 * 1024  # bytes; below, starting a process (some 60 ms) costs about what it saves
MANY: Final = 2000  # small journals that take as long
_BATCH: Final = 64  # journals handed over together: some 20 KB, a third of what a pipe holds
_MOST: Final = 8  # processes; beyond, putting the sums together and the disk set the pace

# The package without what its `__init__` imports, and without site-packages: half of a start.
_START: Final = """
import sys
sys.path = [folder for folder in sys.path if folder]  # nothing from where the user happens to be
import os, types
package = sys.modules["ai_trace"] = types.ModuleType("ai_trace")
package.__path__ = sys.argv[1:]
from ai_trace.cores import main
try:
    main(sys.stdin.buffer, sys.stdout.buffer)
except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C is meant for the process that asked
    os._exit(1)
"""

Part = tuple[str, int, "int | None"]  # a journal, from where, up to where (None: to its end)


def count(
    path: str, offset: int = 0, *, grouped: bool = True, tick: Callable[[int], object] | None = None
) -> Taken:
    """As `counting.take` from *offset* to the end, by as many processes as help."""
    parts = _parts(path, offset)
    if len(parts) < 2:
        return take(path, offset, grouped=grouped, tick=tick)
    workers = [_Worker() for _ in parts[1:]]
    try:
        for part, worker in zip(parts[1:], workers):
            worker.ask(grouped, part)
        mine = take(*parts[0], grouped=grouped, tick=tick and (lambda size: tick(size * len(parts))))
        for part, worker in zip(parts[1:], workers):
            more = worker.answer() or take(*part, grouped=grouped)
            mine.census.merge(more.census)
            mine = more._replace(census=mine.census, opening=mine.opening)
    finally:
        for worker in workers:
            worker.stop()
    return mine


def count_all(paths: Sequence[str], *, grouped: bool) -> Generator[tuple[str, Row], None, None]:
    """Those of *paths*, in their order, that other processes could count, each with what `index.row` says of it.

    None where they are so few that it would not pay; others are left out, too, which the caller counts.
    """
    number = min(_cores(), _MOST, 2 * len(paths) // MANY)
    if number < 2 or not _may_start():
        return
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    workers = [_Worker() for _ in range(number)]
    try:
        for n, worker in enumerate(workers):
            worker.ask(grouped, None, batches[n::number])
        for n, batch in enumerate(batches):
            for path, found in zip(batch, workers[n % number].batch()):
                if found is not None:
                    yield path, Row(*found)
    finally:
        for worker in workers:
            worker.stop()


def _parts(path: str, offset: int) -> list[Part]:
    """Stretches that begin and end with lines; none where more than one would not pay."""
    if disk.active.stat(path).st_size - offset < PAYS:
        return []
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
    """A process that counts what it is asked to; one that fails answers nothing any more."""

    def __init__(self) -> None:
        import subprocess

        here = os.path.dirname(os.path.abspath(__file__))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", _START, here],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, ValueError):
            pass

    def ask(self, grouped: bool, part: Part | None, batches: Sequence[Sequence[str]] = ()) -> None:
        """Let it count *part*, or *batches* of whole journals; once."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps([grouped, part, batches]).encode())
            self._process.stdin.close()
        except (OSError, ValueError):
            self.stop()

    def answer(self) -> Taken | None:
        """What the part adds up to that it was asked about."""
        found: Taken | None = self._next(_read)
        return found

    def batch(self) -> list[tuple[bytes, bytes] | None]:
        """The next batch of journals, as rows; [] where it failed."""
        return self._next(marshal.load) or []

    def _next(self, read: Callable[[IO[bytes]], Any]) -> Any:
        if self._process is None or self._process.stdout is None:
            return None
        try:
            return read(self._process.stdout)
        except (OSError, ValueError, EOFError, TypeError):
            self.stop()
            return None

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


def _read(stream: IO[bytes]) -> Taken:
    """The answer about a part; raises `ValueError` where it breaks off."""
    offset, marks, opening, counts, size = json.loads(stream.readline())
    census = counts_from_plain(counts)
    if size is not None:
        groups_from_bytes(census, stream.read(size))
    return Taken(census, offset, marks, opening.encode("latin-1"))


def main(source: IO[bytes], target: IO[bytes]) -> None:
    """Count the parts or the batches that *source* names, and write to *target* what each adds up to."""
    gc.disable()  # nothing here refers to itself
    grouped, part, batches = json.loads(source.read())
    for batch in batches:
        target.write(marshal.dumps([_row(path, grouped) for path in batch]))
        target.flush()
    if part is not None:
        taken = take(*part, grouped=grouped)
        sums = groups_to_bytes(taken.census) if grouped else b""
        header: list[Any] = [taken.offset, taken.marks, taken.opening.decode("latin-1")]
        header += [counts_to_plain(taken.census), len(sums) if grouped else None]
        target.write(json.dumps(header).encode() + b"\n" + sums)
        target.flush()


def _row(path: str, grouped: bool) -> tuple[bytes, ...] | None:
    """The journal *path* as a row; None where it takes more than that: a half line at its end, a snapshot."""
    try:
        taken = take(path, grouped=grouped)
    except OSError:
        return None
    plain = taken.opening.startswith(PLAIN) and taken.opening.endswith(b"\n")
    if not plain or taken.offset != taken.marks["times"][0]:
        return None
    return tuple(row(Fold(taken.census, taken.offset, header_in(taken.opening)), taken.marks))
