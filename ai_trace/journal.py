"""The journal: one file, one line per finished step, appended by one process and by nobody else.

Guarantees: a line and its newline go to the kernel in one `write`; when `append` returns, the line survives
the death of the process (`sync` "never") or of the power ("step", "always"). After a write that was cut short
the file may end in a piece: the next line then begins with a newline, so a piece never swallows a record.
Nothing is ever truncated or written over.
"""

from __future__ import annotations

from . import disk

__all__ = ["Journal", "Unsynced"]


class Unsynced(OSError):
    """The line was written; the disk refused to say that it is safe."""


class Journal:
    """The file at *path*, created anew (mode 0600, no symlink followed); `FileExistsError` where it is there.

    Attributes:
        size: bytes in the file, as far as this process wrote them.
        lines: how many lines have been appended since `verify_place` last found the file in place.
        room: bytes that `append` adds to a line; the line's `len` has to count them.
    """

    room = 0

    def __init__(self, path: str, durable: bool) -> None:
        self.path = path
        self.size = 0
        self.lines = 0
        self._durable = durable
        self._disk = disk.active
        self._in_doubt = False  # the last write may have left nothing, a piece, or all
        self._intended = 0  # where the file ends if it left all
        self._torn = False  # the file ends in a piece of a line
        self._fd = self._disk.open(path, disk.APPEND | disk.NEW)
        try:
            status = self._disk.fstat(self._fd)
        except BaseException:
            self.close()
            self._disk.unlink(path)
            raise
        self._identity = status.st_dev, status.st_ino

    def append(self, line: bytes) -> None:
        """Add one whole *line*.

        Raises:
            OSError: the disk did not take all of it.
            Unsynced: it is in the file, but no longer known to survive a power cut. A second try would prove
                nothing (the kernel forgets what it could not write), so this file should get no more lines.
        """
        if self._in_doubt:
            self._find_end()
        if self._torn:
            line = b"\n" + line
        self._in_doubt, self._intended = True, self.size + len(line)  # a signal may strike behind the write, too
        written = self._disk.write(self._fd, line)
        while written < len(line):  # a signal or the last free block cut it short: we are the only writer, go on
            more = self._disk.write(self._fd, line[written:])
            if more <= 0:
                raise OSError(f"wrote {written} of {len(line)} bytes to {self.path}")
            written += more
        self.size += written  # first: a signal may strike between any two of these
        self._in_doubt = self._torn = False
        self.lines += 1
        if self._durable:
            try:
                self._disk.fdatasync(self._fd)
            except OSError as err:
                raise Unsynced(err.errno, f"written, but not synced: {err.strerror}") from err

    def grew_whole(self, before: int) -> bool:
        """Did the write that was interrupted add a whole line to the *before* bytes that were there?"""
        if self._in_doubt:
            self._find_end()
        return before < self.size == self._intended

    def _find_end(self) -> None:
        """What did the write in doubt leave? Nothing and all end the file as a line should, anything else does not."""
        size = self._disk.fstat(self._fd).st_size
        if size == self._intended:
            self._torn = False
        elif size != self.size:
            self._torn = True
        self.size, self._in_doubt = size, False

    def verify_place(self) -> str | None:
        """Is the file still the one at its path, and whole?

        Returns:
            None, or what became of it: "deleted", "replaced", "moved" (these need a new file) or "truncated"
            (it is still ours, and appends go to its new end).
        """
        try:
            status = self._disk.stat(self.path)
        except OSError:
            return "moved" if self._disk.fstat(self._fd).st_nlink else "deleted"
        if (status.st_dev, status.st_ino) != self._identity:
            return "replaced"
        self.lines = 0
        if status.st_size < self.size:
            self.size, self._torn = status.st_size, True
            return "truncated"
        return None

    def close(self) -> None:
        """Close the descriptor; nothing is buffered, so nothing is lost without it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
