"""Numbers, times and values of a trace in words, the same on the terminal and in Markdown. Pure.

What comes back of a recorded value is its text, not yet safe to show: `safe` makes it so for its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..record import Record, number

__all__ = ["duration", "moment", "size", "plural", "spell", "compact", "route", "inflight"]

_STEPS_OF_TIME: Final = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))


def duration(ms: float | None) -> str:
    """*ms* as a person says it: "0.034 ms", "850 ms", "3.25 s", "4 m 10 s", "2 h 5 m"; "?" where unknown."""
    known = number(ms)
    if known is None or known < 0:
        return "?"
    if known < 999.5:
        digits = 3 if known < 0.1 else 1 if known < 9.95 else 0
        return f"{known:.{digits}f} ms"
    seconds = known / 1000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    for big, unit, small, part in _STEPS_OF_TIME:
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit:,} {big}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def moment(seconds: float | None, *, utc: bool = True, day: bool = True, ms: bool = True) -> str:
    """A time as ISO 8601 has it, with "Z" or the local offset: "2026-03-01 17:30:00.250Z"; "?" where unknown.

    Without *day* it is the time of day alone, and a local one carries no offset.
    """
    known = number(seconds)
    if known is None:
        return "?"
    whole, rest = divmod(round(known * 1000), 1000)
    try:
        parts = time.gmtime(whole) if utc else time.localtime(whole)
        text = time.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S", parts)
    except (OverflowError, ValueError, OSError):  # a year that no calendar of this computer has
        return "?"
    text += f".{rest:03d}" if ms else ""
    if utc:
        return text + "Z"
    return text + (_offset(parts.tm_gmtoff) if day else "")


def _offset(seconds_east: int) -> str:
    hours, minutes = divmod(abs(seconds_east) // 60, 60)
    return f"{'-' if seconds_east < 0 else '+'}{hours:02d}:{minutes:02d}"


def size(count: int) -> str:
    """Bytes in powers of 1024: "712 B", "34.5 KiB", "1.2 GiB"."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 1023.95 or unit == "TiB":
            break
    return f"{amount:,.1f} {unit}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """*count* with its noun: "1 step", "1,200 steps"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def compact(value: Any, indent: int | None = None) -> str:
    """*value* as JSON for the eye: letters of every script as they are."""
    import json

    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    except (RecursionError, ValueError, TypeError) as error:  # no value of ours; an importer may hand in any
        return f"<not shown: {type(error).__name__}>"


def spell(value: Any) -> str:
    """*value* as text: a str as it is, unless it could be taken for another value; the rest as JSON."""
    if type(value) is not str:
        return compact(value)
    return compact(value) if _ambiguous(value) else value


def _ambiguous(text: str) -> bool:
    if text in ("", "null", "true", "false") or text[0] in '"{[ ' or text[-1] == " ":
        return True
    return text[0] in "-0123456789" and len(text) < 40 and _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def route(path: Sequence[Record], quote: Callable[[str], str], arrow: str = " › ") -> str:
    """The names along *path*, each through *quote*; of more than eight the middle is left out and counted."""
    if len(path) <= 8:
        return arrow.join(quote(record.name) for record in path)
    ends = [quote(record.name) for record in (*path[:3], *path[-3:])]
    return arrow.join([*ends[:3], f"({len(path) - 6:,} more)", *ends[3:]])


def inflight(record: Record, state: str, now: float | None, *, innermost: bool = True) -> str:
    """What is known of an open step: "running for 12.3 s", "died in this step", "not ended".

    A step that was only waiting for one inside it (not *innermost*) was "open when the process died".
    """
    started = number(record.started_at)
    if state == "running":
        if now is None or started is None:
            return "running"
        return f"running for {duration(max(now - started, 0) * 1000)}"
    if not innermost:
        return "open when the process died" if state == "died" else "not ended"
    heard = [said for entry in record.logs[-1:] if (said := number(entry.get("_t"))) is not None]
    seen = ""
    if heard and started is not None and heard[0] > started:
        seen = f", last heard of after {duration((heard[0] - started) * 1000)}"
    return f"died in this step{seen}" if state == "died" else f"not ended{seen}"
