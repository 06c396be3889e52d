"""A file's bytes → its lines, whole ones only, however the bytes come; from its start or from its end.

Memory is bounded: a line longer than `MAX_LINE` is told by its length alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .line import decode
from .packed import Plain, opened
from .record import Damage, Record

__all__ = ["BLOCK", "MAX_LINE", "TOO_LONG", "Lines", "fetch", "kept_open", "last_line", "last_lines"]

BLOCK: Final = 256 * 1024  # bytes read at once; larger blocks gained nothing
MAX_LINE: Final = 64 * 1024 * 1024  # bytes; four times what the recorder ever writes of one step
TOO_LONG: Final = f"a line longer than {MAX_LINE >> 20} MiB"
_CUT_OFF: Final = "cut off: no newline at the end"


class Lines:
    """Blocks of bytes → whole lines, however the blocks are cut.

    Attributes:
        offset: where the first line not yet given begins.
        size: how many bytes of that line are here already.
        count: the number of the last line given, from 1; None where counting did not start at the file's
        start.
        problem: why the bytes end before the file does, once they have; "" where they do not.
    """

    problem = ""

    def __init__(self, offset: int = 0, count: int | None = 0) -> None:
        self.offset = offset
        self.count = count
        self.size = 0
        self._pieces: list[bytes] = []

    def feed(self, block: bytes) -> Iterator[tuple[int, int, bytes | None]]:
        """(offset, length, bytes) of each line that ends in *block*; None for the bytes of one past
        `MAX_LINE`."""
        first, begin, end = self.first(block)
        if first is not None:
            yield first
        for line in io.BytesIO(block[begin:end]).readlines():
            start = self.offset
            self.give(len(line))
            yield start, len(line), line

    def first(self, block: bytes) -> tuple[tuple[int, int, bytes | None] | None, int, int]:
        """The line that *block* ends, where one was begun before; and between which bytes whole lines stand
        behind it.

        What comes after the last newline is held. The caller says with `give` which of those lines he has
        taken.
        """
        end = block.rfind(b"\n") + 1
        first = None
        start = 0
        if self.size and end:
            start = block.index(b"\n") + 1
            length = self.size + start
            raw = b"".join((*self._pieces, block[:start])) if length <= MAX_LINE else None
            first = (self.offset, length, raw)
            self.size = 0
            self._pieces.clear()
            self.give(length)
        if end < len(block):
            self._hold(block[end:])
        return first, start, end

    def give(self, length: int, count: int = 1) -> None:
        """Count lines of *length* bytes together as given."""
        self.offset += length
        if self.count is not None:
            self.count += count

    def _hold(self, half: bytes) -> None:
        self.size += len(half)
        if self.size > MAX_LINE:
            self._pieces.clear()  # too long to be a step: its length is all that will be told
        else:
            self._pieces.append(half)

    def drop(self) -> None:
        """Let go of the half line at hand, which will be given again from its start."""
        self.size = 0
        self._pieces.clear()

    @property
    def tail(self) -> bytes:
        """The half line at the end; b"" where there is none or it is past `MAX_LINE`."""
        return b"".join(self._pieces)


def last_line(path: str, lines: Lines) -> list[Record | Damage]:
    """What the half line that *lines* holds is, when nobody will write it to its end; and what is wrong there."""
    if not lines.size and not lines.problem:
        return []
    number = None if lines.count is None else lines.count + 1
    tail = lines.tail
    found = decode(tail, path, lines.offset, number) if tail else []
    if found and all(isinstance(item, Record) for item in found) and not lines.problem:
        return found
    steps: list[Record | Damage] = [item for item in found if isinstance(item, Record)]
    start = max((item.offset + item.length for item in steps), default=lines.offset)
    reason = _CUT_OFF if tail.strip(b"\0") or not tail else "NUL bytes at the end, as a power cut leaves them"
    return [*steps, Damage(path, start, lines.offset + lines.size - start, lines.problem or reason, number)]


def last_lines(path: str, count: int) -> int:
    """The offset at which the last *count* whole lines of the file begin; read from the end backwards."""
    with opened(path) as file:
        position = file.size()
        missing = count + 1  # the newline before the first of them counts, too
        while position > 0:
            start = max(0, position - BLOCK)
            block = file.pread(position - start, start)
            found = block.count(b"\n")
            if found >= missing:
                for _ in range(missing - 1):
                    block = block[: block.rindex(b"\n")]
                return start + block.rindex(b"\n") + 1
            missing -= found
            position = start
        return 0


def fetch(path: str, offset: int, length: int) -> bytes:
    """*length* bytes at *offset* of *path*, b"" where they are gone; what a step that was shed asks for."""
    try:
        with opened(path) as file:
            return file.pread(length, offset)
    except OSError:
        return b""


@contextmanager
def kept_open() -> Iterator[None]:
    """While the block runs, steps that were shed find their lines through files that stay open."""
    before, files = Record.fetch, dict[str, Plain]()

    def fetch_from_open(path: str, offset: int, length: int) -> bytes:
        try:
            if path not in files:
                if len(files) >= _MAX_OPEN:
                    files.pop(next(iter(files))).close()
                files[path] = opened(path)
            return files[path].pread(length, offset)
        except OSError:
            return b""

    Record.fetch = staticmethod(fetch_from_open)
    try:
        yield
    finally:
        Record.fetch = before
        for file in files.values():
            file.close()


_MAX_OPEN: Final = 16  # files: a session of a few forked children
