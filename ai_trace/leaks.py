"""Secrets in files that are stored already: by the redaction rules, what and where, never the secret itself.

Our own files, any JSONL or JSON, and any text: a line that is JSON is looked through by its keys and values,
all else as running text. Memory is bounded: a line past `MAX_PARSED` is taken as text, in pieces cut where no
secret can be (a space or a quote) as far as there is such a place.

Limits: those of the rules (`redact.py`); compressed and binary files are not looked into, and it is said so.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .lines import BLOCK
from .packed import opened
from .parse import parse
from .redact import Redactor
from .sniff import sniff

__all__ = ["MAX_PARSED", "NAMED", "Leak", "files", "leaks", "unreadable"]

MAX_PARSED: Final = 32 * 1024 * 1024  # bytes of a line; twice what the recorder writes of one step
NAMED: Final = "by name"  # what a leak is that was found by the name before it, not by its shape

_TEXT: Final = 256 * 1024  # bytes of running text looked at together, so that a key of many lines is seen
_MARK: Final = re.compile(r"\[redacted(?::([\w .-]{1,40}))?\]")
_PEM_HEAD: Final = b"-----BEGIN "


class Leak(NamedTuple):
    """One or more secrets of one kind in one value or one stretch of text."""

    path: str
    line: int  # from 1
    byte: int  # where the value begins, in bytes from the start of the file
    rule: str  # the name of the shape, or `NAMED`
    where: str  # the keys that lead to it, "context.headers.authorization"; "" in running text
    times: int


def files(paths: list[str]) -> Iterator[str]:
    """The regular files among *paths* and below those that are folders; links below them are not followed."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, names, found in os.walk(path):
            names.sort()
            for name in sorted(found):
                inside = os.path.join(folder, name)
                if os.path.isfile(inside) and not os.path.islink(inside):
                    yield inside


def unreadable(path: str) -> str:
    """Why `leaks` cannot look into *path*: it is compressed, or no text; "" where it can."""
    with opened(path) as file:
        head = file.pread(4096, 0)
        if file.problem and not head:
            return file.problem
    if not head or head.startswith(b"{\""):  # a trace with NUL bytes in it is damaged, and still a trace
        return ""
    reason = sniff(head)
    return "" if reason.startswith(("none", "it holds")) else reason


def leaks(path: str, redactor: Redactor) -> Iterator[Leak]:
    """What in the file at *path* the rules of *redactor* would have masked, in the order of the file.

    Raises:
        OSError: it cannot be read.
    """
    for line, offset, raw in _pieces(path):
        data = _data(raw)
        if data is None:
            yield from _in_text(path, line, offset, raw, redactor)
            continue
        masked, count = redactor.data(data)
        if count:
            yield from _Places(path, line, offset, raw).differing(data, masked)


def _pieces(path: str) -> Iterator[tuple[int, int, bytes]]:
    """(number of its first line, offset, bytes): single lines of JSON, and running text put together."""
    text: list[bytes] = []
    first = start = size = 0
    for number, offset, line in _lines(path):
        is_json = line.lstrip(b" \t\xef\xbb\xbf")[:1] in (b"{", b"[") and len(line) <= MAX_PARSED
        if text and (is_json or (size > _TEXT and _PEM_HEAD not in text[-1])):
            yield first, start, b"".join(text)
            text, size = [], 0
        if is_json:
            yield number, offset, line
            continue
        if not text:
            first, start = number, offset
        text.append(line)
        size += len(line)
    if text:
        yield first, start, b"".join(text)


def _lines(path: str) -> Iterator[tuple[int, int, bytes]]:
    """(number, offset, bytes) of each line; one past `MAX_PARSED` comes in pieces of the same number."""
    with opened(path) as file:
        number, offset, position = 1, 0, 0
        held: list[bytes] = []
        size = 0
        while block := file.pread(BLOCK, position):
            position += len(block)
            *whole, rest = block.split(b"\n")
            for end in whole:
                line = b"".join((*held, end, b"\n"))
                yield number, offset, line
                number, offset = number + 1, offset + len(line)
                held, size = [], 0
            if rest:
                held.append(rest)
                size += len(rest)
            if size > MAX_PARSED:
                piece = b"".join(held)
                cut = max(piece.rfind(sign, -BLOCK) for sign in (b" ", b'"', b",")) + 1 or len(piece)
                yield number, offset, piece[:cut]
                offset, held, size = offset + cut, [piece[cut:]], len(piece) - cut
        if size:
            yield number, offset, b"".join(held)
        if file.problem:
            raise OSError(errno.EIO, file.problem, path)


def _data(raw: bytes) -> dict[str, Any] | list[Any] | None:
    """The object or list that a line is (a comma may follow, as in a snapshot), None for running text."""
    try:
        data = parse(raw.removeprefix(b"\xef\xbb\xbf").rstrip(b", \t\r\n"))
    except ValueError:
        return None
    return data if isinstance(data, (dict, list)) else None


def _in_text(path: str, line: int, offset: int, raw: bytes, redactor: Redactor) -> Iterator[Leak]:
    """The leaks in running text: those that one line shows, then those that take several (a key in PEM)."""
    text = raw.decode("utf-8", "surrogateescape")
    if not redactor.text(text)[1]:
        return
    lines = raw.splitlines(True)
    seen = []
    for number, part in enumerate(lines):
        shown, count = redactor.text(row := part.decode("utf-8", "surrogateescape"))
        seen.append(shown)
        for rule, times in _marks(row, shown).items() if count else ():
            yield Leak(path, line + number, offset + _differ(row, shown), rule, "", times)
        offset += len(part)
    masked, count = redactor.text(text := "".join(seen))
    if count:
        number = text[: len(os.path.commonprefix((text, masked)))].count("\n")
        start = offset - len(b"".join(lines[number:]))
        for rule, times in _marks(text, masked).items():
            yield Leak(path, line + number, start, rule, "", times)


class _Places:
    """Looks for values of parsed data in the bytes they were parsed from."""

    def __init__(self, path: str, line: int, offset: int, raw: bytes) -> None:
        self._path = path
        self._line = line
        self._offset = offset
        self._raw = raw

    def differing(self, data: Any, masked: Any) -> Iterator[Leak]:
        """A leak for each kind of mask in each value of *masked* that *data* does not have."""
        todo: list[tuple[Any, Any, tuple[str, ...]]] = [(data, masked, ())]
        while todo:
            old, new, way = todo.pop()
            if type(old) is str and type(new) is str:
                if old != new:
                    yield from self._leaks(old, _marks(old, new), way)
            elif type(old) is dict and type(new) is dict:
                for (key, value), (shown, copy) in zip(old.items(), new.items()):
                    if key != shown:
                        yield from self._leaks(key, _marks(key, shown), way)
                    todo.append((value, copy, (*way, shown)))
            elif type(old) is list and type(new) is list:
                todo += [(a, b, (*way, str(n))) for n, (a, b) in enumerate(zip(old, new))]
            elif type(new) is str and type(old) is not str and new != old:
                yield self._leak(self._find_key(way), NAMED, way, 1)

    def _leaks(self, value: str, marks: dict[str, int], way: tuple[str, ...]) -> Iterator[Leak]:
        place = self._find(value)
        for rule, count in marks.items():
            yield self._leak(place, rule, way, count)

    def _leak(self, place: int, rule: str, way: tuple[str, ...], count: int) -> Leak:
        return Leak(self._path, self._line, self._offset + place, rule, ".".join(way), count)

    def _find(self, value: str) -> int:
        """Where *value* stands as JSON text, 0 where it was written in another way."""
        import json

        for ascii_only in (True, False):
            text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
            place = self._raw.find(text)
            if place >= 0:
                return place + 1
        return 0

    def _find_key(self, way: tuple[str, ...]) -> int:
        return self._find(way[-1]) if way else 0


def _marks(old: str, new: str) -> dict[str, int]:
    """Rule -> how many masks of it stand in *new* and not in *old*."""
    counts: dict[str, int] = {}
    for text, sign in ((new, 1), (old, -1)):
        for rule in _MARK.findall(text):
            counts[rule or NAMED] = counts.get(rule or NAMED, 0) + sign
    # A mask may also hide one that was there: then something was found, and is told as one.
    return {rule: count for rule, count in counts.items() if count > 0} or {NAMED: 1}


def _differ(old: str, new: str) -> int:
    """How many bytes stand before the first difference of two texts."""
    return len(os.path.commonprefix((old, new)).encode("utf-8", "surrogateescape"))
