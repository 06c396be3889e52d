"""What many steps saw and said, read in one sweep: a block of the file at a time, not a call for each step.

A session lets go of its lines once it is folded; to look at all of them again one by one costs an open and a
read each. `sweep` reads neighbours together, each line once, and holds none of it. Memory: one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from .parse import parse
from .record import Record

__all__ = ["sweep"]

_BLOCK: Final = 1 << 20  # bytes; larger ones gained nothing


def sweep(
    steps: Iterable[tuple[int, Record]], holding: tuple[bytes, ...] = ()
) -> Iterator[tuple[int, Record, dict[str, Any], list[dict[str, Any]]]]:
    """(number, record, context, logs) of each (number, record) of *steps*, as they lie in their files.

    With *holding*, lines in which none of these bytes stand may be left out unparsed.
    """
    lying = sorted(steps, key=lambda step: (step[1].path, step[1].offset))
    at = 0
    while at < len(lying):
        end = _neighbours(lying, at)
        first = lying[at][1]
        raw = _fetch(first, lying[end - 1][1])
        for number, record in lying[at:end]:
            start = record.offset - first.offset
            line = raw[start : start + record.length]
            if line and holding and not any(part in line for part in holding):
                continue
            data = _object(line, record)
            if data is None:
                yield number, record, record.context, record.logs
                record.shed()
            else:
                context, logs = data.get("context"), data.get("logs")
                yield number, record, context if type(context) is dict else {}, _entries(logs)
        at = end


def _neighbours(lying: list[tuple[int, Record]], at: int) -> int:
    """The end of a run of records of one file from *at* on that fits into a block; at least one."""
    first = lying[at][1]
    if not _has_place(first):
        return at + 1
    end = at + 1
    while end < len(lying):
        record = lying[end][1]
        if record.path != first.path or not _has_place(record) or record.offset + record.length - first.offset > _BLOCK:
            break
        end += 1
    return end


def _has_place(record: Record) -> bool:
    """Whether its line can be read from a file; a step still open, or of a snapshot, has all in memory."""
    return bool(record.path and record.length and not record.open)


def _fetch(first: Record, last: Record) -> bytes:
    if Record.fetch is None or not _has_place(first):
        return b""
    return Record.fetch(first.path, first.offset, last.offset + last.length - first.offset)


def _object(line: bytes, record: Record) -> dict[str, Any] | None:
    """The object in *line* where it is still that of *record*; else the record says itself what it knows."""
    try:
        data = parse(line) if line else None
    except ValueError:
        return None
    return data if type(data) is dict and data.get("name") == record.name else None


def _entries(logs: Any) -> list[dict[str, Any]]:
    if type(logs) is not list:
        return []
    return [entry if type(entry) is dict else {"message": entry} for entry in logs]
