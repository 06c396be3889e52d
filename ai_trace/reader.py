"""Bytes on disk → steps and damages, in bounded memory; it believes nothing.

Guarantees, whatever is in a file: reading ends; each whole step before and after a damage comes, in order;
each damage says where and what it is; memory stays within a block and the longest line (64 MiB); nothing is
raised but `NotATrace`, and `OSError` where the system refuses the file itself.

A half line at the end is no damage while its writer lives: `Scan` holds it apart, with the offset to go on
from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from . import disk
from .exceptions import NotATrace
from .line import decode, glance_block
from .lines import BLOCK, TOO_LONG, Lines, fetch, last_line
from .live import Box, decode_box
from .packed import opened, stem
from .record import Damage, Record
from .sniff import refusal, snapshot, why_not

__all__ = ["Scan", "read", "read_box", "scan", "snapshot"]

MAX_BOX: Final = 256 * 1024 * 1024  # bytes of a black box: sixteen steps open at once, each at its limit


class Scan:
    """The steps and damages of one journal file, read as they are asked for.

    Attributes (final when the last item has come):
        offset: where to go on from; nothing before it needs to be read again.
        tail: the bytes of a half line from there to the end, b"" where there are none.
        pending: how many bytes that half line has, also where they are too many to be held.
        lines: how many lines were read, where reading began at the start of the file.
    """

    def __init__(
        self, path: str, offset: int = 0, *, until: int | None = None, check: bool = True,
        tick: Callable[[int], object] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._lines = Lines(offset, None if offset else 0)
        self._until = until
        self._check = check
        self._tick = tick
        self._items = self._read()

    def __iter__(self) -> Iterator[Record | Damage]:
        return self._items

    def __next__(self) -> Record | Damage:
        return next(self._items)

    @property
    def offset(self) -> int:
        return self._lines.offset

    @property
    def tail(self) -> bytes:
        return self._lines.tail

    @property
    def pending(self) -> int:
        return self._lines.size

    @property
    def lines(self) -> int | None:
        return self._lines.count

    def last(self) -> list[Record | Damage]:
        """What the half line at the end is once nobody writes on: a whole step without newline, or damage."""
        return last_line(self.path, self._lines)

    def _read(self) -> Iterator[Record | Damage]:
        lines = self._lines
        with opened(self.path) as file:
            for block in file.blocks(BLOCK, lines.offset, self._until):
                if self._tick is not None:
                    self._tick(len(block))
                if self._check:
                    for offset, length, raw in lines.feed(block):
                        yield from self._decode(offset, length, raw)
                    continue
                first, begin, end = lines.first(block)
                if first is not None:
                    yield from self._decode(*first)
                for item in glance_block(block, begin, end, self.path, lines.offset - begin):
                    if isinstance(item, Record):
                        yield item
                    else:
                        number = None if lines.count is None else lines.count + item.number
                        yield from decode(item.raw, self.path, item.offset, number)
                lines.give(end - begin, block.count(b"\n", begin, end))
            lines.problem = file.problem

    def _decode(self, offset: int, length: int, raw: bytes | None) -> list[Record | Damage]:
        if raw is None:
            return [Damage(self.path, offset, length, TOO_LONG, self._lines.count)]
        return decode(raw, self.path, offset, self._lines.count, check=self._check)


def scan(
    path: str | os.PathLike[str], offset: int = 0, *, until: int | None = None, check: bool = True,
    tick: Callable[[int], object] | None = None,
) -> Scan:  # fmt: skip
    """Stream the steps and damages of the journal at *path*, from *offset*, which is the start of a line.

    Args:
        until: where to stop, in bytes from the start of the file; a line that is cut there is left for later.
        check: parse every line as a whole. Without, a line is believed if its small fixed part reads and its
        length
            fits, which is several times faster and misses damage that keeps a line's length.
        tick: is told how many bytes were read, some at a time.
    """
    return Scan(os.fspath(path), offset, until=until, check=check, tick=tick)


def read_box(path: str) -> Box | None:
    """The black box at *path*, read until two reads agree; None where there is none.

    The writer overwrites it while we read. Twenty disagreements in a row mean that it is busy beyond reason;
    then the numbers at both ends of each record still tell whole records from torn ones.
    """
    try:
        fd = disk.active.open_regular(path)
    except OSError:
        return None
    try:
        size = BLOCK
        while True:
            raw = _steady(fd, size)
            box = decode_box(raw, path)
            if (
                len(raw) < size
                or size >= MAX_BOX
                or b"\n" in raw[box.used :]
                or raw[box.used : box.used + 1] not in b"{#"
            ):
                return box
            size *= 4
    except OSError:
        return None
    finally:
        disk.active.close(fd)


def _steady(fd: int, size: int) -> bytes:
    raw: bytes = disk.active.pread(fd, size, 0)
    for _ in range(20):
        before, raw = raw, disk.active.pread(fd, size, 0)
        if raw == before:
            break
    return raw


Record.fetch = staticmethod(fetch)  # a step that let go of its line finds it again


def read(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The steps in one file: a journal, a black box, the older package's lines, or a snapshot; damage is
    skipped.

    Yields:
        Record: in the order of the file; from a black box the open steps.

    Raises:
        NotATrace: at the first step asked for, where nothing in the file is a step.
    """
    name = os.fspath(path)
    try:
        steps = _steps(name)
        first = next(steps, None)
    except OSError as error:
        raise NotATrace(name, refusal(error)) from error
    if first is None:
        if not _young(name):
            raise why_not(name)
        return
    yield first
    yield from steps


def _steps(path: str) -> Iterator[Record]:
    whole = snapshot(path)
    if whole is not None:
        yield from whole.steps
        return
    if path.endswith(".live"):
        box = read_box(path)
        yield from box.steps if box is not None else ()
        return
    lines = scan(path)
    for item in lines:
        if isinstance(item, Record):
            yield item
    yield from (item for item in lines.last() if isinstance(item, Record))


def _young(path: str) -> bool:
    """Whether *path* belongs to a session that has nothing to show yet: a box, or an empty journal beside
    one."""
    box = path if path.endswith(".live") else stem(path) + ".live"
    found = read_box(box)
    return found is not None and found.header is not None and (box == path or not os.path.getsize(path))
