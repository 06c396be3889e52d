"""How a line is put on a terminal: colours, signs, width. Pure.

Guarantee: `paint` adds no control characters but its own colours, and keeps a line within the width of the
screen, wide characters counted. The text that it gets must be safe already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .. import safe

__all__ = ["Style", "Signs", "Part", "signs", "paint", "wrapped"]


class Style(NamedTuple):
    """How to write: colours, signs beyond ASCII, columns, whole values, UTC or local time."""

    color: bool = False
    unicode: bool = True
    width: int = 100
    full: bool = False
    utc: bool = False


class Signs(NamedTuple):
    """One sign for each meaning; the words beside it say the same."""

    ok: str
    error: str
    cancelled: str
    other: str
    running: str
    open: str
    fork: str
    last: str
    bar: str
    cut: str
    dot: str
    arrow: str


_UNICODE: Final = Signs("✔", "✘", "⊘", "○", "▶", "…", "├─ ", "└─ ", "│  ", "…", " · ", " › ")
_ASCII: Final = Signs("+", "x", "-", "o", ">", "~", "|- ", "`- ", "|  ", "...", ", ", " > ")
_COLORS: Final = {
    "good": "32", "bad": "1;31", "warn": "33", "open": "1;36", "dim": "2", "strong": "1", "key": "36",
}  # fmt: skip

Part = tuple[str, str]  # safe text, and the name of its colour ("" for none)


def signs(style: Style) -> Signs:
    """The signs that *style* can show."""
    return _UNICODE if style.unicode else _ASCII


def paint(parts: Iterable[Part], style: Style) -> str:
    """One line of *parts*; what goes beyond the screen is cut, with a sign, unless `full`."""
    line = list(parts)
    if not style.full:
        line = _cut(line, max(style.width, 20), style)
    if not style.color:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if color and text else text for text, color in line)


def _cut(line: list[Part], columns: int, style: Style) -> list[Part]:
    widths = [safe.width(text) for text, _ in line]
    if sum(widths) <= columns:
        return line
    sign = signs(style).cut
    room = columns - len(sign)
    kept: list[Part] = []
    for (text, color), width in zip(line, widths):
        if width > room:
            return [*kept, (safe.shorten(text, room, "") + sign, color)]
        kept.append((text, color))
        room -= width
    return kept


def wrapped(text: str, color: str, style: Style, *, indent: str = "", lines: int = 4) -> Iterator[str]:
    """*text* over as many lines as it needs, broken at spaces; the last of *lines* takes the cut."""
    room = max(style.width - safe.width(indent), 20)
    if not style.full:
        while lines > 1 and safe.width(text) > room:
            head = safe.shorten(text, room + 1, "")
            at = head.rfind(" ", room // 2)
            at = len(safe.shorten(text, room, "")) if at < 0 else at
            yield paint([(indent, "dim"), (text[:at], color)], style)
            text = text[at:].lstrip(" ")
            lines -= 1
    yield paint([(indent, "dim"), (text, color)], style)
