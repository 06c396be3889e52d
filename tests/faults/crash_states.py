"""Every state that a crash may leave on disk, without a crash (after ALICE, Pillai et al., OSDI '14).

`RecordingDisk` writes down what a scenario asks of the disk. From that list come two kinds of worlds:

    deaths      the process is killed: all it wrote is there, but the last write may be torn at any byte
    power_cuts  the machine stops: what was not synced may be there, absent, cut, or grown with zeros,
                and names that were not synced with their folder may be the old or the new ones

Rules of the power cut, as POSIX leaves them open: data of one file is safe once that file was synced; names
of a folder are safe once the folder was synced; unsynced names become durable in their order; everything
else is up to the file system. Nothing else of the disk is modelled: one folder, no hard links.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ai_trace import disk
from tests.faults import IN_MEMORY

__all__ = ["Crash", "RecordingDisk", "deaths", "power_cuts", "check_each"]

_BLOCK = 512  # a sector: zeros before a block that did arrive


class Op(NamedTuple):
    kind: str  # create | write | sync | rename | unlink | sync_folder | said
    file: int = 0
    path: str = ""
    to: str = ""
    at: int = 0
    data: bytes = b""
    said: Any = None


class Crash(NamedTuple):
    """One world after the crash: the files by name, what had been acknowledged, and how it came about."""

    files: dict[str, bytes]
    said: list[Any]
    story: str


class RecordingDisk(disk.Disk):
    """The real disk, and a list of what changed; `say` notes in it what the scenario may count on from
    now.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._files: dict[int, int] = {}  # descriptor -> file
        self._append: dict[int, bool] = {}
        self._names: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._position: dict[int, int] = {}
        self._count = 0

    def say(self, what: Any) -> None:
        self.ops.append(Op("said", said=what))

    def open(self, path: str, flags: int) -> int:
        new = not os.path.exists(path)
        fd = super().open(path, flags)
        name = os.path.abspath(path)
        if new:
            self._count += 1
            self._names[name] = self._count
            self._sizes[self._count] = 0
            self.ops.append(Op("create", self._count, name))
        if name in self._names:
            self._files[fd] = self._names[name]
            self._append[fd] = bool(flags & os.O_APPEND)
            self._position[fd] = 0
        return fd

    def close(self, fd: int) -> None:  # type: ignore[override]
        self._files.pop(fd, None)
        os.close(fd)

    def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
        written = os.write(fd, data)
        file = self._files[fd]
        at = self._sizes[file] if self._append[fd] else self._position[fd]
        self._position[fd] = at + written
        self._wrote(file, at, bytes(data[:written]))
        return written

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        written = os.pwrite(fd, data, offset)
        self._wrote(self._files[fd], offset, bytes(data[:written]))
        return written

    def _wrote(self, file: int, at: int, data: bytes) -> None:
        self._sizes[file] = max(self._sizes[file], at + len(data))
        self.ops.append(Op("write", file, at=at, data=data))

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        os.fsync(fd)
        if fd in self._files:
            self.ops.append(Op("sync", self._files[fd]))

    fdatasync = fsync  # type: ignore[assignment]

    def fsync_folder(self, path: str) -> None:
        super().fsync_folder(path)
        self.ops.append(Op("sync_folder", path=os.path.abspath(path)))

    def replace(self, old: str, new: str) -> None:  # type: ignore[override]
        os.replace(old, new)
        old, new = os.path.abspath(old), os.path.abspath(new)
        self._names[new] = self._names.pop(old)
        self.ops.append(Op("rename", path=old, to=new))

    def unlink(self, path: str) -> None:  # type: ignore[override]
        os.unlink(path)
        self._names.pop(os.path.abspath(path), None)
        self.ops.append(Op("unlink", path=os.path.abspath(path)))

    @contextmanager
    def in_place(self) -> Iterator[RecordingDisk]:
        before = disk.active
        disk.active = self
        try:
            yield self
        finally:
            disk.active = before


def _patched(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at].ljust(at, b"\0") + data + content[at + len(data) :]


def _contents(ops: list[Op]) -> dict[int, bytes]:
    files: dict[int, bytes] = {}
    for op in ops:
        if op.kind == "create":
            files[op.file] = b""
        elif op.kind == "write":
            files[op.file] = _patched(files[op.file], op.at, op.data)
    return files


def _names(ops: list[Op]) -> dict[str, int]:
    names: dict[str, int] = {}
    for op in ops:
        if op.kind == "create":
            names[op.path] = op.file
        elif op.kind == "rename":
            names[op.to] = names.pop(op.path)
        elif op.kind == "unlink":
            names.pop(op.path, None)
    return names


def _world(names: dict[str, int], files: dict[int, bytes]) -> dict[str, bytes]:
    return {os.path.basename(path): files[file] for path, file in names.items()}


def _cuts(length: int, every_byte: bool) -> list[int]:
    if every_byte:
        return list(range(length))
    return sorted({k for k in (0, 1, length // 2, length - 1, 4096) if 0 <= k < length})


def deaths(ops: list[Op], *, every_byte: bool = False) -> Iterator[Crash]:
    """The process dies after each operation, and in the middle of each write."""
    for end in range(len(ops) + 1):
        done = ops[:end]
        said = [op.said for op in done if op.kind == "said"]
        if end == len(ops) or ops[end].kind != "write":
            yield Crash(_world(_names(done), _contents(done)), said, f"killed after operation {end}")
            continue
        for cut in _cuts(len(ops[end].data), every_byte):
            torn = [*done, ops[end]._replace(data=ops[end].data[:cut])]
            yield Crash(
                _world(_names(torn), _contents(torn)), said, f"killed {cut} bytes into operation {end}"
            )


def _tails(writes: list[Op], base: bytes) -> Iterator[tuple[str, bytes]]:
    """What may be found of a file whose synced part is *base* and whose later *writes* were not synced."""
    whole = base
    for op in writes:
        whole = _patched(whole, op.at, op.data)
    yield "whole", whole
    if not writes:
        return
    yield "none", base
    last = base
    for op in writes[:-1]:
        last = _patched(last, op.at, op.data)
    for cut in _cuts(len(writes[-1].data), False):
        yield f"cut {cut} bytes into the last write", _patched(last, writes[-1].at, writes[-1].data[:cut])
    if len(whole) > len(base):
        yield "grown, but zeros", base.ljust(len(whole), b"\0")
        edge = len(base) + (len(whole) - len(base)) // 2 // _BLOCK * _BLOCK or len(base) + 1
        yield "a later block there, an earlier one zeros", base.ljust(edge, b"\0") + whole[edge:]


_FOLDER_KINDS = ("create", "rename", "unlink")


def power_cuts(ops: list[Op]) -> Iterator[Crash]:
    """The machine stops after each operation; each legal mix of what was and was not yet durable."""
    seen = set()
    for end in range(len(ops) + 1):
        done = ops[:end]
        said = [op.said for op in done if op.kind == "said"]
        for names_story, names in _name_states(done):
            for tails_story, files in _file_states(done):
                world = _world(names, files)
                key = hash((tuple(sorted(world.items())), len(said)))
                if key not in seen:
                    seen.add(key)
                    yield Crash(world, said, f"power cut after operation {end}; {names_story}; {tails_story}")


def _name_states(done: list[Op]) -> Iterator[tuple[str, dict[str, int]]]:
    synced = max((i for i, op in enumerate(done) if op.kind == "sync_folder"), default=-1)
    durable = [op for op in done[: synced + 1] if op.kind in _FOLDER_KINDS]
    pending = [op for op in done[synced + 1 :] if op.kind in _FOLDER_KINDS]
    for kept in range(len(pending) + 1):
        yield f"{kept} of {len(pending)} unsynced names", _names([*durable, *pending[:kept]])


def _file_states(done: list[Op]) -> Iterator[tuple[str, dict[int, bytes]]]:
    choices: dict[int, list[tuple[str, bytes]]] = {}
    for file in {op.file for op in done if op.kind == "create"}:
        mine = [op for op in done if op.file == file and op.kind in ("create", "write", "sync")]
        synced = max((i for i, op in enumerate(mine) if op.kind == "sync"), default=0)
        base = _contents(mine[: synced + 1])[file]
        choices[file] = list(_tails([op for op in mine[synced + 1 :] if op.kind == "write"], base))
    whole = {file: states[0][1] for file, states in choices.items()}
    oldest = {file: states[1 if len(states) > 1 else 0][1] for file, states in choices.items()}
    yield "all data there", whole
    yield "no unsynced data there", oldest
    for file, states in choices.items():
        for story, content in states[1:]:
            yield f"file {file}: {story}", {**whole, file: content}
            yield f"file {file}: {story}, the others old", {**oldest, file: content}


def check_each(crashes: Iterator[Crash], check: Callable[[str, Crash], None]) -> int:
    """Lay each world out in a folder and call *check(folder, crash)*; answers how many there were."""
    count = 0
    for count, crash in enumerate(crashes, 1):
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            for name, content in crash.files.items():
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            try:
                check(folder, crash)
            except BaseException as error:
                raise AssertionError(f"{crash.story}: {error!r}") from error
    return count
