"""Old sessions of a folder: which may go, and how, removed or compressed.

Guarantees: a session goes whole (its journals, its black box, its snapshots) or not at all; none that runs, that
may run (its state is unknown), or that changed in the last minute; nothing behind a link; no file whose name or
beginning is not that of ours, whatever lies beside it. All of it is looked at again just before the act. A
compressed journal was read back, and compared byte for byte, before the plain one is removed; at every moment one
of the two is whole. What readers call newest (`modified`) does not change by it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from . import disk, folder, packed, whole
from .exceptions import NotATrace
from .lines import BLOCK

__all__ = ["Candidate", "Rules", "candidates", "compress", "remove"]

QUIET_S: Final = 60.0  # a session that begins has, for a moment, no black box that says so
_NAME: Final = re.compile(r".+_[0-9]{8}_[0-9]{6}(?:-[0-9]+)?(?:-repaired)?", re.DOTALL)
_COMPARED: Final = re.compile(rf"({_NAME.pattern})\.diff\..+\.html", re.DOTALL)  # by `report A --diff B`; it goes with A
_BESIDE: Final = (".json", ".md", ".html", ".otlp")  # snapshots, and how far it was exported
_BEGINNINGS: Final = {
    "jsonl": (b'{"name":',),
    "gz": (b'{"name":',),
    "live": (b'{"live":',),
    "json": (b'{"agent":', b'{\n"agent":', b'{\n "agent":', b'{\n  "agent":'),
    "md": (b"# Trace: ",),
    "html": (b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content',),
    "otlp": (b"{",),
}


class Rules(NamedTuple):
    """What may stay; 0 is no limit."""

    older_s: float = 0.0  # seconds since the last change of a session
    keep: int = 0  # sessions
    max_bytes: int = 0  # of all sessions together


class Candidate(NamedTuple):
    """A session that the rules name.

    Attributes:
        state: of the session.
        files: what goes with it.
        size: bytes of those files.
        reason: the rule that names it.
        spared: why it stays all the same; "" where it goes.
    """

    entry: folder.Entry
    state: str
    files: list[str]
    size: int
    reason: str
    spared: str


def candidates(entries: Iterable[folder.Entry], rules: Rules | None, now: float) -> list[Candidate]:
    """The sessions among *entries* that *rules* name, the last changed first; without rules, all of them.

    Files whose names are not those of a session are none, and do not count.
    """
    named = []
    kept_bytes, full = 0, False
    pages: dict[str, dict[str, list[str]]] = {}
    ours = sorted((one for one in entries if _NAME.fullmatch(one.name)), key=lambda one: one.modified, reverse=True)
    for place, entry in enumerate(ours):
        place_of = os.path.dirname(entry.path)
        if place_of not in pages:
            pages[place_of] = _compared(place_of)
        files = _files(entry, pages[place_of])
        size = sum(_size(path) for path in files)
        full = full or bool(rules and rules.max_bytes and kept_bytes + size > rules.max_bytes)
        reason = "every session" if rules is None else _reason(rules, now - entry.modified, place, full)
        state = entry.state if reason else ""
        spared = _spared(entry, state, now) if reason else ""
        if reason:
            named.append(Candidate(entry, state, files, size, reason, spared))
        if spared or not reason:
            kept_bytes += size
    return named


def _reason(rules: Rules, age_s: float, place: int, full: bool) -> str:
    if rules.older_s and age_s > rules.older_s:
        return "too old"
    if rules.keep and place >= rules.keep:
        return f"not among the last {rules.keep:,}"
    return "beyond the size" if full else ""


def _spared(entry: folder.Entry, state: str, now: float) -> str:
    """Why *entry* stays, whatever the rules say; "" where nothing speaks for it."""
    if state == "running":
        return "it is running"
    if state not in ("ended", "died"):
        return "it may be running: its state is unknown"
    if now - entry.modified < QUIET_S:
        return "it changed a moment ago"
    if any(os.path.islink(path) for path in entry.paths):
        return "it is a link"
    strange = [path for path in entry.paths if not _is_ours(path)]
    return f"{os.path.basename(strange[0])} does not look like ours" if strange else ""


def _compared(place: str) -> dict[str, list[str]]:
    """The pages in the folder *place* that compare a session with others, by the session's name."""
    pages: dict[str, list[str]] = {}
    try:
        names = sorted(os.listdir(place or "."))
    except OSError:
        return pages
    for name in names:
        if found := _COMPARED.fullmatch(name):
            pages.setdefault(found[1], []).append(os.path.join(place, name))
    return pages


def _files(entry: folder.Entry, pages: dict[str, list[str]]) -> list[str]:
    """What goes with *entry*, in the order in which it goes: its journal, by which it is known, comes last."""
    stem = packed.stem(entry.path)
    beside = [*(stem + ending for ending in _BESIDE), *pages.get(os.path.basename(stem), ())]
    twins = [f"{path}.gz" for path in entry.paths if path.endswith(".jsonl")]  # left by a death while compressing
    found = [path for path in (*beside, *twins) if path not in entry.paths and _is_ours(path)]
    return [*found, *reversed(entry.paths)]


def _is_ours(path: str) -> bool:
    """Whether *path* is a regular file, no link, that begins as what its name promises does, or is empty."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with packed.opened(path) as file:
            head = file.pread(128, 0)
            return (not head and not file.problem) or head.startswith(_BEGINNINGS[path.rpartition(".")[2]])
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def remove(candidate: Candidate, now: float) -> str:
    """Remove the session; "" where that is done, else why it stays. A file that cannot be removed keeps the rest.

    Raises:
        OSError: as the disk said it; what was not yet removed is still a session.
    """
    files, why = _again(candidate, now)
    for path in files if not why else ():
        disk.active.unlink(path)
    return why


def compress(candidate: Candidate, now: float) -> str:
    """Compress the session's journals; "" where that is done, else why they stay as they are.

    Raises:
        OSError: as the disk said it, or where what was written does not read back as it should; the journal at
        hand is as it was.
    """
    _, why = _again(candidate, now)
    for path in plain_journals(candidate.entry) if not why else ():
        _compress(path)
    return why


def plain_journals(entry: folder.Entry) -> list[str]:
    """The journals of *entry* that are not compressed."""
    return [path for path in entry.paths if path.endswith(".jsonl")]


def _again(candidate: Candidate, now: float) -> tuple[list[str], str]:
    """The session's files as of now, and why it stays after all."""
    try:
        entry = folder.entry(candidate.entry.path)
    except NotATrace:
        return [], "it is gone"
    if entry.modified != candidate.entry.modified or set(entry.paths) != set(candidate.entry.paths):
        return [], "it has changed meanwhile"
    return _files(entry, _compared(os.path.dirname(entry.path))), _spared(entry, entry.state, now)


def _compress(path: str) -> None:
    before = disk.active.stat(path)
    target = f"{path}.gz"
    ours = not os.path.lexists(target)
    if ours and whole.write(target, _gzipped(path)) != os.path.abspath(target):
        raise OSError(f"{target} is held open by another program")
    try:
        _prove(path, target, before)
        disk.active.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    except BaseException:
        if ours:
            disk.active.unlink(target)
        raise
    disk.active.unlink(path)


def _gzipped(path: str) -> Iterator[bytes]:
    """*path* as one gzip member, the same for the same bytes: no name, no time."""
    import zlib

    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    with packed.opened(path) as file:
        position = 0
        while block := file.pread(BLOCK, position):
            position += len(block)
            yield compressor.compress(block)
    yield compressor.flush()


def _prove(path: str, target: str, before: os.stat_result) -> None:
    """Raise `OSError` unless *target* unpacks to what *path* holds, and *path* is as it was *before*."""
    with packed.opened(path) as plain, packed.opened(target) as copy:
        position, same = 0, copy.packed
        while same:
            block = plain.pread(BLOCK, position)
            same = copy.pread(BLOCK, position) == block
            if not block:
                break
            position += len(block)
        now = disk.active.fstat(plain.fd)
        same = same and not copy.problem and not os.path.islink(target)
    if not same:
        raise OSError(f"{target} does not hold what {path} does")
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
        raise OSError(f"{path} has changed meanwhile")
