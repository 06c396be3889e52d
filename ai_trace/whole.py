"""A file whole or not at all: at its name there is always one whole version, the old or the new.

The recipe: write a temporary file in the same folder, fsync it, rename it over the name, fsync the folder
(without the first fsync, ext4 may show an empty file under the new name after a power cut). The temporary
file is made exclusively, follows no link, is readable by its owner only, and is removed where anything fails;
one left by a process that died is swept an hour later, when the same file is written again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from . import clock, disk

__all__ = ["write"]

_CHUNK: Final = 1 << 18  # bytes gathered before one call of write
_STALE_S: Final = 3600.0
# Windows refuses to replace a file that a viewer holds open: 5 is access denied, 32 a sharing violation.
_HELD_OPEN: Final = (5, 32)
_PAUSES_S: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.15)  # 0.48 s in all
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)  # some network and FUSE file systems have none


def write(path: str | os.PathLike[str], pieces: Iterable[str | bytes]) -> str:
    """Write *pieces* (text as UTF-8) to *path*, whole or not at all; the path where it is now.

    That is *path*, except on Windows where another program holds that file open: there, after half a second,
    it is the same name with ".1" (or the next number) before the suffix.

    Raises:
        OSError: as the disk said it; the file at *path* is as it was.
    """
    target = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(target)
    disk.active.mkdir(folder)
    _sweep(folder, name)
    temporary = os.path.join(folder, f"{_stem(name)}{os.getpid()}.{clock.active.step_id()}.tmp")
    try:
        _fill(temporary, pieces)
        target = _replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    try:
        disk.active.fsync_folder(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    return target


def _fill(path: str, pieces: Iterable[str | bytes]) -> None:
    fd = disk.active.open(path, disk.APPEND | disk.NEW)
    try:
        for chunk in _chunks(pieces):
            _write_all(fd, chunk)
        disk.active.fsync(fd)
    except BaseException:
        try:
            disk.active.close(fd)
        except OSError:
            pass  # the first error is the one to tell
        raise
    disk.active.close(fd)


def _chunks(pieces: Iterable[str | bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    length = 0
    for piece in pieces:
        gathered.append(piece if isinstance(piece, bytes) else piece.encode("utf-8", "backslashreplace"))
        length += len(gathered[-1])
        if length >= _CHUNK:
            yield b"".join(gathered)
            gathered, length = [], 0
    if gathered:
        yield b"".join(gathered)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = disk.active.write(fd, view)
        if written <= 0:
            raise OSError(errno.EIO, "the file system took no bytes")
        view = view[written:]


def _replace(temporary: str, target: str) -> str:
    for pause in _PAUSES_S:
        try:
            disk.active.replace(temporary, target)
            return target
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _HELD_OPEN:
                raise
        time.sleep(pause)
    return _beside(temporary, target, disk.active.replace)


def _beside(temporary: str, target: str, replace: Callable[[str, str], None]) -> str:
    """Under the first name beside *target* that nobody holds open."""
    stem, suffix = os.path.splitext(target)
    for number in range(1, 10):
        other = f"{stem}.{number}{suffix}"
        try:
            replace(temporary, other)
            return other
        except PermissionError:
            continue
    raise PermissionError(errno.EACCES, "another program holds the file open", target)


def _sweep(folder: str, name: str) -> None:
    """Remove what a process that died has left of this file; never more than that, and never an error."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    now = clock.active.wall_ns() / 1e9
    for found in names:
        if found.startswith(_stem(name)) and found.endswith(".tmp"):
            path = os.path.join(folder, found)
            try:
                if now - disk.active.stat(path).st_mtime > _STALE_S:
                    disk.active.unlink(path)
            except OSError:
                continue


def _stem(name: str) -> str:
    """How the temporary files of *name* begin; pid and id need 40 of a name's 255 bytes."""
    return f".{os.fsdecode(os.fsencode(name)[:180])}."


def _remove(path: str) -> None:
    try:
        disk.active.unlink(path)
    except OSError:
        pass  # it was never made, or the disk refuses everything now; the sweep comes later
