"""Values of a trace in the forms that files of other tools have in common: text, JSON, times, ids. Total."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any, Final

from ..plain import plain
from ..record import Record, number
from ..session import Session
from ..totals import duration_of
from ..tree import ended_at

__all__ = [
    "compact",
    "end_ns",
    "iso",
    "nanoseconds",
    "span_id",
    "start_ns",
    "text_of",
    "trace_id",
    "valid",
    "whole",
]

_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LAST_NS: Final = 2**63 - 1  # what every reader's 64-bit time can hold; the year 2262
_INT64: Final = 2**63


def valid(text: str) -> str:
    """*text* without lone surrogates, which UTF-8 cannot carry: each becomes U+FFFD."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def compact(value: Any) -> str:
    """*value* as strict JSON in ASCII on one line."""
    try:
        return _strict(json.dumps(value, allow_nan=False, separators=(",", ":")))
    except (ValueError, TypeError, RecursionError):  # not from our files; an importer may hand in anything
        return _strict(json.dumps(plain(value), allow_nan=False, separators=(",", ":")))


# Pairs of escapes pass; an escaped half of a pair without its other half is what a strict reader refuses.
_ESCAPE: Final = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _strict(text: str) -> str:
    """JSON *text* with U+FFFD for each lone surrogate."""
    if "\\ud" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if found["half"] else found[0], text)


def text_of(value: Any) -> str:
    """*value* as a person would write it: a text as it is, anything else as JSON."""
    return valid(value) if isinstance(value, str) else compact(value)


def whole(value: Any) -> int | None:
    """*value* as a whole number of at most 64 bits, where it is one and not negative."""
    known = number(value)
    if known is None or known < 0 or known != int(known) or known >= _INT64:
        return None
    return int(value)


def iso(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC with microseconds; None for what is no time of this era."""
    ns = nanoseconds(seconds)
    if ns is None:
        return None
    rest, micro = divmod(ns // 1000, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(rest)) + f".{micro:06d}Z"


def nanoseconds(seconds: float | None) -> int | None:
    """Seconds since 1970 as nanoseconds; None for what is no time of this era."""
    known = number(seconds)
    # A float of today's time is exact to a quarter of a microsecond: what is below that is no news.
    ns = -1 if known is None or abs(known) > 1e12 else round(known * 1_000_000) * 1000
    return ns if 0 <= ns <= _LAST_NS else None


def start_ns(record: Record, session_start: float | None) -> int:
    """When *record* began; where it does not say, when its session did."""
    for known in (record.started_at, record.finished_at, session_start):
        ns = nanoseconds(known)
        if ns is not None:
            return ns
    return 0


def end_ns(record: Record, start: int) -> int:
    """When *record* ended: its start and its duration. Of a step still open the last sign of life."""
    duration = duration_of(record)
    if duration is not None:
        return min(start + round(min(duration * 1e6, 1e19)), _LAST_NS)
    last = [record.finished_at, ended_at(record)]
    if record.open:
        last = [number(entry.get("_t")) for entry in record.logs[-1:]]
    return max([start, *(ns for ns in map(nanoseconds, last) if ns is not None)])


def trace_id(info: dict[str, Any] | Session) -> str:
    """32 hex digits for a session: its own, or some made of its agent and id, always the same."""
    if isinstance(info, Session):
        info = {"trace_id": info.trace_id, "agent": info.agent, "session_id": info.id}
    own = info.get("trace_id")
    if isinstance(own, str) and _TRACE_ID.fullmatch(own):
        return own
    return _digest(own or "", info.get("agent"), info.get("session_id"))[:32]


def span_id(id: str) -> str:
    """16 hex digits for a step: its own id, or some made of it, always the same."""
    return id if _SPAN_ID.fullmatch(id) else _digest(id)[:16]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode("ascii", "backslashreplace")).hexdigest()
