"""One step on a terminal: its title, what it saw, what it logged, how it failed. Pure.

Guarantees: every recorded text is made safe; unless the style is `full`, no step takes more than a screenful,
and each cut says how much is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .. import safe
from ..record import Record, number
from . import words
from .ink import Part, Style, paint, signs, wrapped

__all__ = ["block", "title", "details", "fields", "log_line"]

_SHOWN_LOGS: Final = 20  # of a step, unless full: half from the start, half from the end
_SHOWN_FRAMES: Final = 12  # lines of a traceback, unless full: the end, where the error is
_SHOWN_LINES: Final = 6  # of context or of one log, unless full


def block(
    record: Record, style: Style, *, state: str = "unknown", now: float | None = None, indent: str = ""
) -> Iterator[str]:
    """One step with all it holds, for a list or a live view. *state* is its session's."""
    yield paint([(indent, "dim"), *title(record, style, state=state, now=now)], style)
    yield from details(record, style, indent=indent + "   ")


def title(
    record: Record, style: Style, *, state: str = "unknown", now: float | None = None, innermost: bool = True
) -> list[Part]:
    """Sign, name, how it went, how long it took, when it began, its id (the first eight digits)."""
    sign, color = _sign(record, state, style)
    name = safe.one_line(record.name, max(style.width // 2, 20)) or '""'
    parts = [(f"{sign} ", color), (name, "bad" if color == "bad" else "strong")]
    if record.open:
        parts.append((f"  {words.inflight(record, state, now, innermost=innermost)}", color))
    else:
        known = record.outcome in ("ok", "error")
        word = "" if known else f"  {safe.one_line(record.outcome or 'no outcome', 40)}"
        parts += [(word, color), (f"  {words.duration(record.duration_ms)}", "")]
    when = words.moment(record.started_at, utc=style.utc, day=False)
    shown_id = record.id if style.full or len(record.id) < 16 else record.id[:8]
    return [*parts, (f"  {when}", "dim"), (f"  {safe.one_line(shown_id, 40)}", "dim")]


def _sign(record: Record, state: str, style: Style) -> Part:
    known = signs(style)
    if record.open:
        if state == "running":
            return known.running, "open"
        return known.open, "bad" if state == "died" else "warn"
    ended = {"ok": (known.ok, "good"), "error": (known.error, "bad"), "cancelled": (known.cancelled, "warn")}
    return ended.get(record.outcome or "", (known.other, "key"))


def details(record: Record, style: Style, *, indent: str = "", repeats: bool = False) -> Iterator[str]:
    """All below the title. *repeats*: the failure came up from a step inside, where it is told in full."""
    yield from fields(record.context, style, indent=indent)
    yield from _logs(record.logs, style, indent)
    if record.error:
        where = "  (came up from inside)" if repeats and not style.full else ""
        yield from wrapped(safe.one_line(record.error) + where, "bad", style, indent=indent)
    if record.traceback and (style.full or not repeats):
        yield from _traceback(record.traceback, style, indent)


def _traceback(text: str, style: Style, indent: str) -> Iterator[str]:
    lines = safe.terminal(text.rstrip("\n"), keep="\n").split("\n")
    if not style.full and len(lines) > _SHOWN_FRAMES:
        yield _left_out(words.plural(len(lines) - _SHOWN_FRAMES, "line") + " above", style, indent)
        lines = lines[-_SHOWN_FRAMES:]
    for line in lines:
        yield paint([(indent, "dim"), (line, "dim")], style)


def _logs(logs: list[dict[str, Any]], style: Style, indent: str) -> Iterator[str]:
    half = _SHOWN_LOGS // 2
    between = 0 if style.full or len(logs) <= _SHOWN_LOGS else len(logs) - 2 * half
    for entry in logs[:half] if between else logs:
        yield from log_line(entry, style, indent=indent)
    if between:
        yield _left_out(words.plural(between, "more log"), style, indent)
        for entry in logs[-half:]:
            yield from log_line(entry, style, indent=indent)


def log_line(entry: Mapping[str, Any], style: Style, *, indent: str = "") -> Iterator[str]:
    """One log entry: its time, its message as text, its fields; more than one line where there is much."""
    when = words.moment(number(entry.get("_t")), utc=style.utc, day=False)
    rest = {key: value for key, value in entry.items() if key != "_t"}
    lead: list[Part] = [(when, "dim"), ("  ", "")]
    if type(rest.get("message")) is not str:
        yield from fields(rest, style, indent=indent, lead=lead)
        return
    first, *more = safe.terminal(rest.pop("message"), keep="\n" if style.full else "").split("\n")
    if more or safe.width(indent + when + first) > style.width * 2 // 3:
        yield paint([(indent, "dim"), *lead, (first, "")], style)
        for line in more:
            yield paint([(indent, "dim"), ("  ", ""), (line, "")], style)
        yield from fields(rest, style, indent=indent + "  ")
    else:
        yield from fields(rest, style, indent=indent, lead=[*lead, (first, ""), ("  ", "")])


def fields(
    pairs: Mapping[str, Any], style: Style, *, indent: str = "", lead: list[Part] | None = None
) -> Iterator[str]:
    """`key=value` pairs, as many on a line as fit after *lead*; in `full`, a long text below its key."""
    filling = _Filling(style, indent, lead or [])
    for at, (key, value) in enumerate(pairs.items()):
        if filling.lines >= _SHOWN_LINES and not style.full:
            yield from filling.flush()
            yield _left_out(words.plural(len(pairs) - at, "more field"), style, indent)
            return
        if style.full and type(value) is str and "\n" in value:
            yield from filling.flush()
            yield from _long_text(key, value, style, indent)
        else:
            yield from filling.add(_pair(key, value, filling.room, style))
    yield from filling.flush()


class _Filling:
    """A line being filled with pairs until the next one does not fit."""

    def __init__(self, style: Style, indent: str, lead: list[Part]) -> None:
        self.room = max(style.width - safe.width(indent), 20)
        self.lines = 0
        self._style = style
        self._indent = indent
        self._line = list(lead)

    def add(self, pair: list[Part]) -> Iterator[str]:
        if self._line and _width(self._line) + _width(pair) > self.room:
            yield from self.flush()
        self._line += [*pair, ("  ", "")]

    def flush(self) -> Iterator[str]:
        if self._line:
            if self._line[-1] == ("  ", ""):
                self._line.pop()
            yield paint([(self._indent, "dim"), *self._line], self._style)
            self._line = []
            self.lines += 1


def _width(parts: list[Part]) -> int:
    return sum(safe.width(text) for text, _ in parts)


def _pair(key: str, value: Any, room: int, style: Style) -> list[Part]:
    name = f"{safe.one_line(key, 40)}="
    if style.full:
        return [(name, "key"), (safe.terminal(_spelled(value)), "")]
    is_text = type(value) is str
    seen = value[: 4 * room] if is_text else value  # what is beyond cannot be on one line
    text = safe.terminal(_spelled(seen))
    left = room - safe.width(name)
    if safe.width(text) <= left and not (is_text and len(value) > 4 * room):
        return [(name, "key"), (text, "")]
    count = f" ({len(value) if is_text else len(text):,} characters)"
    text = safe.shorten(text, max(left - len(count), 10), signs(style).cut)
    return [(name, "key"), (text, ""), (count, "dim")]


def _spelled(value: Any) -> str:
    """As `words.spell`, and in quotes where a space would make two of it."""
    text = words.spell(value)
    if type(value) is str and text == value and (" " in text or "=" in text or not text.isprintable()):
        return words.compact(value)
    return text


def _long_text(key: str, value: str, style: Style, indent: str) -> Iterator[str]:
    yield paint([(indent, "dim"), (f"{safe.one_line(key)}=", "key")], style)
    for line in safe.terminal(value, keep="\n\t").split("\n"):
        yield paint([(indent, "dim"), ("  ", ""), (line.expandtabs(), "")], style)


def _left_out(what: str, style: Style, indent: str) -> str:
    return paint([(indent, "dim"), (f"{signs(style).cut} {what} (--full)", "dim")], style)
