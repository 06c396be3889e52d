"""How much a value tells by itself, its parts, and when two values are the same. Pure.

Common values (true, null, "", whole numbers below 1,000, floats of one digit, texts below 4 characters, {} and [])
tell nothing without their name. Telling ones (4 digits of a float, 5 of a whole number, 12 characters) are no chance
under any name. The rest is ordinary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["COMMON", "CONTAINED", "ORDINARY", "TELLING", "canonical", "decimals", "digits", "identity",
           "may_be_rounded", "parts", "rounding_edges", "stands_in", "weight"]  # fmt: skip

COMMON: Final = 0
ORDINARY: Final = 1
TELLING: Final = 2

CONTAINED: Final = 12  # characters from which one text inside another is no chance
_ROUNDED: Final = 10  # digits up to which a number may have been rounded to
_EXACT: Final = 10**15  # whole numbers below it are exact as floats
_DIGITS: Final = re.compile(r"0*([0-9]*?)0*")


def weight(value: Any) -> int:
    """How much *value* tells by itself: `COMMON`, `ORDINARY` or `TELLING`."""
    if value is None or type(value) is bool:
        return COMMON
    if type(value) is int or (type(value) is float and value.is_integer()):
        return _grade(abs(value), 1_000, 100_000)
    if type(value) is float:
        return _grade(digits(value), 2, 4)
    if type(value) is str:
        return _grade(len(value), 4, CONTAINED)
    return _grade(len(canonical(value)), 3, 16)


def _grade(size: float, ordinary: float, telling: float) -> int:
    return TELLING if size >= telling else ORDINARY if size >= ordinary else COMMON


def digits(value: float) -> int:
    """Significant digits of *value* as it is written."""
    found = _DIGITS.fullmatch(repr(abs(value)).partition("e")[0].replace(".", ""))
    return len(found[1]) if found else 0


def canonical(value: Any) -> str:
    """*value* as JSON with sorted keys: the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def parts(pairs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything in *pairs*, each whole before its parts: `bids`, then `bids[0]`."""
    waiting = [(f"{prefix}{key}", value) for key, value in reversed([*pairs.items()])]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if type(value) is dict:
            waiting += [(f"{path}.{key}", part) for key, part in reversed(value.items())]
        elif type(value) is list:
            waiting += [(f"{path}[{at}]", part) for at, part in reversed([*enumerate(value)])]


def identity(value: Any) -> Any:
    """What equal values share, as a key of a dict: 1 is 1.0, but not true."""
    if type(value) in (str, int, float):
        return value
    return (type(value).__name__, canonical(value))


def stands_in(sought: str, text: str) -> bool:
    """Whether *sought* is a true part of *text*; a number only as one of its own, not within a longer one."""
    if sought[0] not in "-0123456789" or not sought[-1].isdigit():
        return sought in text and sought != text
    return re.search(rf"(?<![0-9.]){re.escape(sought)}(?![0-9]|\.[0-9])", text) is not None


def may_be_rounded(value: Any) -> bool:
    """Whether *value* is a number that may have had more digits."""
    if type(value) not in (int, float) or abs(value) >= _EXACT or weight(value) == COMMON:
        return False
    return "e" not in repr(value) and digits(value) <= _ROUNDED


def decimals(value: float) -> int:
    """Digits of *value* behind the point, as it is written."""
    return len(repr(value).partition(".")[2])


def rounding_edges(rounded: Iterable[tuple[int, float]]) -> list[float]:
    """The ranges of what may round to one of *rounded*, as edges: inside one, an odd number is not larger."""
    edges: list[float] = []
    ranges = ((value - 0.51 / 10**places, value + 0.51 / 10**places) for places, value in rounded)
    for low, high in sorted(ranges):
        if edges and low <= edges[-1]:
            edges[-1] = max(edges[-1], high)
        else:
            edges += (low, high)
    return edges
