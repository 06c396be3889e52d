"""Where values were seen: one pass over the steps, an index of what is sought, by value and by name. Pure.

When two values are the same, and how much that means (each match carries its reason):

- numbers: equal, whether written 2000 or 2000.0; or the sought one is the seen one rounded to the decimals
  it has (0.87 of 0.8712), if the name is the same or three digits agree
  (three digits, or a whole number: only from a few steps back, see `provenance.py`);
- texts: equal; or the one stands in the other, from 12 characters on; a number of four digits in a text, a
  shorter one (two characters) in a text of at most 1,000 that was logged shortly before;
- what a text mentions (`mentioned`): seen numbers of four digits, seen texts of 4 characters as whole words;
- objects and lists: equal as canonical JSON (keys sorted); else part by part;
- a name is the path of keys to a value, as in `market.price`. Items of a list have values, but no name.

`weight` says how much a value tells by itself. Common ones (true, null, "", whole numbers below 1,000,
floats of one digit, texts below 4 characters, {} and []) are matched under the same name only. Telling ones
(4 digits of a float, 5 of a whole number, 12 characters) are matched under any name, the earliest first.
Those between are matched under any name where the same name finds nothing.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from operator import itemgetter
from typing import Any, Final, NamedTuple

from .mentions import mentions, numbers
from .record import Record, number
from .sweep import sweep

__all__ = ["COMMON", "IN_TEXT", "ORDINARY", "ROUNDED", "TELLING", "Sighting", "Sightings", "canonical", "parts",
           "weight"]  # fmt: skip

COMMON: Final = 0
ORDINARY: Final = 1
TELLING: Final = 2
IN_TEXT: Final = "a number in the text"
ROUNDED: Final = "rounded"

_CONTAINED: Final = 12  # characters from which one text inside another is no chance
_SOUGHT_TEXTS: Final = 200  # texts looked for inside others, the longest first
_LONG_TEXTS: Final = 500_000  # characters of sought texts, all together, in which others are looked for
_ROUNDED: Final = 10  # digits up to which a number may have been rounded to
_AGREEING: Final = 3  # digits from which a rounded number under another name is no chance
_SHORT_TEXT: Final = 1_000  # characters; a small number in a longer one is chance
_EXACT: Final = 10**15  # whole numbers below it are exact as floats
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


_Place = tuple[float, int, Record, str]  # the first fields of a Sighting
_Seen = tuple[float, int, Record, str, str, Any]  # a Sighting without its name: 100,000 are made in a moment


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
    """(path, value) of everything in *pairs*, each whole before its parts: `bids`, then `bids[0]`."""
    waiting = [(f"{prefix}{key}", value) for key, value in reversed([*pairs.items()])]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if type(value) is dict:
            waiting += [(f"{path}.{key}", part) for key, part in reversed(value.items())]
        elif type(value) is list:
            waiting += [(f"{path}[{at}]", part) for at, part in reversed([*enumerate(value)])]


class Sightings:
    """An index of where the *wanted* (path, value) pairs, and other values under the same paths, were seen.

    `look` reads each step once. Afterwards `matching` answers by value, `newest` by path.
    """

    def __init__(self, wanted: Iterable[tuple[str, Any]]) -> None:
        self._named: dict[str, list[_Seen]] = {}  # path -> logs of any value under it
        self._same: dict[tuple[str, Any], list[_Seen]] = {}  # (path, key of value) -> sightings of both
        self._equal: dict[Any, list[_Seen]] = {}  # key of value -> sightings under any path
        self._rounded: dict[tuple[int, float], list[_Seen]] = {}  # (decimals, number) -> unrounded ones
        self._within: dict[str, list[_Seen]] = {}  # text -> texts in which it stands
        self._around: dict[str, list[_Seen]] = {}  # text -> texts that stand in it
        self._near: dict[float, list[_Seen]] = {}  # number that tells little -> short logs it stands in
        self._mentions: dict[str, list[str | float]] = {}  # text -> what it may mention
        self._mentioned: dict[str | float, list[_Seen]] = {}  # that -> sightings under any path
        self._left = _LONG_TEXTS  # characters of texts whose mentions are still to be looked for
        self._sizes: set[tuple[type, int]] = set()  # of the objects and lists sought
        for path, value in wanted:
            if not path.endswith("]"):
                self._named[path] = []
                self._same[path, _key(value)] = []
            self._want(value)
        self._decimals = {decimals for decimals, _ in self._rounded}
        self._edges = _edges(self._rounded)
        self._trim()
        self._starts = _starts(self._around)

    def _want(self, value: Any) -> None:
        if type(value) in (dict, list):
            self._sizes.add((type(value), len(value)))
        if type(value) in (int, float) and weight(value) != TELLING and len(repr(value)) > 1:
            self._near[value] = []
        if weight(value) == COMMON:
            return
        self._equal[_key(value)] = []
        if type(value) is str and len(value) >= _CONTAINED:
            self._within[value] = []
            self._around[value] = []
        elif type(value) in (int, float) and weight(value) == TELLING:
            self._within[repr(value)] = []
        if type(value) is str and len(value) <= self._left and value not in self._mentions:
            self._left -= len(value)
            self._mentions[value] = mentions(value)
            self._mentioned.update((key, []) for key in self._mentions[value])
        if _may_be_rounded(value):
            self._rounded[_decimals(value), value] = []

    def _trim(self) -> None:
        """Keep the work of looking inside texts bounded: the longest sought ones, as they tell most."""
        longest = sorted(self._within, key=len, reverse=True)[:_SOUGHT_TEXTS]
        self._within = {text: self._within[text] for text in longest}
        self._around = {text: found for text, found in self._around.items() if text in self._within}

    def look(self, numbers: Mapping[Record, int], holding: tuple[bytes, ...] = ()) -> None:
        """Take in the steps of *numbers*, each with its place by start; *holding* as `sweep` has it."""
        for step, context, logs in sweep(numbers, holding):
            begun = _seconds(step.started_at, -inf)
            place = numbers[step]
            self._take(context, "", (begun, place, step, "context"))
            for entry in logs:
                self._take(entry, "_t", (_seconds(entry.get("_t"), begun), place, step, "log"))
        for index in self._indexes():
            for found in index.values():
                found.sort(key=_when)

    def _indexes(self) -> Iterator[dict[Any, list[_Seen]]]:
        yield from (self._named, self._same, self._equal, self._rounded, self._within, self._around)
        yield from (self._near, self._mentioned)

    def _take(self, pairs: Mapping[str, Any], skip: str, place: _Place) -> None:
        """Note what is wanted of one context or log. The inner loop: it runs for every value of the trace."""
        named, equal, edges, mentioned = self._named, self._equal, self._edges, self._mentioned
        texts: list[str] = []
        waiting = [*pairs.items()]
        for path, value in waiting:  # grows while it is read
            if path == skip:
                continue
            kind = type(value)
            if path in named:
                self._note_named((*place, path, value))
            if kind is str:
                if value in equal:
                    equal[value].append((*place, path, value))
                if value in mentioned:
                    mentioned[value].append((*place, path, value))
                texts.append(value)
            elif kind is float or kind is int:
                if value in mentioned:
                    mentioned[value].append((*place, path, value))
                if value in equal:
                    equal[value].append((*place, path, value))
                if kind is float and bisect_right(edges, value) & 1:
                    self._round((*place, path, value))
            elif kind is dict or kind is list:
                if (kind, len(value)) in self._sizes and (key := _key(value)) in equal:
                    equal[key].append((*place, path, value))
                waiting += _inside(path, value)
        if texts and self._within:
            self._search(texts, pairs, place)
        if texts and self._near and place[-1] == "log":
            self._search_near(pairs, place)

    def _note_named(self, seen: _Seen) -> None:
        *_, where, path, value = seen
        if where == "log":
            self._named[path].append(seen)
        if type(value) in (dict, list) and (type(value), len(value)) not in self._sizes:
            return
        found = self._same.get((path, _key(value)))
        if found is not None:
            found.append(seen)

    def _round(self, seen: _Seen) -> None:
        for decimals in self._decimals:
            rounded = round(seen[-1], decimals)
            found = self._rounded.get((decimals, rounded))
            if found is not None and rounded != seen[-1]:
                found.append(seen)

    def _search(self, texts: list[str], pairs: Mapping[str, Any], place: _Place) -> None:
        """Look into *texts*, and only where something is found for the paths under which they stand."""
        joined = "\0".join(texts)
        for sought, found in self._within.items():
            if sought in joined:
                found += [(*place, path, text) for path, text in _texts(pairs) if _stands_in(sought, text)]
        for text in texts:
            for whole in self._starts.get(text[:_CONTAINED], ()):
                if text in whole and text != whole:
                    self._around[whole] += [(*place, path, one) for path, one in _texts(pairs) if one == text]

    def _search_near(self, pairs: Mapping[str, Any], place: _Place) -> None:
        for path, text in _texts(pairs):
            if len(text) <= _SHORT_TEXT:
                for told in {*numbers(text)}:
                    if told in self._near:
                        self._near[told].append((*place, path, text))

    def newest(self, path: str, after: float, until: float) -> Iterator[Sighting]:
        """What was logged under *path* later than *after* up to *until*, the newest first."""
        found = self._named.get(path, [])
        first, last = (bisect_right(found, at, key=_time) for at in (after, until))
        return (Sighting(*found[at]) for at in range(last - 1, first - 1, -1))

    def matching(self, path: str, value: Any) -> Iterator[Matches]:
        """Each way in which (path, value) was seen, the surest first."""
        heavy, key = weight(value), _key(value)
        same = self._same.get((path, key), [])
        if heavy == COMMON:
            yield Matches("same name, a common value", same)
            if type(value) in (int, float):
                yield Matches(IN_TEXT, self._near.get(value, []))
            return
        yield Matches("same name and value", same)
        yield Matches("same value, another name", self._equal.get(key, []), but=path)
        if _may_be_rounded(value):
            found = self._rounded.get((_decimals(value), value), [])
            if _digits(value) < _AGREEING:
                found = [seen for seen in found if seen[4] == path]
            yield Matches(ROUNDED, found)
        if type(value) in (int, float):
            yield Matches("stood in a text", self._within.get(repr(value), []))
            yield Matches(IN_TEXT, self._near.get(value, []))
        elif type(value) is str:
            yield Matches("part of a longer text", self._within.get(value, []))
            yield Matches("a part of this text", self._around.get(value, []))

    def mentioned(self, text: str) -> Iterator[Matches]:
        """What was seen of each number and word that stands in *text*."""
        keys = self._mentions.get(text, ())
        return (Matches("mentioned", self._mentioned[key]) for key in keys)


class Matches(NamedTuple):
    """What was seen of one value in one way, by time."""

    reason: str
    seen: list[_Seen]
    but: str = ""  # a path that does not count

    def oldest(self, until: float) -> Iterator[Sighting]:
        """Those up to *until*, from the first on."""
        return self._at(range(self._end(until)))

    def newest(self, until: float) -> Iterator[Sighting]:
        """Those up to *until*, from the last back."""
        return self._at(range(self._end(until) - 1, -1, -1))

    def _at(self, places: range) -> Iterator[Sighting]:
        return (Sighting(*self.seen[at], self.reason) for at in places if self.seen[at][4] != self.but)

    def _end(self, until: float) -> int:
        return bisect_right(self.seen, until, key=_time)


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    if type(value) is dict:
        return [(f"{path}.{key}", part) for key, part in value.items()]
    return [(f"{path}[{at}]", part) for at, part in enumerate(value)]


def _edges(rounded: Iterable[tuple[int, float]]) -> list[float]:
    """The ranges of what may round to one of *rounded*, as edges: inside one, an odd number is not larger."""
    edges: list[float] = []
    ranges = ((value - 0.51 / 10**places, value + 0.51 / 10**places) for places, value in rounded)
    for low, high in sorted(ranges):
        if edges and low <= edges[-1]:
            edges[-1] = max(edges[-1], high)
        else:
            edges += (low, high)
    return edges


def _texts(pairs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in parts(pairs) if type(text) is str)


def _starts(texts: Iterable[str]) -> dict[str, list[str]]:
    """Every run of 12 characters in the sought texts -> the texts it stands in."""
    found: dict[str, list[str]] = {}
    left = _LONG_TEXTS
    for text in texts:
        length = min(len(text), left)
        left -= length
        for gram in {text[at : at + _CONTAINED] for at in range(length - _CONTAINED + 1)}:
            found.setdefault(gram, []).append(text)
    return found


def _stands_in(sought: str, text: str) -> bool:
    """Whether *sought* is a true part of *text*; a number only as one of its own, not within a longer one."""
    if sought[0] not in "-0123456789" or not sought[-1].isdigit():
        return sought in text and sought != text
    return re.search(rf"(?<![0-9.]){re.escape(sought)}(?![0-9]|\.[0-9])", text) is not None


def _key(value: Any) -> Any:
    """What equal values share, as a key of a dict: 1 is 1.0, but not true."""
    if type(value) in (str, int, float):
        return value
    return (type(value).__name__, canonical(value))


def _may_be_rounded(value: Any) -> bool:
    """Whether *value* is a number that may have had more digits."""
    if type(value) not in (int, float) or abs(value) >= _EXACT or weight(value) == COMMON:
        return False
    return "e" not in repr(value) and _digits(value) <= _ROUNDED


def _decimals(value: float) -> int:
    return len(repr(value).partition(".")[2])


def _seconds(value: Any, otherwise: float) -> float:
    known = number(value)
    return otherwise if known is None else known


_when: Final[Callable[[_Seen], Any]] = itemgetter(0, 1)
_time: Final[Callable[[_Seen], float]] = itemgetter(0)
