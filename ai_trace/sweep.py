"""What many steps saw and said, read in one sweep: a block of the file at a time, not a call for each step.

A session lets go of its lines once it is folded; to look at all of them again one by one costs an open and a
read each. `sweep` reads neighbours together, each line once, and holds none of it. Memory: one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Final

from .parse import parse
from .record import Record

__all__ = ["sweep"]

_BLOCK: Final = 1 << 20  # bytes; larger ones gained nothing
_PLACE: Final = attrgetter("path", "offset")


def sweep(
    steps: Iterable[Record], holding: tuple[bytes, ...] = ()
) -> Iterator[tuple[Record, dict[str, Any], list[dict[str, Any]]]]:
    """(record, context, logs) of each of *steps*, in the order in which they lie in their files.

    With *holding*, lines in which none of these bytes stand may be left out unparsed.
    """
    lying = sorted(steps, key=_PLACE)
    at = 0
    while at < len(lying):
        end = _neighbours(lying, at)
        first = lying[at]
        block = _fetch(first, lying[end - 1])
        for record in lying[at:end]:
            start = record.offset - first.offset
            line = block[start : start + record.length]
            if line and holding and not any(part in line for part in holding):
                continue
            data = _object(line, record)
            if data is None:
                yield record, record.context, record.logs
                record.shed()
            else:
                context = data.get("context")
                yield record, context if type(context) is dict else {}, _entries(data.get("logs"))
        at = end


def _neighbours(lying: list[Record], at: int) -> int:
    """The end of a run of records of one file from *at* on that fits into a block; at least one."""
    path, limit = lying[at].path, lying[at].offset + _BLOCK
    end = at + 1
    if _has_place(lying[at]):
        while end < len(lying):
            record = lying[end]
            if record.path != path or record.offset + record.length > limit or not _has_place(record):
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
    """As `Record.logs`: an entry that is no object counts as a message."""
    if type(logs) is not list:
        return []
    return [entry if type(entry) is dict else {"message": entry} for entry in logs]
