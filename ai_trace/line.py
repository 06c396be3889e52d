"""One finished step <-> one line of bytes.

`Parts` is what a line is made of, already text where it can be: each value was encoded once, when it was
said, and the line is those pieces joined. `encode_step` never fails on parts; `decode` never fails on bytes.
"""

# No `from __future__ import annotations` here: NamedTuple would compile each text, and the first compile() costs 2 ms.

import re
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from .parse import parse, parse_first
from .patterns import Late
from .record import Damage, Record

__all__ = ["Parts", "Unproven", "decode", "encode_step", "glance", "glance_block", "seconds", "quote"]


class Parts:
    """The pieces of one step, as its line and its records in the black box hold them.

    Attributes:
        id, parent: 16 hex digits; *parent* is None for a root.
        name_text, outcome_text, error_text: JSON text, masked.
        started_ns, finished_ns: wall clock, nanoseconds since 1970; *started_ns* is 0 until it begins.
        started_text, finished_text: the same as JSON text, in seconds.
        steady_ns: when it began by the monotonic clock.
        elapsed_ns: how long it took by the monotonic clock, never negative.
        context_text, log_texts: JSON objects, ASCII, one for the context and one for each log.
        usage_text: model, tokens and cost as a JSON object, or "".
        extra: the further keys of the line as JSON text, each behind a comma.
        masked: how many values in it were redacted.
        size: bytes of its context and logs.
        place: where its start record lies in the black box; -1 where it lies in none.
        live: True while it may be written to: it has begun, has not ended, and is this process's own.
        ended: True from the moment it was finished.
        told: True once its line was written, or counted as dropped.
        cut_at, cut_logs: where the mark of a cut stands in the logs (0: nowhere), and how many logs it took.
    """

    __slots__ = (
        "id", "parent", "name_text", "started_ns", "started_text", "steady_ns", "finished_ns", "finished_text", "elapsed_ns",
        "context_text", "log_texts", "usage_text", "outcome_text", "error_text", "extra", "masked", "size",
        "place", "live", "ended", "told", "cut_at", "cut_logs",
    )  # fmt: skip

    id: str
    parent: str | None
    name_text: str
    started_ns: int
    started_text: str
    steady_ns: int
    finished_ns: int
    finished_text: str
    elapsed_ns: int
    context_text: str
    log_texts: list[str]
    usage_text: str
    outcome_text: str
    error_text: str
    extra: str
    masked: int
    size: int
    place: int
    live: bool
    ended: bool
    told: bool
    cut_at: int
    cut_logs: int

    def cut_middle(self, now_ns: int) -> None:
        """Keep the first quarter of the logs and the last: how it began, and what came last. A mark says it."""
        logs, head, tail = self.log_texts, self.cut_at or len(self.log_texts) // 4 or 1, len(self.log_texts) // 4 or 1
        if head + tail + 1 < len(logs):
            self.cut_logs += len(logs) - head - tail - (1 if self.cut_at else 0)
            self.cut_at = head
            mark = f'{{"_t":{seconds(now_ns)},"$cut":{{"logs":{self.cut_logs}}}}}'
            self.log_texts = [*logs[:head], mark, *logs[-tail:]]
            self.size = len(self.context_text) + sum(map(len, self.log_texts))


def encode_step(parts: Parts, more: str = "", room: int = 0) -> bytes:
    """The line of a finished step, `\\n` included; *more* is what this one line tells of its session, *room* how
    many bytes will be added to it (a seal)."""
    parent = "null" if parts.parent is None else f'"{parts.parent}"'
    usage = f',"usage":{parts.usage_text}' if parts.usage_text else ""
    masked = f',"redacted":{parts.masked}' if parts.masked else ""
    head = (
        f'{{"name":{parts.name_text},"outcome":{parts.outcome_text},"started_at":{parts.started_text},'
        f'"duration_ms":{parts.elapsed_ns / 1e6:.3f},"id":"{parts.id}","parent":{parent},"error":{parts.error_text}'
    )
    tail = (
        f'{usage},"context":{parts.context_text},"logs":[{",".join(parts.log_texts)}],'
        f'"finished_at":{parts.finished_text}{parts.extra}{more}{masked}}}\n'
    )
    size = len(head) + len(tail) + 7 + room  # 7: `,"len":`
    size += 3 if size < 997 else 4 if size < 9996 else len(str(size + 5))  # its digits are part of the length
    return f'{head},"len":{size}{tail}'.encode()


def seconds(ns: int) -> str:
    """Nanoseconds since 1970 as JSON number of seconds with microseconds; 0.17 µs, against 0.29 for a
    float."""
    digits = str(ns // 1000)
    if len(digits) < 7 or ns < 0:  # a clock before 1970 or in its first second
        return repr(ns / 1e9)
    return f"{digits[:-6]}.{digits[-6:]}"


# Decoding. A line is trusted in two ways: `glance` believes the fixed part and the length that stands in it,
# and leaves the rest unread; `decode` with *check* parses everything. What neither can read is searched for
# whole steps: a torn line swallows the one glued behind it, and one bad line should cost one line.

_WORD = r'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"'
_NUMBER = r"(-?\d{1,17}(?:\.\d{1,20})?|null)"
_FIXED_PART = Late(
    r'\{"name":' + _WORD + r',"outcome":(?:null|' + _WORD + r'),"started_at":' + _NUMBER + r',"duration_ms":'
    + _NUMBER + r',"id":"([0-9a-f]{16})","parent":(?:null|"([0-9a-f]{16})"),"error":(?:null|' + _WORD
    + r'),"len":(\d{1,12})(?:,"usage":(\{[^{}]*\}))?,"context":\{', re.ASCII,
)  # fmt: skip
_OBJECT = Late(rb'\{\s*"(\w{1,99})"\s*:')
_TELLING = frozenset(("name", "outcome", "started_at", "duration_ms", "context", "logs", "finished_at"))
_MARGIN = b" \t\r\n\xef\xbb\xbf"  # white space, and the bytes of a BOM that a Windows editor may leave


def decode(
    raw: bytes, path: str = "", offset: int = 0, lineno: int | None = None, *, check: bool = True
) -> list[Record | Damage]:
    """What the line *raw*, found at *offset* of *path*, holds: a step, a damage, or several of both where
    lines are glued; nothing for a blank line. Never raises; time and memory are linear in the line.

    Args:
        lineno: the line's number from 1; gives steps of the older package, which have no id, a name of their
        own. check: parse all of it. Without, a line whose fixed part reads and whose length fits is believed.
    """
    if not check:
        record = glance(raw, path, offset)
        if record is not None:
            return [record]
    lead = len(raw) - len(raw.lstrip(_MARGIN))
    if lead == len(raw):
        return []
    place = _Place(path, offset + lead, lineno)
    body = raw[lead:] if lead else raw
    try:
        data = parse(body)
    except ValueError as error:
        return _recover(body, place, str(error))
    return [_judge(data, body, place, 0)]


def glance(raw: bytes, path: str = "", offset: int = 0) -> Record | None:
    """The step in the line *raw*, its fixed part alone read, where its shape and its length prove it whole.

    Damage that keeps the length, inside what is skipped, is not seen (NUL bytes are); `decode` with *check*
    sees it.
    """
    if b"\0" in raw or raw[-2:] != b"}\n":
        return None
    record = _fixed(raw[:_LONG].decode("latin-1"), 0, raw, path, offset)
    if record is None and len(raw) > _LONG:  # a fixed part with a very long error
        record = _fixed(raw.decode("latin-1"), 0, raw, path, offset)
    return record


def glance_block(block: bytes, start: int, stop: int, path: str, offset: int) -> Iterator["Record | Unproven"]:
    """What `glance` says of each line from *start* to *stop* of *block*, which lies at *offset*; and the
    lines of which it says nothing."""
    text = ""
    clean = b"\0" not in block
    number = 0
    while start < stop:
        end = block.index(b"\n", start) + 1
        raw = block[start:end]
        number += 1
        if end - start > _LONG or not clean:
            record = glance(raw, path, offset + start)
        else:
            # once for all short lines: each field is a str as it is found
            text = text or block.decode("latin-1")
            record = _fixed(text, start, raw, path, offset + start)
        yield record if record is not None else Unproven(offset + start, number, raw)
        start = end


class Unproven(NamedTuple):
    """A line that has to be parsed: its offset, its number among the lines looked at from 1, its bytes."""

    offset: int
    number: int
    raw: bytes


_LONG = 2048  # bytes of a line in which a fixed part is looked for first; few names and errors are longer


def _fixed(text: str, start: int, raw: bytes, path: str, offset: int) -> Record | None:
    """The step whose line *raw* stands at *start* of *text*, bytes taken for Latin-1; None where it proves
    nothing."""
    found = _FIXED_PART.match(text, start)
    if found is None:
        return None
    name, outcome, started_at, duration_ms, id, parent, error, size, usage = found.groups()
    length = len(raw)
    if int(size) != length or raw[length - 2] != 0x7D:
        return None
    record = _blank(Record)
    try:
        record.name = name if name.isascii() and "\\" not in name else _unquote(name)
        record.outcome = outcome if outcome == "ok" or outcome is None else _unquote(outcome)
        record.error = None if error is None else _unquote(error)
        record.usage = {} if usage is None else _object(usage)
    except ValueError:
        return None
    record.started_at = float(started_at) if started_at != "null" else None
    record.duration_ms = float(duration_ms) if duration_ms != "null" else None
    record.id = id
    record.parent = parent
    record.open = False
    record.path = path
    record.offset = offset
    record.length = length
    record._raw = raw
    record._data = record._small = None
    return record


_blank = object.__new__  # one record a line, a million lines: half the cost of calling the class


class _Place(NamedTuple):
    path: str
    offset: int
    lineno: int | None

    def damage(self, start: int, end: int, reason: str) -> Damage:
        return Damage(self.path, self.offset + start, end - start, reason, self.lineno)


def _unquote(word: str) -> str:
    """The text of a JSON string that stands between the quotes, its bytes taken for Latin-1."""
    if "\\" not in word and word.isascii():
        return word
    return str(parse(f'"{word}"'.encode("latin-1")))


def _object(text: str) -> dict[str, Any]:
    value = parse(text.encode("latin-1"))
    if type(value) is not dict:
        raise ValueError("not an object")
    return value


def _judge(data: Any, raw: bytes, place: _Place, start: int, nth: int = 0) -> Record | Damage:
    """The parsed *data* as a step, or why it is none; *nth* counts the steps found in one line."""
    if type(data) is not dict:
        return place.damage(start, start + len(raw), f"not a step: {_KINDS.get(type(data), 'null')}")
    if len(_TELLING & data.keys()) < 2:
        return place.damage(start, start + len(raw), "not a step: an object without a step's keys")
    where = f"line-{place.lineno:06}" if place.lineno else f"byte-{place.offset + start:09}"
    return Record.from_data(
        data, id=f"{where}.{nth + 1}" if nth else where,
        path=place.path, offset=place.offset + start, length=len(raw), raw=raw,
    )  # fmt: skip


_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def _recover(raw: bytes, place: _Place, reason: str) -> list[Record | Damage]:
    """The whole steps inside a line that is not one, and the damage between them.

    The line falls into pieces where an object begins that no valid JSON could hold there (see `_restarts`).
    So a piece holds at most one whole step, and each byte is parsed once.
    """
    if not raw.strip(b"\0 \t\r\n"):
        return [place.damage(0, len(raw), "NUL bytes, as a power cut leaves them")]
    cuts = [0, *(start for start in _restarts(raw) if start), len(raw)]
    found: list[Record | Damage] = []
    steps = 0
    for start, end in zip(cuts, cuts[1:]):
        piece = raw[start:end]
        try:
            data, size = parse_first(piece) if piece[:1] == b"{" else (None, 0)
        except ValueError as error:
            reason = reason if len(cuts) == 2 else str(error)
            size = 0
        if not size:
            _add_damage(found, place, start, end, _torn(piece, end < len(raw), reason))
            continue
        item = _judge(data, piece[:size], place, start, steps)
        steps += isinstance(item, Record)
        if isinstance(item, Record):
            found.append(item)
        else:
            _add_damage(found, place, start, start + size, item.reason)
        if piece[size:].strip(b" \t\r\n"):
            _add_damage(found, place, start + size, end, "bytes behind a whole step")
    return found


def _torn(piece: bytes, glued: bool, reason: str) -> str:
    if not glued:
        return reason
    return "a torn step, another glued behind it" if piece[:1] == b"{" else "garbage before a step"


def _add_damage(found: list[Record | Damage], place: _Place, start: int, end: int, reason: str) -> None:
    """Add the stretch from *start* to *end*, as one with a damage that ends where it starts."""
    last = found[-1] if found else None
    if isinstance(last, Damage) and last.offset + last.length == place.offset + start:
        found[-1] = last._replace(length=last.length + end - start)
    else:
        found.append(place.damage(start, end, reason))


def _restarts(raw: bytes) -> list[int]:
    """Where in *raw* a new step begins for certain, in order.

    In valid JSON an object never follows a `}` directly, and one inside another follows `:`, `,` or `[`;
    within a string the quote of its key would stand escaped. So `}{"key":`, and `{"name":` behind anything
    but those three, begin something new. Behind those three (the line was torn just there) only the length
    can tell.
    """
    starts: list[int] = []
    doubtful: list[int] = []
    for found in _OBJECT.finditer(raw):
        start = before = found.start()
        while before and raw[before - 1] in b" \t\r":
            before -= 1
        last = raw[before - 1 : before]
        if last == b"}" or (found[1] == b"name" and last not in (b":", b",", b"[")):
            starts.append(start)
        elif found[1] == b"name":
            doubtful.append(start)
    if doubtful:
        ends = {len(raw), len(raw) + 1, *starts}  # the last line may have lost its newline
        text = raw.decode("latin-1")
        starts = sorted({*starts, *(start for start in doubtful if _length_fits(raw, text, start, ends))})
    return starts


def _length_fits(raw: bytes, text: str, start: int, ends: set[int]) -> bool:
    found = _FIXED_PART.match(text, start)
    if found is None:
        return False
    end = start + int(found[8])
    return (end in ends or end - 1 in ends) and raw[min(end, len(raw)) - 2 : end].rstrip(b"\n").endswith(b"}")
