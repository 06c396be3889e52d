"""Bytes that nobody vouches for → JSON data, or a `ValueError` that says why not. Imports nothing of ours.

Guarantees, whatever the bytes are: the only exception is `ValueError`; time and memory are linear in their
number; what comes back holds only dict, list, str, int, finite float, bool and None, so it can be written as
strict JSON again. What strict JSON cannot hold comes back as its text: `NaN`, `1e999999`, an integer of 5,000
digits (RFC 8259 §6 leaves range to the reader; Python refuses to turn such digits into an int).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final

__all__ = ["MAX_DEPTH", "parse", "parse_first"]

MAX_DEPTH: Final = 200
"""Nesting read at most. json.loads in a thread with a 64 KiB stack kills the process from depth 800
(measured on
CPython 3.10 to 3.13), and no `except` sees that coming; so the depth is counted before the parser runs."""

# sys.int_info.default_max_str_digits; fixed here, so that reading is the same everywhere
_MAX_DIGITS: Final = 4300
_SPACE: Final = " \t\r\n"
_PIECE: Final = 1 << 20  # bytes looked at together when nesting is counted
# +1, or -1 as signed byte
_RISE: Final = bytes(1 if c in b"[{" else 255 if c in b"]}" else 0 for c in range(256))
_OTHERS: Final = bytes(c for c in range(256) if c not in b"[]{}")


def parse(raw: bytes) -> Any:
    """The one JSON value that *raw* is; white space around it is allowed.

    Raises:
        ValueError: a short sentence about what is wrong, without the bytes themselves.
    """
    text = _text(raw)
    value, end = _scan(text, len(text) - len(text.lstrip(_SPACE)))
    if end < len(text) and text[end:].strip(_SPACE):
        raise ValueError(f"not JSON at character {end}: Extra data")
    return value


def parse_first(raw: bytes) -> tuple[Any, int]:
    """The JSON value at the very start of *raw* and how many bytes it takes; raises as `parse` does."""
    text = _text(raw, errors="surrogateescape")
    value, end = _scan(text, 0)
    size = end if text.isascii() else len(text[:end].encode("utf-8", "surrogateescape"))
    _text(raw[:size])  # garbage behind the value may be any bytes, the value itself may not
    return value, size


def _text(raw: bytes, errors: str = "strict") -> str:
    if _too_deep(raw):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def _scan(text: str, start: int) -> tuple[Any, int]:
    """The value at *start* and where it ends."""
    try:
        return _VALUE_AT(text, start)
    except StopIteration as stop:
        raise ValueError(f"not JSON at character {stop.value}: Expecting value") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at character {error.pos}: {error.msg}") from None
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"too much for the parser ({type(error).__name__})") from None


def _too_deep(raw: bytes) -> bool:
    """Whether brackets outside strings nest deeper than `MAX_DEPTH`, at least as far as *raw* is JSON."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False  # nearly every line ends here
    depth, inside, start = 0, 0, 0
    while start < len(raw):
        end = _piece_end(raw, start)
        parts = raw[start:end].replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = b"".join(parts[inside::2])
        rises = array("b", outside.translate(_RISE, _OTHERS))
        if depth + max(accumulate(rises), default=0) > MAX_DEPTH:
            return True
        depth += sum(rises)
        inside ^= (len(parts) - 1) & 1
        start = end
    return False


def _piece_end(raw: bytes, start: int) -> int:
    """The end of a piece from *start* that does not fall inside an escape such as `\\"`."""
    end = min(start + _PIECE, len(raw))
    slashes = 0
    while end - slashes > start and raw[end - slashes - 1] == 0x5C:
        slashes += 1
    return end - (slashes & 1) if end < len(raw) and end - (slashes & 1) > start else end


def _float(text: str) -> float | str:
    value = float(text)
    return value if value - value == 0.0 else text  # infinity less itself is no number; cheaper than a call


def _int(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


_DECODER: Any = json.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=str)
_VALUE_AT: Final[Callable[[str, int], tuple[Any, int]]] = _DECODER.scan_once  # C where there is C
