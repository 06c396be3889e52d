"""What journals added up to when they were last counted, so that nothing is counted twice. Never needed.

One SQLite file in the trace folder, `NAME`, holds a row for each journal: its census (`census.py`), and how
far it was counted. Journals only grow, so counting goes on from there. A row is believed while the file is
the same one (inode, and times where the size is the same), and while the bytes at its beginning and at the
place reached are those that were there; each row carries a check sum of its own.

Guarantees: any trouble (no `sqlite3` in this Python, a folder that cannot be written, a file that is locked,
damaged, foreign or of another version) makes the index empty and nothing else; it may be deleted at any time;
any number of processes may use it at once; it is as private as the journals, and only those are counted in it.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import zlib
from typing import Any, Final, NamedTuple

from . import disk
from .census import Census, Group, marks
from .spans import Spans

__all__ = [
    "NAME", "Fold", "Index", "counts_from_plain", "counts_to_plain", "groups_from_bytes", "groups_to_bytes",
]  # fmt: skip

NAME: Final = ".ai-trace-index.sqlite"
WORTH: Final = 2_000_000  # bytes counted anew, from which on they are written down: some 15 ms of counting
PER_FILE: Final = 20_000  # bytes that could be counted in the time that opening a file takes

_SCHEMA: Final = "CREATE TABLE folds (name TEXT PRIMARY KEY, brief BLOB NOT NULL, sums BLOB NOT NULL)"
_VERSION: Final = 3 if sys.byteorder == "little" else 4  # sums hold doubles as they lie in memory
_PATIENCE_S: Final = 0.25  # for another process that is writing; after that it is quicker to count


class Fold(NamedTuple):
    """What the whole lines of a journal before *offset* add up to; *head* is its session's header."""

    census: Census
    offset: int
    head: dict[str, Any]


class Index:
    """The index of *folder*; to be used in a `with`, whose end writes down what was learnt."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NAME)
        self._folder = os.path.dirname(self._path)
        self._fresh: dict[str, tuple[bytes, bytes]] = {}  # rows to be written
        self._briefs: dict[str, bytes] | None = None  # of all rows, where very many are asked for
        self._gained = 0
        self._rebuild = False
        self._base: Any = None
        if _is_ours(self._path):
            self._try(self._open)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def preload(self) -> None:
        """Read what all rows say in brief, at once: cheaper where nearly all of them will be asked for."""
        if self._base is not None:
            rows = self._try(lambda: self._base.execute("SELECT name, brief FROM folds").fetchall())
            self._briefs = dict(rows) if rows is not None else None

    def get(self, path: str, found: os.stat_result, *, groups: bool = True) -> Fold | None:
        """What is known of the journal *path*, if it still holds for the file as it was *found*.

        Without *groups* there may be none in its census.
        """
        if self._base is None or os.path.dirname(path) != self._folder:
            return None
        fold: Fold | None = self._try(self._look, path, found, groups)
        return fold

    def _look(self, path: str, found: os.stat_result, groups: bool) -> Fold | None:
        name = os.path.basename(path)
        if self._briefs is not None:
            raw = self._briefs.get(name)
        else:
            row = self._base.execute("SELECT brief FROM folds WHERE name = ?", (name,)).fetchone()
            raw = row[0] if row else None
        brief = _unpacked(raw)
        if brief is None or not self._holds(path, brief, found):
            return None
        census = counts_from_plain(brief["counts"])
        if groups:
            if brief["sums"] is None:
                return None
            row = self._base.execute("SELECT sums FROM folds WHERE name = ?", (name,)).fetchone()
            if not row or zlib.crc32(row[0]) != brief["sums"]:
                return None
            groups_from_bytes(census, row[0])
        return Fold(census, brief["offset"], brief["head"])

    def put(self, path: str, fold: Fold, marks: dict[str, Any], gained: int) -> None:
        """Remember *fold* of the file known by *marks*; *gained* is how many bytes had to be counted."""
        if os.path.dirname(path) != self._folder:
            return
        sums = groups_to_bytes(fold.census) if fold.census.grouped else b""
        crc = zlib.crc32(sums) if fold.census.grouped else None
        counts = counts_to_plain(fold.census)
        brief = {**marks, "offset": fold.offset, "head": fold.head, "counts": counts, "sums": crc}
        self._fresh[os.path.basename(path)] = (_packed(brief), sums)
        self._gained += gained + PER_FILE

    def close(self) -> None:
        """Write down what was learnt, if it is worth that, and let go of the file."""
        if self._fresh and self._gained >= WORTH:
            if self._base is None:
                self._try(self._make)
            self._try(self._save)
        if self._base is not None:
            self._base.close()
        self._base = None

    def _holds(self, path: str, brief: dict[str, Any], found: os.stat_result) -> bool:
        """Whether the file is the one that was counted, with nothing before the place reached changed."""
        times = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        if found.st_ino != brief["inode"] or found.st_size < brief["offset"]:
            return False
        if times[0] == brief["times"][0] and (times != brief["times"] or brief["settled"]):
            return bool(times == brief["times"])  # a journal that changes grows: this one was changed otherwise
        fd = disk.active.open_regular(path)
        try:
            seen = marks(fd, brief["offset"])
        finally:
            disk.active.close(fd)
        return bool(seen["inode"] == brief["inode"] and seen["edges"] == brief["edges"])

    # What talks to the data base. Each is called through `_try`.

    def _try(self, act: Any, *words: Any) -> Any:
        try:
            return act(*words)
        except (ImportError, OSError):
            return None
        except Exception as error:  # sqlite3.Error, whose module may not be there, or bytes that are no row
            self._give_up(rebuild=type(error).__name__ == "DatabaseError")
            return None

    def _give_up(self, *, rebuild: bool) -> None:
        self._rebuild = self._rebuild or rebuild
        base, self._base = self._base, None
        if base is not None:
            base.close()

    def _open(self) -> None:
        self._base = _connect(self._path)
        found = self._base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        if found != [(_SCHEMA,)] or version != _VERSION:  # another version, or not ours: nothing of it is run
            self._give_up(rebuild=True)

    def _make(self) -> None:
        if self._rebuild and _is_ours(self._path):
            disk.active.unlink(self._path)
        disk.active.close(disk.active.open(self._path, disk.NEW | disk.OVERWRITE))  # mode 0600
        self._base = _connect(self._path)
        self._base.execute("BEGIN IMMEDIATE")
        self._base.execute(_SCHEMA)
        self._base.execute(f"PRAGMA user_version = {_VERSION}")
        self._base.execute("COMMIT")

    def _save(self) -> None:
        if self._base is None:
            return
        rows = [(name, *row) for name, row in self._fresh.items()]
        here = set(os.listdir(self._folder or "."))
        self._base.execute("BEGIN IMMEDIATE")
        gone = [(name,) for (name,) in self._base.execute("SELECT name FROM folds") if name not in here]
        self._base.executemany("DELETE FROM folds WHERE name = ?", gone)
        self._base.executemany("INSERT OR REPLACE INTO folds VALUES (?, ?, ?)", rows)
        self._base.execute("COMMIT")
        self._fresh.clear()
        self._gained = 0


def _connect(path: str) -> Any:
    import sqlite3

    base = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    base.execute("PRAGMA trusted_schema = OFF")
    return base


def _is_ours(path: str) -> bool:
    """Whether a regular file lies there: no link and no FIFO is followed."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _packed(brief: dict[str, Any]) -> bytes:
    text = json.dumps(brief, separators=(",", ":")).encode()
    return b"%08x" % zlib.crc32(text) + text


def _unpacked(raw: Any) -> dict[str, Any] | None:
    if type(raw) is not bytes or raw[:8] != b"%08x" % zlib.crc32(raw[8:]):
        return None
    brief: dict[str, Any] = json.loads(raw[8:])
    return brief


# A census as plain data: its counts as JSON; its groups as one line of JSON, and behind it their durations.

_COUNTS: Final = ("damage", "dropped", "redacted", "timeless", "undated", "first", "last", "latest", "root_end", "outcome")


def counts_to_plain(census: Census) -> list[Any]:
    """All counts but the groups, as plain data."""
    return [dict(census.outcomes), *(getattr(census, name) for name in _COUNTS)]


def counts_from_plain(counts: list[Any]) -> Census:
    """What `counts_to_plain` gave: a census without its groups."""
    census = Census(grouped=False)
    census.outcomes.update(counts[0])
    for name, value in zip(_COUNTS, counts[1:]):
        setattr(census, name, value)
    return census


def groups_to_bytes(census: Census) -> bytes:
    """The groups of *census*."""
    rows, bodies = [], []
    for (name, model), group in census.groups.items():
        numbers, body = group.spans.to_plain()
        rows.append([name, model, group.count, group.errors, group.sums, group.said, numbers])
        bodies.append(body)
    return json.dumps(rows, separators=(",", ":")).encode() + b"\n" + b"".join(bodies)


def groups_from_bytes(census: Census, raw: bytes) -> None:
    """Put the groups that `groups_to_bytes` gave into *census*; raises `ValueError` for other bytes."""
    census.grouped = True
    text, _, bodies = raw.partition(b"\n")
    start = 0
    for name, model, count, errors, sums, said, numbers in json.loads(text):
        group = census.groups[name, model] = Group()
        group.count, group.errors, group.sums, group.said = count, errors, sums, said
        end = start + 8 * numbers[3]
        group.spans = Spans.from_plain(numbers, bodies[start:end])
        start = end
