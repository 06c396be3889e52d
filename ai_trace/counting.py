"""A journal file, counted: read in blocks, each added up as a whole (`census`), or line by line where one is odd.

A line that does not end as it should, or is not as long as it says, is read as every other reader does it: so damage
is seen all the same, and counts are the same.

Guarantees: memory is bounded by a block, the longest line and the number of step names. What was counted carries
marks by which the file is known again, so that a later look goes on where this one ended.
"""

from __future__ import annotations

import io
from binascii import crc32  # zlib's own, in a Python without zlib, too
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from . import clock, disk
from .census import Census
from .line import decode
from .lines import BLOCK, TOO_LONG, Lines, last_line
from .packed import opened
from .record import Damage

__all__ = ["Taken", "marks", "take"]

_SMALL: Final = 48 * 1024  # bytes; a journal below is read in one piece, with half the calls to the system
_EDGE: Final = 64  # bytes looked at, at the beginning and before the place reached
_SETTLED_NS: Final = 1_000_000_000  # a younger time of change may hide a second change (file systems: 10 ms)


class Taken(NamedTuple):
    """A stretch of a journal, counted.

    Attributes:
        census: what it adds up to.
        offset: where its last whole line ends.
        marks: by what the file is known again, counted so far.
        opening: the first line, or as much of it as one block holds; b"" where the stretch begins later.
    """

    census: Census
    offset: int
    marks: dict[str, Any]
    opening: bytes


def take(
    path: str,
    offset: int = 0,
    until: int | None = None,
    *,
    grouped: bool = True,
    tick: Callable[[int], object] | None = None,
) -> Taken:
    """Count the whole lines of the journal *path* from *offset*, which is the start of a line.

    *until* is where to stop, in bytes from the start of the file; *tick* is told how many bytes were read.
    """
    if offset == 0 and until is None and (small := _at_once(path, grouped)) is not None:
        if tick is not None:
            tick(small.offset)
        return small
    census, lines, opening = Census(grouped=grouped), Lines(offset, None), b""
    with opened(path) as file:
        if until is None and not file.packed:
            until = file.size()  # what is added meanwhile comes the next time
        while until is None or offset < until:
            asked = BLOCK if until is None else min(BLOCK, until - offset)
            block = file.pread(asked, offset)
            if offset == 0:
                opening = block[: block.find(b"\n") + 1 or len(block)]
            first, begin, end = lines.first(block)
            if first is not None:
                _one(census, path, *first)
            if begin < end and not census.add_block(block, begin, end):
                _line_by_line(census, path, lines.offset, block[begin:end])
            lines.give(end - begin)
            if tick is not None:
                tick(end or len(block))
            offset += len(block)
            if len(block) < asked:
                break
            if end and not file.packed:  # a half line is read again with its other half, which is cheaper than a copy
                offset = lines.offset
                lines.drop()
        if file.packed:
            return _to_the_end(file, path, census, lines, opening)
        return Taken(census, lines.offset, marks(file.fd, lines.offset), opening)


def _to_the_end(file: Any, path: str, census: Census, lines: Lines, opening: bytes) -> Taken:
    """Nobody writes on in a packed file: its end is counted here, and it is known again by its packed bytes."""
    lines.problem = file.problem
    for item in last_line(path, lines):
        census.add(item)
    size = int(disk.active.fstat(file.fd).st_size)
    return Taken(census, size, marks(file.fd, size), opening)


def _at_once(path: str, grouped: bool) -> Taken | None:
    """As `take`, of a small journal of whole steps alone; None for any other file."""
    fd = disk.active.open_regular(path)
    try:
        block: bytes = disk.active.pread(fd, _SMALL, 0)
        size = len(block)
        if size == _SMALL or not (block.startswith(b"{") and block.endswith(b"\n")):
            return None
        census = Census(grouped=grouped)
        if not census.add_block(block, 0, size):
            return None
        return Taken(census, size, marks(fd, size, block), block[: block.index(b"\n") + 1])
    finally:
        disk.active.close(fd)


def marks(fd: int, offset: int, read: bytes = b"") -> dict[str, Any]:
    """By what the file open as *fd* is known again, when its bytes up to *offset* have been counted; *read* are
    those bytes, where they are at hand."""
    found = disk.active.fstat(fd)
    start = max(0, offset - _EDGE)
    if read:
        edges = read[:_EDGE] + read[start:]
    else:
        edges = disk.active.pread(fd, min(_EDGE, offset), 0) + disk.active.pread(fd, offset - start, start)
    return {
        "inode": found.st_ino,
        "times": [found.st_size, found.st_mtime_ns, found.st_ctime_ns],
        "settled": abs(clock.active.wall_ns() - max(found.st_mtime_ns, found.st_ctime_ns)) > _SETTLED_NS,
        "edges": crc32(edges),
    }


def _line_by_line(census: Census, path: str, offset: int, stretch: bytes) -> None:
    for line in io.BytesIO(stretch).readlines():
        _one(census, path, offset, len(line), line)
        offset += len(line)


def _one(census: Census, path: str, offset: int, length: int, raw: bytes | None) -> None:
    if raw is None:
        census.add(Damage(path, offset, length, TOO_LONG))
        return
    for item in decode(raw, path, offset, check=False):
        census.add(item)
