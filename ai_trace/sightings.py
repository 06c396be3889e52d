"""Where values were seen: one pass over the steps, an index of what is sought, by value and by name. Pure.

When two values are the same, and how much that means (each match carries its reason):

- numbers: equal, whether written 2000 or 2000.0; or the sought one is the seen one rounded to the decimals
  it has (0.87 of 0.8712), if the name is the same or four digits agree;
- texts: equal; or the one stands in the other, from 12 characters on; a number of four digits in a text;
- objects and lists: equal as canonical JSON (keys sorted); else part by part;
- a name is the path of keys to a value, as in `market.price`. Items of a list have values, but no name.

`weight` says how much a value tells by itself. Common ones (true, null, "", whole numbers below 1,000, floats
of one digit, texts below 4 characters, {} and []) are matched under the same name only. Telling ones (4 digits
of a float, 5 of a whole number, 12 characters) are matched under any name, the earliest first. Those between are
matched under any name where the same name finds nothing.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final, NamedTuple

from .record import Record, number
from .sweep import sweep

__all__ = ["COMMON", "ORDINARY", "TELLING", "Sighting", "Sightings", "canonical", "parts", "weight"]

COMMON: Final = 0
ORDINARY: Final = 1
TELLING: Final = 2

_CONTAINED: Final = 12  # characters from which one text inside another is no chance
_SOUGHT_TEXTS: Final = 200  # texts looked for inside others, the longest first
_LONG_TEXT: Final = 100_000  # characters of a sought text in which others are looked for
_DIGITS: Final = re.compile(r"0*([0-9]*?)0*")


class Sighting(NamedTuple):
    """One value at one place of the trace: seen in a step's context as it began, or in a log."""

    at: float  # seconds since 1970; -inf where the step has no time
    number: int  # of the step, by start, from 1
    step: Record
    where: str  # "context" or "log"
    path: str
    value: Any
    reason: str = ""  # why it was matched

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data; the step by its number, name and id."""
        plain = {"step": self.number, "name": self.step.name, "id": self.step.id, "where": self.where}
        plain |= {"path": self.path, "value": self.value, "at": self.at if self.at > -inf else None}
        return plain | ({"reason": self.reason} if self.reason else {})


def weight(value: Any) -> int:
    """How much *value* tells by itself: `COMMON`, `ORDINARY` or `TELLING`."""
    if value is None or type(value) is bool:
        return COMMON
    if type(value) is int or (type(value) is float and value.is_integer()):
        return _grade(abs(value), 1_000, 100_000)
    if type(value) is float:
        return _grade(_digits(value), 2, 4)
    if type(value) is str:
        return _grade(len(value), 4, _CONTAINED)
    return _grade(len(canonical(value)), 3, 16)


def _grade(size: float, ordinary: float, telling: float) -> int:
    return TELLING if size >= telling else ORDINARY if size >= ordinary else COMMON


def _digits(value: float) -> int:
    """Significant digits of *value* as it is written."""
    found = _DIGITS.fullmatch(repr(abs(value)).partition("e")[0].replace(".", ""))
    return len(found[1]) if found else 0


def canonical(value: Any) -> str:
    """*value* as JSON with sorted keys: the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def parts(pairs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything in *pairs*, each whole before its parts: `market`, `market.price`, `bids[0]`."""
    waiting = [(f"{prefix}{key}", value) for key, value in reversed(pairs.items())]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if type(value) is dict:
            waiting += [(f"{path}.{key}", part) for key, part in reversed(value.items())]
        elif type(value) is list:
            waiting += [(f"{path}[{at}]", part) for at, part in reversed([*enumerate(value)])]


class Sightings:
    """An index of where the *wanted* (path, value) pairs, and other values under the same paths, were seen.

    `look` reads each step once. Afterwards `named` answers by path and `matching` by value, in order of time.
    """

    def __init__(self, wanted: Iterable[tuple[str, Any]]) -> None:
        self._named: dict[str, list[Sighting]] = {}
        self._equal: dict[Any, list[Sighting]] = {}  # number or text -> sightings of it
        self._alike: dict[str, list[Sighting]] = {}  # canonical JSON -> sightings of an object or a list
        self._rounded: dict[tuple[int, float], list[Sighting]] = {}  # (decimals, number) -> unrounded ones
        self._within: dict[str, list[Sighting]] = {}  # text -> texts in which it stands
        self._around: dict[str, list[Sighting]] = {}  # text -> texts that stand in it
        for path, value in wanted:
            if not path.endswith("]"):
                self._named[path] = []
            self._want(value)
        self._decimals = {decimals for decimals, _ in self._rounded}
        self._sizes = {(text[0], _size(json.loads(text))) for text in self._alike}
        self._trim()
        self._starts = _starts(self._around)

    def _want(self, value: Any) -> None:
        if type(value) in (dict, list):
            if value:
                self._alike[canonical(value)] = []
        elif weight(value) == COMMON:
            return
        elif type(value) is str:
            self._equal[value] = []
            if len(value) >= _CONTAINED:
                self._within[value] = []
                self._around[value] = []
        else:
            self._equal[value] = []
            if weight(value) == TELLING:
                self._within[repr(value)] = []
            if type(value) is float and "e" not in repr(value):
                self._rounded[len(repr(value).partition(".")[2]), value] = []

    def _trim(self) -> None:
        """Keep the work of looking inside texts bounded: the longest sought ones, as they tell most."""
        longest = sorted(self._within, key=len, reverse=True)[:_SOUGHT_TEXTS]
        self._within = {text: self._within[text] for text in longest}
        self._around = {text: found for text, found in self._around.items() if text in self._within}

    def look(self, steps: Iterable[tuple[int, Record]], holding: tuple[bytes, ...] = ()) -> None:
        """Take in the numbered *steps*; *holding* as `sweep` has it."""
        for number_, step, context, logs in sweep(steps, holding):
            begun = _seconds(step.started_at, -inf)
            self._take(context, begun, number_, step, "context")
            for entry in logs:
                self._take(entry, _seconds(entry.get("_t"), begun), number_, step, "log")
        for index in (self._named, self._equal, self._alike, self._rounded, self._within, self._around):
            for found in index.values():
                found.sort(key=_when)

    def _take(self, pairs: Mapping[str, Any], at: float, number_: int, step: Record, where: str) -> None:
        """Note what is wanted of one context or one log. The inner loop: it runs for every value of the trace."""
        named, equal = self._named, self._equal
        texts: list[tuple[str, str]] = []
        waiting = list(pairs.items())
        for path, value in waiting:  # grows while it is read
            kind = type(value)
            if path in named and not (path == "_t" and where == "log"):
                named[path].append(Sighting(at, number_, step, where, path, value))
            if kind is str:
                if value in equal:
                    equal[value].append(Sighting(at, number_, step, where, path, value))
                if len(value) >= _CONTAINED or any(map(str.isdigit, value)):
                    texts.append((path, value))
            elif kind is float or kind is int:
                if value in equal and path != "_t":
                    equal[value].append(Sighting(at, number_, step, where, path, value))
                if kind is float and self._decimals and path != "_t":
                    self._round(Sighting(at, number_, step, where, path, value))
            elif kind is dict or kind is list:
                if (_bracket(value), len(value)) in self._sizes:
                    self._compare(Sighting(at, number_, step, where, path, value))
                waiting += _inside(path, value)
        if texts and self._within:
            self._search(texts, lambda path, value: Sighting(at, number_, step, where, path, value))

    def _round(self, seen: Sighting) -> None:
        for decimals in self._decimals:
            found = self._rounded.get((decimals, round(seen.value, decimals)))
            if found is not None and seen.value not in self._equal:
                found.append(seen)

    def _compare(self, seen: Sighting) -> None:
        found = self._alike.get(canonical(seen.value))
        if found is not None:
            found.append(seen)

    def _search(self, texts: list[tuple[str, str]], sighting: Callable[[str, str], Sighting]) -> None:
        joined = "\0".join([text for _, text in texts])
        for sought, found in self._within.items():
            if sought in joined:
                found += [sighting(path, text) for path, text in texts if _stands_in(sought, text)]
        for path, text in texts:
            for whole in self._starts.get(text[:_CONTAINED], ()) if len(text) >= _CONTAINED else ():
                if text != whole and text in whole:
                    self._around[whole].append(sighting(path, text))

    def named(self, path: str) -> list[Sighting]:
        """Every sighting under *path*, whatever the value was."""
        return self._named.get(path, [])

    def before(self, path: str, at: float) -> list[Sighting]:
        """The sightings under *path* up to the time *at*."""
        found = self.named(path)
        return found[: bisect_right(found, at, key=_time)]

    def after(self, path: str, at: float, until: float) -> list[Sighting]:
        """The sightings under *path* later than *at*, up to *until*."""
        found = self.named(path)
        return found[bisect_right(found, at, key=_time) : bisect_right(found, until, key=_time)]

    def matching(self, path: str, value: Any) -> Iterator[tuple[str, list[Sighting]]]:
        """The lists of sightings that match (path, value), each with its reason, the surest first.

        Lists of the last kind come only where the value tells something; see the rules above.
        """
        heavy = weight(value)
        same = [seen for seen in self.named(path) if _same(seen.value, value)]
        yield ("same name, a common value" if heavy == COMMON else "same name and value"), same
        if heavy == COMMON:
            return
        equal = self._alike.get(canonical(value)) if type(value) in (dict, list) else self._equal.get(value)
        yield "same value, another name", [seen for seen in equal or () if seen.path != path]
        yield from self._nearly(path, value, heavy)

    def _nearly(self, path: str, value: Any, heavy: int) -> Iterator[tuple[str, list[Sighting]]]:
        if type(value) is float:
            found = self._rounded.get((len(repr(value).partition(".")[2]), value), [])
            yield "rounded", [seen for seen in found if heavy == TELLING or seen.path == path]
        if type(value) is float or type(value) is int:
            yield "stood in a text", self._within.get(repr(value), []) if heavy == TELLING else []
        elif type(value) is str:
            yield "part of a longer text", self._within.get(value, [])
            yield "a part of this text", self._around.get(value, [])


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    if type(value) is dict:
        return [(f"{path}.{key}", part) for key, part in value.items()]
    return [(f"{path}[{at}]", part) for at, part in enumerate(value)]


def _starts(texts: Iterable[str]) -> dict[str, list[str]]:
    """Every run of 12 characters in the sought texts -> the texts it stands in."""
    found: dict[str, list[str]] = {}
    for text in texts:
        grams = {text[at : at + _CONTAINED] for at in range(min(len(text), _LONG_TEXT) - _CONTAINED + 1)}
        for gram in grams if len(text) > _CONTAINED else ():
            found.setdefault(gram, []).append(text)
    return found


def _stands_in(sought: str, text: str) -> bool:
    """Whether *sought* is a true part of *text*; a number only as a number of its own, not within a longer one."""
    at = text.find(sought) if text != sought or sought[0] in "-0123456789" else -1
    if at < 0 or not sought[-1].isdigit() or not sought[0] in "-0123456789":
        return at >= 0
    return re.search(rf"(?<![0-9.]){re.escape(sought)}(?![0-9]|\.[0-9])", text) is not None


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but not true."""
    if type(one) in (dict, list):
        return type(one) is type(other) and len(one) == len(other) and canonical(one) == canonical(other)
    return bool(one == other) and (type(one) is bool) == (type(other) is bool)


def _bracket(value: Any) -> str:
    return "{" if type(value) is dict else "["


def _size(value: Any) -> int:
    return len(value)


def _seconds(value: Any, otherwise: float) -> float:
    known = number(value)
    return otherwise if known is None else known


def _when(seen: Sighting) -> tuple[float, int]:
    return seen[:2]


def _time(seen: Sighting) -> float:
    return seen.at
