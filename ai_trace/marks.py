"""Which bytes stand in every line in which a value was seen: so lines that cannot matter need not be parsed. Pure.

For lines as the recorder writes them: ASCII, no space between a key and its value, numbers as `repr` has them.
Each answer is a tuple of marks, of which one stands in any such line, or None, where there is no telling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NamedTuple, Optional

from .kin import tail

__all__ = ["Finder", "Mark", "Marks", "logged", "of_name", "of_pair", "of_parts", "of_rounded", "of_text", "of_texts", "of_value"]

class Mark(NamedTuple):
    """Bytes to look for in a line; *logged*: behind the beginning of its logs."""

    text: bytes
    logged: bool = False


Marks = Optional[tuple[Mark, ...]]

_MOST_PARTS: Final = 5_000  # marks of one text
_BEGINNING: Final = 12  # bytes
_FEW: Final = 30  # marks that are looked for one by one
_EXACT: Final = 10**15  # whole numbers below it are written in two ways at most
_SMALL: Final = 0.0002  # `repr` writes with an exponent what is below 0.0001


class Finder:
    """Tells which of many marks stand in a block of lines, in one pass over it."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._marks = [*marks]
        self._whole: dict[bytes, list[Mark]] = {}  # what stands between two quotes -> marks that begin so
        self._begun: dict[bytes, list[Mark]] = {}  # the first bytes behind a quote -> the same
        self._others: list[Mark] = []
        for mark in self._marks:
            text, quote, _ = mark.text[1:].partition(b'"')
            if mark.text[:1] != b'"' or (not quote and len(text) < _BEGINNING):
                self._others.append(mark)
            elif quote:
                self._whole.setdefault(text, []).append(mark)
            else:
                self._begun.setdefault(text[:_BEGINNING], []).append(mark)

    def present(self, block: bytes) -> list[Mark]:
        """Those of the marks that stand in *block*, and perhaps others."""
        if len(self._marks) <= _FEW:
            return self._marks
        pieces = {*block.split(b'"')}
        found = [self._whole[text] for text in self._whole.keys() & pieces]
        if self._begun:
            found += [self._begun[text] for text in self._begun.keys() & {piece[:_BEGINNING] for piece in pieces}]
        return [*self._others, *chain.from_iterable(found)]


def logged(marks: Marks) -> Marks:
    """The same, in logs alone."""
    return None if marks is None else tuple(mark._replace(logged=True) for mark in marks)


def of_name(path: str) -> Marks:
    """Where something was logged under the last key of *path*."""
    key = _key(path)
    return None if key is None else (Mark(key, logged=True),)


def of_pair(path: str, value: Any) -> Marks:
    """Where *value* stands under the last key of *path*."""
    key, values = _key(path), of_value(value)
    if key is None or values is None or type(value) in (dict, list):
        return None if key is None else (Mark(key),)
    return tuple(Mark(key + mark.text) for mark in values)


def of_texts(path: str) -> Marks:
    """Where a text was logged under the last key of *path*."""
    key = _key(path)
    return None if key is None else (Mark(key + b'"', logged=True),)


def of_value(value: Any) -> Marks:
    """Where *value* stands as a value; of an object or a list, the longest of what it holds."""
    if type(value) in (dict, list):
        inside = [*_inside(value)]
        return (Mark(max(inside, key=len)),) if inside else None
    if type(value) in (int, float) and abs(value) < _EXACT and value == int(value):
        return (*map(Mark, {_json(value), _json(int(value)), _json(float(int(value))), *([] if value else [b"-0.0"])}),)
    if type(value) in (int, float) and value == value // 1:
        return None  # written in more ways than one
    return (Mark(_json(value)),)


def of_text(text: str) -> Marks:
    """Where *text* stands inside a text."""
    return (Mark(_json(text)[1:-1]),)


def of_parts(text: str, size: int) -> Marks:
    """Where a part of *text* of *size* characters or more stands as a text; None where *text* is long."""
    if len(text) - size >= _MOST_PARTS:
        return None
    return (*map(Mark, {_json(text[at : at + size])[:-1] for at in range(len(text) - size + 1)}),)


def of_rounded(value: float, decimals: int, path: str | None) -> Marks:
    """Where a number stands, under the last key of *path* or anywhere, that rounds to *value* at so many
    *decimals*."""
    key = b"" if path is None else _key(path)
    if abs(value) < _SMALL or key is None:
        return None
    told = Decimal(repr(value))
    near = (told, told - Decimal(1).scaleb(-decimals).copy_sign(told))
    texts = {f"{one:.{decimals}f}" + ("" if decimals else ".") for one in near}
    signs = ("", "-") if value < 0 or "0." in "".join(texts) else ("",)
    return tuple(Mark(key + (sign + text.lstrip("-")).encode()) for text in texts for sign in signs)


def _key(path: str) -> bytes | None:
    """The end of the last key of *path*, as it stands before a value; a key may hold dots itself, and no brackets."""
    key = tail(path)
    return None if "[" in key else _json(key)[1:-1] + b'":'


def _inside(value: Any) -> list[bytes]:
    """What stands in *value*, spelled: its keys and scalars."""
    found: list[bytes] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            found += (_json(key) + b":" for key in one)
            waiting += one.values()
        elif type(one) is list:
            waiting += one
        else:
            found.append(_json(one))
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()
