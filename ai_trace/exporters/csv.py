"""A session as a table for spreadsheets and data frames: CSV by RFC 4180 in UTF-8, one row a step.

A cell that a spreadsheet would take for a formula is quoted with a leading "'" (OWASP, "CSV injection"): a
text that begins with = + - @, a tab, a carriage return, a line feed or a full-width form of those signs.
Control characters are shown as escapes. Context and logs are JSON.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from .. import safe
from ..record import Record
from ..session import Session
from ..tree import ended_at
from .losses import Losses
from .values import compact, iso, valid

__all__ = ["COLUMNS", "cell", "export"]

COLUMNS: Final = (
    "session", "agent", "id", "parent", "depth", "name", "outcome", "started_at", "finished_at",
    "duration_ms",
    "error", "model", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd",
    "thread", "task", "context", "logs", "traceback",
)  # fmt: skip

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_EXCEL_CELL: Final = 32_767  # characters


def export(session: Session, losses: Losses) -> Iterator[bytes]:
    """The header and a row for each step, by time of start."""
    losses.format("the state, notices and damage of the session, its meta, and keys unknown to this version")
    yield _line(COLUMNS)
    for node in (session.node(record) for record in session.steps):
        row = [cell(value) for value in _row(session, node.record, node.depth)]
        losses.count(
            f"cells longer than the {_EXCEL_CELL:,} characters that Excel shows (the file has them whole)",
            sum(1 for value in row if isinstance(value, str) and len(value) > _EXCEL_CELL),
        )
        yield _line(row)
        node.record.shed()


def cell(value: Any) -> Any:
    """*value* as it may stand in a cell: numbers as they are, texts harmless."""
    if not isinstance(value, str):
        return value
    text = safe.terminal(valid(value), keep="\n\t")
    return "'" + text if value.startswith(_FORMULA) else text


def _row(session: Session, record: Record, depth: int) -> Iterator[Any]:
    yield from (session.id, session.agent, record.id, record.parent, depth, record.name)
    yield "unfinished" if record.open else record.outcome
    yield from (
        iso(record.started_at),
        iso(None if record.open else ended_at(record)),
        record.duration_ms,
        record.error,
    )
    for word in ("model", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd"):
        value = record.usage.get(word)
        yield value if value is None or type(value) in (str, int, float) else compact(value)
    yield from (record.thread, record.task, compact(record.context), compact(record.logs), record.traceback)


def _line(row: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode("utf-8")
