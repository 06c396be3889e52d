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
from binascii import crc32  # zlib's own, in a Python without zlib, too
from typing import Any, Final, NamedTuple

from . import disk
from .census import Census, Group
from .counting import marks
from .spans import Spans

__all__ = [
    "NAME", "Fold", "Index", "Row", "counts_from_plain", "counts_to_plain", "groups_from_bytes", "groups_to_bytes",
    "row",
]  # fmt: skip

NAME: Final = ".ai-trace-index.sqlite"
HEAD: Final = ("agent", "trace_id", "started_at")  # what is remembered of a session's header
WORTH: Final = 2_000_000  # bytes counted anew, from which on they are written down: some 15 ms of counting
PER_FILE: Final = 20_000  # bytes that could be counted in the time that opening a file takes

_SCHEMA: Final = "CREATE TABLE folds (name TEXT PRIMARY KEY, brief BLOB NOT NULL, sums BLOB NOT NULL)"
_VERSION: Final = 5 if sys.byteorder == "little" else 6  # sums hold doubles as they lie in memory
_AT_ONCE: Final = 500  # rows read together
_PATIENCE_S: Final = 0.25  # for another process that is writing; after that it is quicker to count


class Fold(NamedTuple):
    """What the whole lines of a journal before *offset* add up to; *head* is its session's header, of which
    `HEAD` are remembered; *sums* is the check sum of the groups that the index has of it, None where it has none."""

    census: Census
    offset: int
    head: dict[str, Any]
    sums: int | None = None


class Row(NamedTuple):
    """A fold as it is written down: in brief, with a check sum before it; and its groups, b"" where it has none."""

    brief: bytes
    sums: bytes


class Index:
    """The index of *folder*; to be used in a `with`, whose end writes down what was learnt."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NAME)
        self._folder = os.path.dirname(self._path)
        self._start = os.path.join(folder, "")  # of the paths of its journals
        self._fresh: dict[str, Row] = {}  # to be written
        self._briefs: dict[str, list[Any]] | None = None  # of all rows, where very many are asked for
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
            self._briefs = self._try(self._all)

    def _all(self) -> dict[str, list[Any]]:
        briefs: dict[str, list[Any]] = {}
        rows = self._base.execute("SELECT name, brief FROM folds")
        while some := rows.fetchmany(_AT_ONCE):
            good = [(name, raw) for name, raw in some if _proved(raw)]
            values = json.loads(b"[" + b",".join([raw[8:] for _, raw in good]) + b"]")
            if len(values) != len(good):
                raise ValueError("a row that is two")
            briefs.update(zip([name for name, _ in good], values))
        return briefs

    def get(self, path: str, found: os.stat_result, *, groups: bool = True) -> Fold | None:
        """What is known of the journal *path*, if it still holds for the file as it was *found*.

        Without *groups* there may be none in its census.
        """
        name = self._name(path)
        if self._base is None or name is None:
            return None
        fold: Fold | None = self._try(self._look, name, path, found, groups)
        return fold

    def _name(self, path: str) -> str | None:
        """What a row of the journal *path* is called; None where it lies in another folder."""
        name = path[len(self._start) :]
        return name if path.startswith(self._start) and "/" not in name and os.sep not in name else None

    def _look(self, name: str, path: str, found: os.stat_result, groups: bool) -> Fold | None:
        if self._briefs is not None:
            brief = self._briefs.get(name)
        else:
            row = self._base.execute("SELECT brief FROM folds WHERE name = ?", (name,)).fetchone()
            brief = json.loads(row[0][8:]) if row and _proved(row[0]) else None
        if brief is None or not self._holds(path, brief, found):
            return None
        fold = _fold(brief)
        return fold if not groups or self._add_groups(name, fold) else None

    def fill(self, path: str, fold: Fold) -> bool:
        """Add its groups to *fold*, which `get` gave of *path* without; False where they are not known."""
        return self._base is not None and bool(self._try(self._add_groups, self._name(path), fold))

    def _add_groups(self, name: str | None, fold: Fold) -> bool:
        if fold.sums is None:
            return False
        row = self._base.execute("SELECT sums FROM folds WHERE name = ?", (name,)).fetchone()
        if not row or crc32(row[0]) != fold.sums:
            return False
        groups_from_bytes(fold.census, row[0])
        return True

    def put(self, path: str, fold: Fold, marks: dict[str, Any], gained: int) -> None:
        """Remember *fold* of the file known by *marks*; *gained* is how many bytes had to be counted."""
        name = self._name(path)
        if name is not None:
            self._fresh[name] = row(fold, marks)
            self._gained += gained + PER_FILE

    def adopt(self, path: str, row: Row) -> Fold:
        """Remember *row*, which another process made of *path* by `row`; and what it says."""
        fold = _fold(json.loads(row.brief[8:]))
        if row.sums:
            groups_from_bytes(fold.census, row.sums)
        name = self._name(path)
        if name is not None:
            self._fresh[name] = row
            self._gained += fold.offset + PER_FILE
        return fold

    def close(self) -> None:
        """Write down what was learnt, if it is worth that, and let go of the file."""
        if self._fresh and self._gained >= WORTH:
            if self._base is None:
                self._try(self._make)
            self._try(self._save)
        if self._base is not None:
            self._base.close()
        self._base = None

    def _holds(self, path: str, brief: list[Any], found: os.stat_result) -> bool:
        """Whether the file is the one that was counted, with nothing before the place reached changed."""
        inode, times, settled, edges, offset, *_ = brief
        if found.st_ino != inode or found.st_size < offset:
            return False
        same = times == [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        if found.st_size == times[0] and (settled or not same):
            return bool(same)  # a journal that changes grows: this one was changed otherwise
        fd = disk.active.open_regular(path)
        try:
            seen = marks(fd, offset)
        finally:
            disk.active.close(fd)
        return bool(seen["inode"] == inode and seen["edges"] == edges)

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
    try:
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA synchronous = OFF")  # what a power cut leaves of it is proved row by row, or made anew
    except BaseException:
        base.close()
        raise
    return base


def _is_ours(path: str) -> bool:
    """Whether a regular file lies there: no link and no FIFO is followed."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def row(fold: Fold, marks: dict[str, Any]) -> Row:
    """*fold* of the file known by *marks*, as it is written down."""
    census = fold.census
    sums = groups_to_bytes(census) if census.grouped else b""
    head = {key: fold.head[key] for key in HEAD if key in fold.head}
    known = [marks["inode"], marks["times"], marks["settled"], marks["edges"], fold.offset]
    text = _text([*known, head, counts_to_plain(census), crc32(sums) if census.grouped else None]).encode()
    return Row(b"%08x" % crc32(text) + text, sums)


_text: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _proved(brief: Any) -> bool:
    return type(brief) is bytes and brief[:8] == b"%08x" % crc32(brief[8:])


def _fold(brief: list[Any]) -> Fold:
    *_, offset, head, counts, sums = brief
    return Fold(counts_from_plain(counts), offset, head, sums)


# A census as plain data: its counts as JSON; its groups as one line of JSON, and behind it their durations.


def counts_to_plain(census: Census) -> list[Any]:
    """All counts but the groups, as plain data."""
    return [
        census.outcomes, census.damage, census.dropped, census.redacted, census.timeless, census.undated,
        census.first, census.last, census.latest, census.root_end, census.outcome,
    ]  # fmt: skip


def counts_from_plain(counts: list[Any]) -> Census:
    """What `counts_to_plain` gave: a census without its groups."""
    census = Census(grouped=False)
    (
        census.outcomes, census.damage, census.dropped, census.redacted, census.timeless, census.undated,
        census.first, census.last, census.latest, census.root_end, census.outcome,
    ) = counts  # fmt: skip
    return census


def groups_to_bytes(census: Census) -> bytes:
    """The groups of *census*."""
    rows, bodies = [], []
    for (name, model), group in census.groups.items():
        numbers, body = group.spans.to_plain()
        rows.append([name, model, group.count, group.errors, group.sums, group.said, numbers])
        bodies.append(body)
    return _text(rows).encode() + b"\n" + b"".join(bodies)


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
