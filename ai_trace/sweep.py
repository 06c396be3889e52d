"""What many steps saw and said, read in one sweep: a block of the file at a time, not a call for each step.

A session lets go of its lines once it is folded; to look at all of them again one by one costs an open and a
read each. `sweep` reads neighbours together, each line once, and holds none of it. Memory: one block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

from .parse import MAX_DEPTH, parse
from .record import Record

__all__ = ["BLOCK", "entries", "parsed", "sweep"]

BLOCK: Final = 1 << 20  # bytes; larger ones gained nothing
_PLACE: Final = attrgetter("path", "offset")
_JSON: Final = json.JSONDecoder(parse_constant=str)  # without a call for each number, as `parse` has it
_SHAPE: Final = bytes(48 if c in b"0123456789" else 101 if c in b"eE" else c for c in range(256))
_LARGE: Final = re.compile(rb"e\+?0{3,}[ \t\r\n,}\]]")


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
        near = lying[at:end]
        starts = [record.offset - first.offset for record in near]
        lines = [block[start : start + record.length] for start, record in zip(starts, near)]
        if block and holding:
            here = [part for part in holding if part in block]
            kept = [place for place, line in enumerate(lines) if not line or any(part in line for part in here)]
            near, lines = [near[place] for place in kept], [lines[place] for place in kept]
        for record, line, found in zip(near, lines, parsed(lines) or repeat(None)):
            data = found if type(found) is dict and found.get("name") == record.name else _object(line, record)
            if data is None:
                yield record, record.context, record.logs
                record.shed()
            else:
                context = data.get("context")
                yield record, context if type(context) is dict else {}, entries(data.get("logs"))
        at = end


def parsed(lines: list[bytes]) -> list[Any] | None:
    """What each of *lines* holds, parsed all at once, in half the time; None where they have to be parsed one by
    one.

    For lines that were whole steps when they were read before: what is proved is that together they are JSON.
    """
    raw = b",".join(lines)
    if _may_be_infinite(raw) or any(line.count(b"{") + line.count(b"[") > MAX_DEPTH for line in lines):
        return None
    try:
        values = _JSON.decode(str(b"[" + raw + b"]", "utf-8"))
    except (ValueError, RecursionError, MemoryError):
        return None
    return values if len(values) == len(lines) else None


def _may_be_infinite(raw: bytes) -> bool:
    """Whether a number in *raw* may be past the doubles: an exponent of three digits, or very many digits."""
    shape = raw.translate(_SHAPE)
    return _LARGE.search(shape) is not None or b"0" * 300 in shape


def _neighbours(lying: list[Record], at: int) -> int:
    """The end of a run of records of one file from *at* on that fits into a block; at least one."""
    path, limit = lying[at].path, lying[at].offset + BLOCK
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


def entries(logs: Any) -> list[dict[str, Any]]:
    """As `Record.logs`: an entry that is no object counts as a message."""
    if type(logs) is not list:
        return []
    return [entry if type(entry) is dict else {"message": entry} for entry in logs]
