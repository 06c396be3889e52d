"""Sessions as a SQLite database, ready for Datasette: tables `sessions`, `steps`, `logs`.

`add` puts a session into a database, new or already holding others, in one transaction: whole or not at
all. A session that is there already is replaced. Context, meta and the fields of a log are JSON text, for
SQLite's `json_extract`; `started` is `started_at` for people, in UTC.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from .. import disk
from ..exceptions import TraceError
from ..record import LINE_KEYS, Record, number
from ..session import Session
from ..tree import ended_at
from .losses import Losses
from .values import compact, iso, trace_id, valid

__all__ = ["add", "export"]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, agent TEXT, session_id TEXT, state TEXT, started TEXT, started_at REAL,
    ended_at REAL, duration_ms REAL, steps INTEGER, errors INTEGER, unfinished INTEGER, redacted INTEGER,
    dropped INTEGER, damage INTEGER, meta TEXT, notices TEXT
);
CREATE TABLE IF NOT EXISTS steps (
    session TEXT NOT NULL REFERENCES sessions(id), number INTEGER NOT NULL, id TEXT NOT NULL, parent TEXT,
    depth INTEGER, name TEXT, outcome TEXT, started TEXT, started_at REAL, finished_at REAL, duration_ms REAL,
    error TEXT, traceback TEXT, model TEXT, input_tokens REAL, output_tokens REAL, cached_tokens REAL,
    reasoning_tokens REAL, cost_usd REAL, thread TEXT, task TEXT, context TEXT,
    PRIMARY KEY (session, number)
);
CREATE TABLE IF NOT EXISTS logs (
    session TEXT NOT NULL, step INTEGER NOT NULL, number INTEGER NOT NULL, at REAL, message TEXT, fields TEXT,
    PRIMARY KEY (session, step, number), FOREIGN KEY (session, step) REFERENCES steps(session, number)
);
CREATE INDEX IF NOT EXISTS steps_by_id ON steps (session, id);
CREATE INDEX IF NOT EXISTS steps_by_name ON steps (name);
"""
_NUMBERS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")


def export(session: Session, losses: Losses) -> Iterator[bytes]:
    """The bytes of a database with this session alone."""
    with tempfile.TemporaryDirectory(prefix="ai-trace-") as place:
        path = os.path.join(place, "session.db")
        add(session, path, losses)
        with open(path, "rb") as file:
            while block := file.read(1 << 18):
                yield block


def add(session: Session, path: str, losses: Losses) -> None:
    """Put *session* into the database at *path*, which is made where it is not there.

    Raises:
        TraceError: *path* is no database, or one with other tables of these names; it is as it was.
    """
    new = not os.path.lexists(path)
    if new:  # SQLite would make it readable for others
        disk.active.close(disk.active.open(path, disk.APPEND | disk.NEW))
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                _fill(base, session, losses)
            except BaseException:
                base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")
    except sqlite3.Error as error:
        if new:
            disk.active.unlink(path)
        raise TraceError(f"cannot write the database {path}: {error}") from error


def _fill(base: sqlite3.Connection, session: Session, losses: Losses) -> None:
    for statement in _TABLES.split(";")[:-1]:  # `executescript` would commit
        base.execute(statement)
    key = trace_id(session)
    for table, column in (("logs", "session"), ("steps", "session"), ("sessions", "id")):
        base.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))
    _insert(base, "sessions", _session(key, session))
    for number_of, record in enumerate(session.steps, 1):
        _insert(base, "steps", _step(key, number_of, session.node(record).depth, record))
        if not record.open:  # in a black box a step has other keys
            unknown = sum(key not in LINE_KEYS for key in record.data)
            losses.count("keys of a step unknown to this version", unknown)
        for at, entry in enumerate(record.logs, 1):
            _insert(base, "logs", _log(key, number_of, at, entry))
        record.shed()


def _session(key: str, session: Session) -> list[Any]:
    totals = session.totals
    return [
        key, session.agent, session.id, session.state, iso(session.started_at), session.started_at,
        session.ended_at, session.duration_ms, totals.steps, totals.errors, totals.unfinished,
        session.redacted, totals.dropped, len(session.damage),
        compact(session.meta), compact(session.notices),
    ]  # fmt: skip


def _step(key: str, number_of: int, depth: int, record: Record) -> list[Any]:
    model = record.usage.get("model")
    return [
        key, number_of, record.id, record.parent, depth, record.name,
        "unfinished" if record.open else record.outcome, iso(record.started_at), record.started_at,
        None if record.open else ended_at(record), record.duration_ms,
        record.error, record.traceback, model if isinstance(model, str) else None,
        *(number(record.usage.get(word)) for word in _NUMBERS), record.thread, record.task,
        compact(record.context),
    ]  # fmt: skip


def _log(key: str, step: int, at: int, entry: dict[str, Any]) -> list[Any]:
    message = entry.get("message")
    rest = {name: entry[name] for name in entry if name not in ("_t", "message")}
    text = message if message is None or isinstance(message, str) else compact(message)
    return [key, step, at, number(entry.get("_t")), text, compact(rest)]


def _insert(base: sqlite3.Connection, table: str, row: list[Any]) -> None:
    base.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", list(map(_storable, row)))


def _storable(value: Any) -> Any:
    """*value* as SQLite takes it: whole numbers have 64 bits, a larger one is told as a float."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return number(value)
    return valid(value) if isinstance(value, str) else value
