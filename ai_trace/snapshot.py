"""A session as one file, `.json` or `.md`: at its name there is always one whole version, the old or the new.

The recipe: write a temporary file in the same folder, fsync it, rename it over the name, fsync the folder
(without the first fsync, ext4 may show an empty file under the new name after a power cut). The temporary
file is made exclusively, follows no link, is readable by its owner only, and is removed where anything fails;
one left by a process that died is swept an hour later, when the same snapshot is written again.

Steps are written one by one, so a session of any length needs no second copy in memory.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Final

from . import clock, disk
from .exceptions import UsageError
from .render import markdown
from .session import Session, step_dict

__all__ = ["FORMS", "write", "to_json", "to_markdown"]

_CHUNK_CHARS: Final = 1 << 18  # gathered before one call of write
_STALE_S: Final = 3600.0
# Windows refuses to replace a file that a viewer holds open: 5 is access denied, 32 a sharing violation.
_HELD_OPEN: Final = (5, 32)
_PAUSES_S: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.15)  # 0.48 s in all
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)  # some network and FUSE file systems have none


def to_json(session: Session, saved_at: str | None = None) -> Iterator[str]:
    """The JSON snapshot in pieces: strict JSON in ASCII, the session's keys, then a line for each step."""
    head = session.head_dict(saved_at if saved_at is not None else _now())
    yield "{\n"
    for key, value in head.items():
        yield f"  {_json(key)}: {_json(value)},\n"
    yield '  "steps": ['
    lead = "\n    "
    for record in session.steps:
        yield lead + _json(step_dict(record))
        record.shed()
        lead = ",\n    "
    yield "\n  ]\n}\n" if session.steps else "]\n}\n"


def to_markdown(session: Session) -> Iterator[str]:
    """The postmortem in pieces."""
    for line in markdown.lines(session, now=clock.active.wall_ns() / 1e9):
        yield line + "\n"


FORMS: Final = MappingProxyType({"json": to_json, "md": to_markdown})
"""Name of a form, which is also its suffix -> session to text."""


def write(session: Session, path: str | os.PathLike[str], form: str) -> str:
    """Write *session* to *path* in *form* ("json" or "md"), whole or not at all; the path where it is now.

    That is *path*, except on Windows where another program holds that file open: there, after half a second,
    it is the same name with ".1" (or the next number) before the suffix.

    Raises:
        UsageError: where *form* is unknown.
        OSError: as the disk said it; the file at *path* is as it was.
    """
    if form not in FORMS:
        raise UsageError(f"There is no snapshot form {form!r}; the forms are {', '.join(FORMS)}.")
    target = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(target)
    disk.active.mkdir(folder)
    _sweep(folder, name)
    temporary = os.path.join(folder, f"{_stem(name)}{os.getpid()}.{clock.active.step_id()}.tmp")
    try:
        _fill(temporary, FORMS[form](session))
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


def _fill(path: str, pieces: Iterator[str]) -> None:
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


def _chunks(pieces: Iterator[str]) -> Iterator[bytes]:
    gathered: list[str] = []
    length = 0
    for piece in pieces:
        gathered.append(piece)
        length += len(piece)
        if length >= _CHUNK_CHARS:
            yield "".join(gathered).encode("utf-8", "backslashreplace")
            gathered, length = [], 0
    if gathered:
        yield "".join(gathered).encode("utf-8", "backslashreplace")


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
    raise PermissionError(errno.EACCES, "another program holds the snapshot open", target)


def _sweep(folder: str, name: str) -> None:
    """Remove what a process that died has left of this snapshot; never more than that, and never an error."""
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
    """How the temporary files of snapshot *name* begin; pid and id need 40 of a name's 255 bytes."""
    return f".{os.fsdecode(os.fsencode(name)[:180])}."


def _remove(path: str) -> None:
    try:
        disk.active.unlink(path)
    except OSError:
        pass  # it was never made, or the disk refuses everything now; the sweep comes later


def _json(value: Any) -> str:
    import json

    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):  # not from our files; an importer may hand in anything
        from .plain import plain

        return json.dumps(plain(value), allow_nan=False)


def _now() -> str:
    seconds, rest = divmod(clock.active.wall_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
