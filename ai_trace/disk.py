"""The only caller of `os.open`, `os.write`, `os.fsync`, `os.replace` and their kin: the fault seam.

Every effect on a file goes through the object `active`. A test puts a `Disk` of its own there that fails the
n-th call, writes short or records what was asked, and so can prove what holds when the disk says no.

The methods behave as the functions of `os` of the same name and raise `OSError` as they do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

__all__ = ["Disk", "active", "APPEND", "OVERWRITE", "READ", "NEW"]

_SAFE = os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0
_SAFE |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
NEW = os.O_CREAT | os.O_EXCL
APPEND = os.O_WRONLY | os.O_APPEND | _SAFE
OVERWRITE = os.O_RDWR | _SAFE
# A FIFO planted under a trace's name must not hang the one who looks: opened without blocking, then refused.
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Disk:
    """The operating system's files, one call a method."""

    write: Callable[[int, bytes], int] = staticmethod(os.write)
    close: Callable[[int], None] = staticmethod(os.close)
    fstat: Callable[[int], os.stat_result] = staticmethod(os.fstat)
    stat: Callable[..., os.stat_result] = staticmethod(os.stat)
    unlink: Callable[[str], None] = staticmethod(os.unlink)
    replace: Callable[[str, str], None] = staticmethod(os.replace)
    utime: Callable[..., None] = staticmethod(os.utime)
    fsync: Callable[[int], None] = staticmethod(os.fsync)
    fdatasync: Callable[[int], None] = staticmethod(getattr(os, "fdatasync", os.fsync))

    def open(self, path: str, flags: int) -> int:
        """Open *path*; a file that this makes has mode 0600 whatever the umask says."""
        fd = os.open(path, flags, 0o600)
        if flags & os.O_CREAT and hasattr(os, "fchmod") and os.fstat(fd).st_mode & 0o777 != 0o600:
            os.fchmod(fd, 0o600)
        return fd

    def mkdir(self, path: str) -> None:
        """Make *path*, with mode 0700 whatever the umask says, and its missing parents, which its owner can enter;
        leave one that exists."""
        missing = [path]
        while missing[-1] and not os.path.isdir(missing[-1]) and os.path.dirname(missing[-1]) != missing[-1]:
            missing.append(os.path.dirname(missing[-1]))  # a drive of Windows may not be there, and is its own parent
        for folder in missing[-2::-1]:
            try:
                os.mkdir(folder, 0o700 if folder is path else 0o777)
            except FileExistsError:  # another process was quicker, or it is no folder
                if not os.path.isdir(folder):
                    raise
            else:
                os.chmod(folder, 0o700 if folder is path else os.stat(folder).st_mode & 0o7777 | 0o700)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write *data* at *offset*; where there is no `os.pwrite`, by a seek that the caller's lock protects."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Up to *size* bytes from *offset*; fewer at the end of the file."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)

    if hasattr(os, "pwrite"):
        pwrite = staticmethod(os.pwrite)  # type: ignore[assignment]  # noqa: F811
        pread = staticmethod(os.pread)  # type: ignore[assignment]  # noqa: F811

    def open_regular(self, path: str) -> int:
        """Open *path* for reading; `OSError` says so where it is a folder, a FIFO or a device."""
        fd = os.open(path, READ)
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise OSError(f"{path} is not a regular file")
        except BaseException:
            os.close(fd)
            raise
        return fd

    def fsync_folder(self, path: str) -> None:
        """Make names in folder *path* durable; a system that cannot open folders (Windows) has no need of it."""
        try:
            fd = os.open(path, os.O_RDONLY)
        except (PermissionError, IsADirectoryError):
            return
        try:
            self.fsync(fd)
        finally:
            os.close(fd)


active: Any = Disk()
