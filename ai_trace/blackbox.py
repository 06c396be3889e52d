"""The black box: what is open now, on disk from the moment it was said, in a file as small as what is open.

Records are written at a moving end. When a step is finished its records are popped off the top and their space
is written over again; one that lies deeper is killed by a `#` over its first byte. When the file has grown past
`COMPACT_AT` and twice what is open, the open steps are written anew and the file is replaced as a whole.

The journal gets a step's line before its records die here, so at every instant each step stands in one or both
of the files. It survives the death of the process, not a power cut: nothing is synced unless asked.

Not locked by itself: the journal calls it under its own lock. Every method may raise `OSError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from . import alive, disk
from .line import Parts
from .live import DEAD, encode_log, encode_start

__all__ = ["BlackBox"]

COMPACT_AT = 1 << 20  # bytes; below it a rewrite would cost more than the space is worth


class BlackBox:
    """The file at *path*, created anew and locked.

    Args:
        header: given the journal's size, the bytes of the header line.
        durable: sync each record before the call returns.
    """

    def __init__(self, path: str, header: Callable[[int], bytes], durable: bool) -> None:
        self.path = path
        self._header = header
        self._disk = disk.active
        self._durable = durable
        self._number = 0
        self._runs: list[tuple[int, Parts]] = []  # (offset, step): where records of another step begin
        self._open: dict[str, Parts] = {}
        self._unmarked: list[Parts] = []  # ended, but the disk refused the `#`
        self._compact_at = COMPACT_AT
        self._pwrite = self._disk.pwrite
        self._fd = -1
        try:
            self._create(path, 0)
        except BaseException:
            self.close()
            raise

    def _create(self, path: str, at: int) -> None:
        """Make the file and write its header; from here on records go there."""
        fd = self._disk.open(path, disk.OVERWRITE | disk.NEW)
        alive.hold(fd)  # before the first byte: a reader asks for the lock only once there is a header
        self._fd, self._end = fd, 0
        self._put(self._header(at))

    def start(self, step: Parts, at: int) -> None:
        """Take down that *step* began, with its context."""
        if self._end > self._compact_at:
            self._make_room(at)
        self._number = number = self._number + 1
        self._open[step.id] = step
        place = self._end
        data = encode_start(number, at, step)
        if self._pwrite(self._fd, data, place) == len(data) and not self._durable:
            self._end = place + len(data)
        else:
            self._put(data)
        step.place = place
        self._runs.append((place, step))

    def log(self, step: Parts, entry: str, at: int) -> None:
        """Take down *entry*, the newest of the logs of *step*."""
        if self._end > self._compact_at and self._make_room(at):
            return  # the rewrite has written the new log, too
        self._number = number = self._number + 1
        place = self._end
        data = encode_log(number, at, step, entry)
        if self._pwrite(self._fd, data, place) == len(data) and not self._durable:
            self._end = place + len(data)
        else:
            self._put(data)
        runs = self._runs
        if not runs or runs[-1][1] is not step:
            runs.append((place, step))

    def _put(self, data: bytes) -> None:
        """Write *data* at the end, in pieces if need be; the end moves only when all of it is there."""
        end, size = self._end, len(data)
        done = self._pwrite(self._fd, data, end)
        while done < size:
            more = self._pwrite(self._fd, data[done:], end + done)
            if more <= 0:
                raise OSError(f"wrote {done} of {size} bytes to {self.path}")
            done += more
        self._end = end + size
        if self._durable:
            self._disk.fdatasync(self._fd)

    def end(self, step: Parts) -> None:
        """Forget *step*, whose line is in the journal."""
        self._open.pop(step.id, None)
        runs = self._runs
        while runs and runs[-1][1].id not in self._open:  # not `ended`: its line may not be in the journal yet
            self._end = runs.pop()[0]
        if self._unmarked:
            self._mark_late()
        if 0 <= step.place < self._end:
            self._unmarked.append(step)
            self._disk.pwrite(self._fd, DEAD, step.place)
            self._unmarked.pop()

    def _mark_late(self) -> None:
        """Mark what the disk refused to let us mark before; a place that was popped since belongs to others."""
        for step in self._unmarked[:]:
            if (step.place, step) in self._runs:
                self._disk.pwrite(self._fd, DEAD, step.place)
            self._unmarked.remove(step)

    def _make_room(self, at: int) -> bool:
        """Replace the file by one that holds only what is open; False where the disk refused, and all stays."""
        try:
            self.rewrite(at)
            return True
        except OSError:
            self._compact_at = max(self._compact_at, self._end) * 2
            return False

    def rewrite(self, at: int) -> None:
        """Write the open steps anew, to a file that takes the place of the old one."""
        before = self._fd, self._end, self._runs
        fresh = f"{self.path}.new"
        self._discard(fresh)
        try:
            self._create(fresh, at)
            self._runs = self._copy_open(at)
            self._disk.replace(fresh, self.path)
        except BaseException:
            if self._fd != before[0]:
                self.close()
            self._fd, self._end, self._runs = before
            self._discard(fresh)
            raise
        for place, step in self._runs:
            step.place = place
        self._unmarked = []
        self._compact_at = COMPACT_AT + 2 * self._end
        self._disk.close(before[0])

    def _copy_open(self, at: int) -> list[tuple[int, Parts]]:
        runs = []
        for step in self.open_steps:
            runs.append((self._end, step))
            self._number += 1
            self._put(encode_start(self._number, at, step))
            for entry in step.log_texts:
                self._number += 1
                self._put(encode_log(self._number, at, step, entry))
        return runs

    def _discard(self, path: str) -> None:
        try:
            self._disk.unlink(path)
        except OSError:
            pass

    @property
    def open_steps(self) -> list[Parts]:
        """The steps that began and have not ended, in the order in which they began."""
        return list(self._open.values())

    def adopt(self, steps: list[Parts], at: int) -> None:
        """Take over the open steps of a box that somebody removed."""
        self._open = {step.id: step for step in steps}
        self.rewrite(at)

    def bury(self, places: list[int]) -> None:
        """Mark the start records at *places* dead: their steps live on in another box."""
        for place in places:
            if 0 <= place < self._end:
                self._disk.pwrite(self._fd, DEAD, place)

    def remove(self) -> None:
        """The clean end: the file goes, if it is still the one at its path, then the lock."""
        try:
            ours, there = self._disk.fstat(self._fd), self._disk.stat(self.path)
            if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                self._discard(self.path)
        except OSError:
            pass  # it was taken away
        finally:
            self.close()

    def close(self) -> None:
        """Close our descriptor and no more: in a forked child an unlock would free the parent's lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)


def sibling(path: str) -> str:
    """The black box of the journal at *path*."""
    return os.path.splitext(path)[0] + ".live"
