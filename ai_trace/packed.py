"""A file's bytes by their place in it, also where the file is compressed (gzip, RFC 1952).

Every reader of journals opens them here, and so reads `x.jsonl.gz` as it stands; offsets are those of the
unpacked bytes. What a file is, its first two bytes tell, not its name.

Guarantees, whatever is in a packed file: memory is bounded (a block, and at most `MOST_STATES` places from which
to go on, some 40 KB each), also for a bomb; reading forwards unpacks each byte once, and going back costs at most
the way from the place remembered before; a damaged or cut-off file gives all that can be unpacked, then ends, and
`problem` says why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple

from . import disk

__all__ = ["Packed", "Plain", "opened", "stem"]

_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 31  # zlib's word for: a gzip member, its checksum and length proved
_INPUT: Final = 64 * 1024  # bytes
_OUTPUT: Final = 256 * 1024  # bytes unpacked at once
_FIRST_STRIDE: Final = 1024 * 1024  # unpacked bytes between two places remembered, at first
MOST_STATES: Final = 96
MOST_KNOWN: Final = 4  # files whose places are remembered when they are closed

_DAMAGED: Final = "the gzip data is damaged from here on"
_CHANGED: Final = "the gzip checksum does not fit: something before this place was changed"
_CUT_OFF: Final = "the gzip data is cut off here"
_BEHIND: Final = "bytes behind the gzip data"


def stem(path: str) -> str:
    """*path* without its ending: `.jsonl`, `.live`, `.json`, and `.jsonl.gz` as a whole."""
    return os.path.splitext(path.removesuffix(".gz"))[0]


def opened(path: str) -> Plain:
    """The regular file at *path*, open for reading; to be closed, or used in a `with`."""
    fd = disk.active.open_regular(path)
    try:
        packed = disk.active.pread(fd, 2, 0) == _MAGIC
        return Packed(fd) if packed else Plain(fd)
    except BaseException:
        disk.active.close(fd)
        raise


class Plain:
    """An open file as it is.

    Attributes:
        fd: the file as the system knows it.
        problem: why reading ended before the file did; "" where it did not.
    """

    packed = False
    problem = ""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def pread(self, size: int, offset: int) -> bytes:
        """Up to *size* bytes from *offset*; b"" at the end."""
        return bytes(disk.active.pread(self.fd, size, offset))

    def size(self) -> int:
        """How many bytes there are as of now."""
        return int(disk.active.fstat(self.fd).st_size)

    def blocks(self, size: int, start: int = 0, until: int | None = None) -> Iterator[bytes]:
        """What stands from *start* to *until*, *size* bytes at a time; of what is written meanwhile nothing: a writer
        that is quicker than its reader would keep him for ever."""
        if not self.packed:
            until = self.size() if until is None else min(until, self.size())
        while until is None or start < until:
            block = self.pread(size if until is None else min(size, until - start), start)
            if not block:
                return
            start += len(block)
            yield block

    def close(self) -> None:
        disk.active.close(self.fd)

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _State(NamedTuple):
    """A place to go on from: so many bytes unpacked, from so many packed ones, and the decompressor there."""

    unpacked: int
    taken: int
    decompressor: Any

    def copy(self) -> _State:
        return self._replace(decompressor=self.decompressor.copy())


class _Places:
    """What was learnt of one packed file. Threads may share it: a state is only ever copied."""

    def __init__(self) -> None:
        self.states: list[_State] = []
        self.stride = _FIRST_STRIDE
        self.size: int | None = None

    def add(self, state: _State) -> None:
        if state.unpacked < self.stride + max((one.unpacked for one in self.states), default=0):
            return
        if len(self.states) >= MOST_STATES:
            self.states = self.states[1::2]
            self.stride *= 2
        self.states.append(state.copy())

    def before(self, offset: int) -> _State | None:
        fit = [state for state in self.states if state.unpacked <= offset]
        return max(fit, key=lambda state: state.unpacked).copy() if fit else None


_known: dict[object, _Places] = {}  # by device, inode, size and times of change; the newest last


class Packed(Plain):
    """An open gzip file, read as what was packed into it."""

    packed = True

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        found = disk.active.fstat(fd)
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = _known.pop(key, None)
        self._places = _known[key] = known or _Places()
        for old in list(_known)[:-MOST_KNOWN]:
            _known.pop(old, self._places)
        self._start = 0  # where the piece at hand stands among the unpacked bytes
        self._piece = b""
        self._taken, self._decompressor = 0, _decompressor()

    def pread(self, size: int, offset: int) -> bytes:
        self._go_to(offset)
        parts = []
        while size > 0:
            begin = offset - self._start
            part = self._piece[begin : begin + size]
            if part:
                parts.append(part)
                size -= len(part)
                offset += len(part)
            elif not self._advance():
                break
        return b"".join(parts)

    def size(self) -> int:
        """As of a plain file; the first time this unpacks all of it."""
        if self._places.size is None:
            while self._advance():
                pass
        return self._places.size or 0

    def _go_to(self, offset: int) -> None:
        """Make the piece at hand begin at or before *offset*: on the way back, or a long way forwards, from a
        place remembered."""
        ahead = self._start + len(self._piece)
        state = None if self._start <= offset <= ahead else self._places.before(offset)
        if offset < self._start or (state is not None and state.unpacked > ahead):
            self._start, self._taken, self._decompressor = state or _State(0, 0, _decompressor())
            self._piece, self.problem = b"", ""

    def _advance(self) -> bool:
        """Take the next piece to hand; False at the end, which leaves the last one."""
        piece = b""
        while not piece and not self.problem and self._has_more():
            piece = self._unpack()
        if not piece:
            self._places.size = self._start + len(self._piece)
            return False
        self._start += len(self._piece)
        self._piece = piece
        self._places.add(_State(self._start + len(piece), self._taken, self._decompressor))
        return True

    def _has_more(self) -> bool:
        """Whether there is more to unpack; where a member has ended, go over to the next (RFC 1952, 2.2)."""
        while self._decompressor.eof:
            rest = disk.active.pread(self.fd, _INPUT, self._taken)
            behind = rest.lstrip(b"\0")  # tapes pad with them
            self._taken += len(rest) - len(behind)
            if not rest:
                return False
            if behind and not behind.startswith(_MAGIC):
                self.problem = _BEHIND
                return False
            if behind:
                self._decompressor = _decompressor()
        return True

    def _unpack(self) -> bytes:
        """Some bytes from here; b"" where they are still to come, or where there is a problem."""
        import zlib

        block = disk.active.pread(self.fd, _INPUT, self._taken)
        room = _OUTPUT
        while True:
            attempt = self._decompressor.copy()
            try:
                piece: bytes = attempt.decompress(block, room)
                break
            except zlib.error as error:
                if room == 1:
                    self.problem = _CHANGED if "check" in str(error) else _DAMAGED
                    return b""
                room //= 2  # what stands before the damage is still to be had
        if not block and not piece and not attempt.eof:
            self.problem = _CUT_OFF
        left = attempt.unused_data if attempt.eof else attempt.unconsumed_tail
        self._taken += len(block) - len(left)
        self._decompressor = attempt
        return piece


def _decompressor() -> Any:
    import zlib

    return zlib.decompressobj(_GZIP)
