"""Times as people type and read them.

`parse` takes what kubectl and journalctl take: how long ago (`90s`, `10m`, `2h`, `3d`, `1w`, `1h30m`), or a
date, with or without a time (RFC 3339, ISO 8601). A date without an offset is local time.
`ago` is the opposite for lists: "3 m ago". Without `datetime`, whose import a start-up would feel.
"""

from __future__ import annotations

import re
import time
from typing import Final

from .. import clock

__all__ = ["parse", "ago", "now", "span"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(?:(?:[0-9]{1,9}(?:\.[0-9]{1,6})?)[smhdw])+")
_PART = re.compile(r"([0-9.]+)([smhdw])")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"\s*([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)  # RFC 3339 §5.6, the seconds and the offset optional as in ISO 8601


def now() -> float:
    """Seconds since 1970."""
    return clock.active.wall_ns() / 1e9


def parse(text: str) -> float:
    """The point in time that *text* names, in seconds since 1970.

    Raises:
        ValueError: a sentence that shows the forms, where *text* is none of them.
    """
    text = text.strip()
    if _SPAN.fullmatch(text):
        return now() - span(text)
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no time; write 10m, 2h, 3d (ago), 2026-03-01 or 2026-03-01T17:30:00Z")
    return _date(text, *found.groups())


def span(text: str) -> float:
    """The seconds that *text* says: "90s", "1h30m", "8w", "0".

    Raises:
        ValueError: a sentence that shows the forms.
    """
    if text != "0" and not _SPAN.fullmatch(text):
        raise ValueError(f"'{text}' is no length of time; write 12h, 30d, 8w, or 0 for no limit")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _date(text: str, year: str, month: str, day: str, hour: str | None, minute: str | None,
          second: str | None, fraction: str | None, offset: str | None) -> float:  # fmt: skip
    import calendar  # late: it pulls in datetime

    fields = (int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    _check(text, fields)
    part = float(f"0.{fraction}") if fraction else 0.0
    if offset is None:
        try:
            return time.mktime((*fields, 0, 0, -1)) + part
        except (OverflowError, ValueError):
            raise ValueError(f"'{text}' is outside the times that this computer knows") from None
    return calendar.timegm(fields) + part - _offset_s(offset)


def _check(text: str, fields: tuple[int, ...]) -> None:
    import calendar

    year, month, day, hour, minute, second = fields
    good = year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    if not (good and hour <= 23 and minute <= 59 and second <= 60):
        raise ValueError(f"'{text}' is no date of the calendar")


def _offset_s(offset: str) -> int:
    if offset in "Zz":
        return 0
    seconds_east = int(offset[1:3]) * 3600 + int(offset[-2:]) * 60
    return -seconds_east if offset[0] == "-" else seconds_east


def ago(then: float | None, at: float) -> str:
    """How long before *at* the time *then* was, in one unit: "now", "40 s ago", "3 m ago", "in 2 h"."""
    if then is None:
        return "-"
    gap = at - then
    size = abs(gap)
    if size < 1:
        return "now"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if size >= length:
            text = f"{int(size // length)} {unit}"
            return f"{text} ago" if gap > 0 else f"in {text}"
    return "now"
