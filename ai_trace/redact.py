"""Secrets out, before anything reaches a buffer that is written.

A value is masked for its key (`db_password`: `[redacted]`) or for its shape, wherever it stands, also inside
a longer text or a key (`[redacted:jwt]`, the name of the rule that found it). What is masked, and what is
left alone, is data: `secret_rules.py`.

Promises:
- `suspects` is quick, and a no is certain: what `data` would mask by shape, `suspects` sees in the JSON text.
  (`text` asks `suspects` first, so the one cannot find what the other does not.)
- Masking twice is masking once: masked data is left as it is and counts nothing.
- The time is linear in the length of a text, whatever stands in it, for the rules that come with the library.

Known limits: a secret cut in two, in a form that has no name and no known shape, or base64 of a secret.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .secret_names import MASK, KeyNames, is_mask
from .secret_rules import DEFAULT_RULES, Rules, Shape

__all__ = ["DEFAULT_RULES", "Redactor", "Rules"]

_TOKEN_CHARS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/"
_TABLE: Final = bytes(97 if c in _TOKEN_CHARS else 32 for c in range(256))
# The shortest run in any key that is known by its shape, and what stands before. Sought from the end, which
# takes a third of the time of seeking the bare run forwards.
_LONG: Final = b" " + b"a" * 16
_JOINTS: Final = b".:|="  # what may stand in a credential between its hint and its long run
_BEFORE: Final = 40  # characters: how far before its long run a credential may begin
_AFTER: Final = 4096  # of a longer run (an image in base64) only the beginning is looked at
_ADDRESS: Final = 3300  # of JSON text: how far before its `@` an address with a password may begin
_SMALL: Final = 1000  # bytes; a search through less is cheaper than a look at each sign
_FEW: Final = 10  # of one sign; up to here looking at each (0.1 µs) is cheaper than a search (1.1 µs for 4 KB)
_ROUNDS: Final = 8  # a mask can lay bare a secret that was glued to the one it hides

# What may stand before a credential in JSON text: no letter or digit, unless it belongs to an escape.
_RAW_START: Final = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4}))"
_TEXT_START: Final = r"(?<![A-Za-z0-9])"

# The words of JSON Schema that say what a value is like. A tool's parameter called `password` is no password.
_SCHEMA_WORDS: Final = frozenset(
    """type description title format enum pattern minLength maxLength minimum maximum items properties
    required nullable anyOf oneOf allOf additionalProperties readOnly writeOnly deprecated $ref""".split()
)


class Redactor:
    """Masks by *rules*. May be shared between threads."""

    def __init__(self, rules: Rules = DEFAULT_RULES) -> None:
        self.rules = rules
        self._names = KeyNames(rules)
        self.secret_key = self._names.secret
        self.verdicts = self._names.verdicts
        self._may_hold_flag = self._names.may_hold_flag
        self._may_hold_assigned = self._names.may_hold_assigned
        self._colon = re.compile(rb":[ \\']").search
        hints = [(_encoded(hint)[1:-1], shape) for shape in rules.shapes for hint in shape.hints]
        self._anywhere = [hint for hint, shape in hints if not shape.near]
        self._at_shapes = [(hint, shape) for hint, shape in hints if shape.near == "@"]
        long = [(hint, shape) for hint, shape in hints if shape.near == "long"]
        self._long_hints = re.compile(_beginnings([hint for hint, _ in long])).finditer
        self._long_begins = {hint[:2] for hint, _ in long}
        self._spaced = tuple(hint for hint, _ in long if hint.endswith(b" "))
        # A sign that begins a hint stands before the place that is found.
        self._long_shapes = [(hint, 0 if hint[:1].isalnum() else 1, shape) for hint, shape in long]
        self._in_text: dict[Shape, re.Pattern[str]] = {}
        self._in_raw: dict[Shape, re.Pattern[bytes]] = {}
        self._upper_or_digit = re.compile(rb"[A-Z0-9]").search

    def suspects(self, raw: bytes) -> bool:
        """Whether ASCII JSON text may hold a secret by shape. False is certain; true is worth `data`."""
        # In the order of cost. The numbers are '@', '-' and '=': `int in bytes` is one memchr, while
        # `bytes in bytes` first tries a number and fails; `rfind` takes a third of the time of `find`.
        marked = raw.translate(_TABLE)
        if (
            (marked.rfind(_LONG) >= 0 and self._long(raw, marked))
            or (64 in raw and self._address(raw))
            or (45 in raw and _side_by_side(raw) and self._may_hold_flag(raw))
            or ((61 in raw or self._colon_before_value(raw)) and self._may_hold_assigned(raw))
        ):
            return self._surely(raw)
        for hint in self._anywhere:
            if hint in raw:
                return self._surely(raw)
        return False

    def _colon_before_value(self, raw: bytes) -> bool:
        """Whether a colon stands before a space, an escape or a quote; those of JSON stand behind a name."""
        if len(raw) < _SMALL:
            return self._colon(raw) is not None
        place = raw.find(b":")
        for _ in range(_FEW):
            if place < 0:
                return False
            if raw[place + 1] in (32, 39, 92):  # JSON text does not end in a colon
                return True
            place = raw.find(b":", place + 1)
        return place >= 0 and self._colon(raw, place) is not None

    def _surely(self, raw: bytes) -> bool:
        """What looks like a secret is masked on trial: twice as quick as what the caller does after a yes."""
        from json import loads  # late: `json` is not needed to hold a redactor

        try:
            # Two halves of a surrogate pair would come back as one, and two keys perhaps as the same.
            return b"\\ud" in raw or self.data(loads(raw))[1] > 0
        except (ValueError, RecursionError):  # nested too deeply
            return True

    def data(self, value: Any) -> tuple[Any, int]:
        """A masked copy of plain JSON data, and how many values were masked."""
        holder: list[Any] = [None]
        todo: list[tuple[Any, Any, Any]] = [(holder, 0, value)]
        count = 0
        while todo:  # a loop, not recursion: this also runs in threads with a small stack
            into, place, item = todo.pop()
            kind = type(item)
            if kind is str:
                into[place], found = self.text(item)
                count += found
            elif kind is dict:
                copy: dict[str, Any] = {}
                into[place] = copy
                count += self._dict(item, copy, todo)
            elif kind is list:
                into[place] = copy_list = list(item)
                count += self._list(item, copy_list, todo)
            else:
                into[place] = item
        return holder[0], count

    def text(self, text: str) -> tuple[str, int]:
        """*text* with its secrets masked, and how many they were."""
        count = 0
        for _ in range(_ROUNDS):
            text, found = self._text_once(text)
            count += found
            if not found:
                break
        return text, count

    def _text_once(self, text: str) -> tuple[str, int]:
        if len(text) < 4:
            return text, 0
        raw = _encoded(text)
        marked = raw.translate(_TABLE)
        signs = {
            "long": marked.rfind(_LONG) >= 0 and self._long(raw, marked), "@": "@" in text, "--": "--" in text
        }
        count = 0
        for shape in self.rules.shapes:
            if signs.get(shape.near, True) and any(hint in text for hint in shape.hints):
                text, found = self._shape_masked(text, shape)
                count += found
        if self._names.may_hold(raw):
            text, found = self._names.masked(text)
            count += found
        return text, count

    def _dict(self, item: dict[str, Any], copy: dict[str, Any], todo: list[tuple[Any, Any, Any]]) -> int:
        count = 0
        for key, value in item.items():
            name, found = self.text(key)
            count += found
            if name in copy:  # two keys with one mask
                name = next(f"{name} {n}" for n in range(2, len(item) + 2) if f"{name} {n}" not in copy)
            copy[name] = value
            if self.secret_key(name) and _hides(name, value):
                copy[name] = MASK
                count += 1
            elif type(value) in (str, dict, list):
                todo.append((copy, name, value))
        return count

    def _list(self, item: list[Any], copy: list[Any], todo: list[tuple[Any, Any, Any]]) -> int:
        count = 0
        for place, value in enumerate(item):
            if place and type(value) is str and self._names.secret_flag(item[place - 1]):
                shown = self.text(value)[0]
                if shown[:1] not in ("", "-") and not is_mask(shown):
                    copy[place] = MASK
                    count += 1
                    continue
            if type(value) in (str, dict, list):
                todo.append((copy, place, value))
        return count

    def _shape_masked(self, text: str, shape: Shape) -> tuple[str, int]:
        mask = f"[redacted:{shape.name}]"
        expression = self._in_text.get(shape)
        if expression is None:
            if shape.near:
                start = _TEXT_START if shape.hints[0][0].isalnum() else ""
                expression = re.compile(start + f"(?:{shape.pattern})", re.ASCII)
            else:
                expression = re.compile(shape.pattern)
            self._in_text[shape] = expression
        if "secret" not in expression.groupindex:
            return expression.subn(lambda match: mask if match[0] else "", text)
        return expression.subn(lambda match: _with_mask(match, mask), text)

    def _long(self, raw: bytes, marked: bytes) -> bool:
        """Whether one of the long runs of token characters is, or ends, a credential."""
        upper_or_digit = self._upper_or_digit  # in every credential; what has none is a name or a path
        place = marked.rfind(_LONG)
        while place >= 0:
            start = place + 1
            end = marked.find(b" ", start)
            end = len(marked) if end < 0 else end
            stop = min(end, start + _AFTER)
            if upper_or_digit(raw, start, stop):
                before, begin = raw[start - 1], start
                if before in _JOINTS or (before == 32 and raw.endswith(self._spaced, 0, start)):
                    begin = max(start - _BEFORE, 1)
                elif before != 92 and raw[start : start + 2] not in self._long_begins:
                    if raw[start:stop].isalpha():
                        begin = 0  # a long word
                if begin:
                    for hint in self._long_hints(raw, begin - 1, stop):
                        if self._long_at(raw, hint.end()):
                            return True
            place = marked.rfind(_LONG, 0, start)
        return False

    def _long_at(self, raw: bytes, place: int) -> bool:
        return any(
            raw.startswith(hint, place - before) and self._expression(shape).match(raw, place - before)
            for hint, before, shape in self._long_shapes
        )

    def _address(self, raw: bytes) -> bool:
        """Whether one of the `@` ends the password of an address."""
        at = raw.find(b"@")
        while at >= 0:
            for hint, shape in self._at_shapes:
                place = raw.rfind(hint[-1:], max(at - _ADDRESS, 0), at) + 1 - len(hint)
                if raw.startswith(hint, max(place, 0)) and self._expression(shape).match(raw, place):
                    return True
            at = raw.find(b"@", at + 1)
        return False

    def _expression(self, shape: Shape) -> re.Pattern[bytes]:
        expression = self._in_raw.get(shape)
        if expression is None:
            start = _RAW_START if shape.hints[0][0].isalnum() else b""
            source = (shape.raw or shape.pattern).encode()
            expression = self._in_raw[shape] = re.compile(start + b"(?:" + source + b")")
        return expression


def _side_by_side(raw: bytes) -> bool:
    """Whether two dashes stand side by side. A look at each of a few takes a third of the time of a search."""
    if len(raw) < _SMALL:
        return raw.rfind(b"--") >= 0
    place, left = raw.find(b"-"), _FEW
    while place >= 0 and left:
        if raw[place + 1] == 45:  # JSON text does not end in a dash
            return True
        place = raw.find(b"-", place + 1)
        left -= 1
    return place >= 0 and raw.rfind(b"--") >= 0


def _beginnings(hints: list[bytes]) -> bytes:
    """The expression for the place where one of *hints* begins: after a sign, or after an escape.

    Only there: trying a hundred hints at each character would take as long as all the rest.
    """
    first: dict[bytes, list[bytes]] = {}
    signs = []
    for hint in sorted(set(hints)):
        if hint[:1].isalnum():
            first.setdefault(hint[:1], []).append(re.escape(hint[1:]))
        else:
            signs.append(b"(?<=" + re.escape(hint[:1]) + b")(?=" + re.escape(hint[1:]) + b")")
    words = b"|".join(letter + b"(?:" + b"|".join(rest) + b")" for letter, rest in first.items()) or b"(?!)"
    ways = [b"(?:[bfnrt]|u[0-9a-f]{4})?(?=" + words + b")", *signs]
    return b"[^A-Za-z0-9](?:" + b"|".join(ways) + b")"


def _encoded(text: str) -> bytes:
    from json.encoder import encode_basestring_ascii  # late: `json` is not needed to hold a redactor

    return encode_basestring_ascii(text).encode()


def _with_mask(match: re.Match[str], mask: str) -> str:
    start, end = match.span("secret")
    if start < 0:
        return mask
    whole, base = match[0], match.start()
    return whole[: start - base] + mask + whole[end - base :]


def _hides(name: str, value: Any) -> bool:
    """Whether *value*, found under a secret's name, can be one."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        # Fewer than four digits are no PIN; and a number called token is a count or a place in a vocabulary.
        return abs(value) >= 1000 and not name.lower().endswith("token")
    if isinstance(value, str):
        return bool(value) and not is_mask(value)
    if isinstance(value, dict):
        return bool(value) and not all(word in _SCHEMA_WORDS or x is None for word, x in value.items())
    return bool(value)
