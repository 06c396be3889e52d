"""What the app said, frozen at the call: a dict of fields becomes one piece of JSON text, bounded and masked.

The text is ASCII (RFC 8259, no NaN), taken then and there: what the app changes afterwards does not change it.
Two ways lead to it. Exact builtin values go straight through the C encoder; whatever it refuses, and every
value of another type, takes the slow way, which is total: `plain` makes data of anything, `redact` masks it.

Nothing here raises because of a value. `KeyboardInterrupt` and `SystemExit` out of a value's own code pass.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from .plain import plain
from .record import USAGE_NAMES, Limits
from .redact import Redactor

if TYPE_CHECKING:
    Usage = dict[str, str | int | float]  # a word of `USAGE_NAMES` -> what was logged

__all__ = ["Blind", "Capture", "encode", "no_usage"]

MOST_MODELS = 4096  # names of models kept as ready text
_SCALARS = frozenset((str, int, float, bool, type(None)))
_WORDS = dict(USAGE_NAMES)  # a mapping proxy takes twice as long
_MOST = 10**15  # tokens or dollars; a larger number is no count, and a float no longer holds it exactly
_ONE_LINE = 2000  # characters of an error or a name in the fixed part of a line, which is read without parsing


Pieces = Callable[[Any, int], Iterable[str]]


def _encoder() -> Pieces:
    """One held C encoder; `JSONEncoder.encode` would build it anew at each call (1 of 4 µs for a small step)."""
    slow = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
    try:
        from json import encoder

        make: Any = getattr(encoder, "c_make_encoder")  # not in the type stubs; None on PyPy
        held = make(None, slow.default, encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
        if "".join(held({"a": ["é", 1, 2.5, None, True]}, 0)) == '{"a":["\\u00e9",1,2.5,null,true]}':
            return cast(Pieces, held)
    except (ImportError, TypeError, ValueError):  # PyPy has none; a later Python may want other arguments
        pass
    return lambda value, _: (slow.encode(value),)


_pieces = _encoder()
_join = "".join


def encode(value: Any) -> str:
    """Plain data as ASCII JSON text without spaces; `ValueError` for what JSON does not have."""
    return _join(_pieces(value, 0))


class Capture:
    """Freezes fields for one tracer.

    Args:
        redactor: masks secrets; None leaves every value as it is.
        limits: how much of a value is kept.
    """

    def __init__(self, redactor: Redactor | None, limits: Limits) -> None:
        self._redactor = redactor
        self._limits = limits
        self._most = limits.text
        self._models: dict[str | int | float, str] = {}  # names of models as JSON text
        self._verdicts: dict[str, bool] = redactor.verdicts if redactor else {}
        self._suspects = redactor.suspects if redactor else _never
        # Without the GIL a list may change between the check and the encoder: there, only copies are encoded.
        self._fast = getattr(sys, "_is_gil_enabled", lambda: True)()

    def fields(self, fields: dict[str, Any]) -> tuple[str, int]:
        """*fields* as the ASCII text of a JSON object, and how many values were masked in it."""
        verdicts = self._verdicts
        try:
            for key, value in fields.items():  # as `_simple`, without its call: this is the hot path
                if verdicts.get(key) is not False and self._secret(key):
                    break
                if type(value) not in _SCALARS and self._simple(type(value), value, 1, self._most) < 0:
                    break
            else:
                if self._fast:
                    text = _join(_pieces(fields, 0))
                    if len(text) <= self._most and not self._suspects(text.encode()):
                        return text, 0
        except Exception:  # NaN, huge ints, a dict changed by another thread: the slow way copes
            pass
        return self._slowly(fields)

    def _simple(self, kind: type, value: Any, depth: int, left: int) -> int:
        """Is this a tree of exact builtins, without a secret name, that the C encoder may be given?

        Answered is what is left of the *left* characters that its text may have, or less than 0. Each way to a part
        counts: a value that holds its parts many times over has more ways than there is time for, and more text than
        memory.
        """
        if depth > self._limits.depth or (kind is not dict and kind is not list and kind is not tuple):
            return -1
        left -= len(value) + 1
        if left < 0 or len(value) > self._limits.items:
            return -1
        if kind is dict:
            verdicts = self._verdicts
            for key in value:
                if verdicts.get(key) is not False and self._secret(key):
                    return -1
            value = value.values()
        for item in value:
            kind = type(item)
            if kind is str:
                left -= len(item)
            elif kind not in _SCALARS:
                left = self._simple(kind, item, depth + 1, left)
                if left < 0:
                    return -1
        return left

    def _secret(self, key: Any) -> bool:
        """True where *key* is no plain str or names a secret; either sends its dict the slow way."""
        if type(key) is not str:
            return True
        return self._redactor is not None and self._redactor.secret_key(key)

    def _slowly(self, fields: dict[str, Any]) -> tuple[str, int]:
        masked = 0
        try:
            data = plain(fields, self._limits)
            if type(data) is not dict:  # the mark of a whole that could not be taken apart
                data = {"$lost": data}
            if self._redactor is not None:
                data, masked = self._redactor.data(data)
            return encode(data), masked
        except Exception as err:  # memory ran out in the middle: the step stays, its values are told lost
            return f'{{"$lost":{encode(type(err).__name__)}}}', masked

    def text(self, value: Any, most: int) -> tuple[str, int]:
        """*value* as text of at most *most* characters, masked; a cut shows as " … " in the middle."""
        try:
            text = value if type(value) is str else plain(value, self._limits)
            if type(text) is not str:
                text = encode(text)
            # Masked first: a secret cut in two is no longer known for one.
            text, masked = self._redactor.text(text) if self._redactor else (text, 0)
            if len(text) > most:
                text = f"{text[: most // 2]} … {text[-most // 2 :]}"
            return text, masked
        except Exception as err:
            return f"<lost: {type(err).__name__}>", 0

    def line(self, value: Any) -> tuple[str, int]:
        """*value* as one line of at most 2,000 characters, masked: a name, an outcome, an error."""
        text, masked = self.text(value, _ONE_LINE)
        return (text if text.isprintable() else " ".join(text.split())), masked

    def usage(self, fields: dict[str, Any], usage: Usage | None) -> Usage:
        """Add model, tokens and cost among *fields* to *usage*: numbers are summed, the last model stands.

        What is no plain number, or no str for the model, is not guessed at: it stays unknown.
        """
        if usage is None:
            usage = {}
        for name, value in fields.items():
            word = _WORDS.get(name)
            if word is not None:
                kind = type(value)
                if word == "model":
                    if kind is str:
                        usage[word] = value
                elif (kind is int or kind is float) and -_MOST < value < _MOST:
                    usage[word] = usage[word] + value if word in usage else value
        return usage

    def usage_text(self, usage: Usage) -> str:
        """*usage* as JSON text, the model masked and on one line; "" where nothing is known."""
        text = ""
        for word, value in usage.items():
            text += f',"{word}":{(self._models.get(value) or self._model(value)) if type(value) is str else value}'
        return f"{{{text[1:]}}}" if text else ""

    def _model(self, name: str) -> str:
        text = encode(self.line(name)[0])
        if len(self._models) < MOST_MODELS and len(name) < 200:
            self._models[name] = text
        return text


class Blind(Capture):
    """Sees nothing: for a tracer that is switched off."""

    def fields(self, fields: dict[str, Any]) -> tuple[str, int]:
        """An empty object, whatever *fields* are."""
        return "{}", 0

    def text(self, value: Any, most: int) -> tuple[str, int]:
        """A str as it is, of whatever else no text."""
        return (value[:most] if type(value) is str else ""), 0


no_usage = frozenset(_WORDS).isdisjoint
"""Does no field say model, tokens or cost?"""


def _never(raw: bytes) -> bool:
    return False
