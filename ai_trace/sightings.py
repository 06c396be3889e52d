"""Where values were seen: one pass over the steps, an index of what is sought, by value and by name. Pure.

When two values are the same, and how much that means (each match carries its reason):

- numbers: equal, whether written 2000 or 2000.0; or the sought one is the seen one rounded to the decimals
  it has (0.87 of 0.8712), if the name is the same or three digits agree
  (three digits, or a whole number: only from a few steps back, see `provenance.py`);
- texts: equal; or the one stands in the other, from 12 characters on; a number of four digits in a text, a
  shorter one (two characters) in a text of at most 1,000 that was logged shortly before;
- what a text mentions (`mentioned`): seen numbers of four digits, seen texts of 4 characters as whole words;
- objects and lists: equal as canonical JSON (keys sorted); else part by part;
- a name is the path of keys to a value, as in `market.price`. Items of a list have values, but no name. A value
  under the same last key elsewhere (`price`, `market.price`) is nearer than one under another.

How much a value tells by itself says `worth.weight`. Common ones are matched under the same name or last key only;
telling ones under any name, the earliest first; those between under any name where the same name finds nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from math import inf
from operator import itemgetter
from typing import Any, Final, NamedTuple

from . import marks
from .kin import tail
from .marks import Marks
from .mentions import mentions, numbers
from .record import Record, number
from .worth import (
    COMMON, CONTAINED, TELLING, decimals, digits, identity, may_be_rounded, parts, rounding_edges, stands_in, weight,
)  # fmt: skip

__all__ = ["ANOTHER_NAME", "COMMON_KEY", "COMMON_NAME", "IN_TEXT", "ROUNDED", "SAME_KEY", "Said", "Sighting",
           "Sightings"]  # fmt: skip

IN_TEXT: Final = "a number in the text"
ROUNDED: Final = "rounded"
SAME_KEY: Final = "same key and value"
ANOTHER_NAME: Final = "same value, another name"
COMMON_NAME: Final = "same name, a common value"
COMMON_KEY: Final = "same key, a common value"

_SOUGHT_TEXTS: Final = 200  # texts looked for inside others, the longest first
_LONG_TEXTS: Final = 500_000  # characters of sought texts, all together, in which others are looked for
_AGREEING: Final = 3  # digits from which a rounded number under another name is no chance
_SHORT_TEXT: Final = 1_000  # characters; a small number in a longer one is chance
_DIGIT: Final = re.compile(r"[0-9]")


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


Said = tuple[int, Any, Mapping[str, Any], Iterable[Mapping[str, Any]]]
"""What one step saw and said: its number by start, its start, its context, its logs."""

_Seen = tuple[float, int, str, str, Any]  # (at, number, where, path, value): 100,000 are made in a moment


class _Sought(list[_Seen]):
    """The sightings of one thing that is sought; *marks* tell in which lines it may stand (see `marks.py`), *whole*
    says that none was left out, *logs_whole* none of those in logs."""

    __slots__ = ("marks", "whole", "logs_whole")

    def __init__(self, *marks: Callable[[], Marks]) -> None:
        super().__init__()
        self.marks = [*marks]
        self.whole = self.logs_whole = False


_Named = tuple[_Sought, dict[Any, _Sought]]  # logs of any value; key of a sought value -> its sightings


class Sightings:
    """An index of where the *wanted* (path, value) pairs, and other values under the same paths, were seen.

    `look` takes in each step once. Afterwards `matching` answers by value, `newest` by path; *step* finds the
    step of a number.

    Attributes:
        gap: between which times not all was looked at; None: nothing was left out. Answers from outside it are as
            good as if all had been.
        missing: what was asked for beyond that; once it was looked for, `complete` says so.
    """

    def __init__(self, wanted: Iterable[tuple[str, Any]], step: Callable[[int], Record]) -> None:
        self._step = step
        self.gap: tuple[float, float] | None = None
        self.missing: list[tuple[_Sought, bool]] = []
        self._named: dict[str, _Named] = {}  # by the last key of the path
        self._equal: dict[Any, _Sought] = {}  # key of value -> sightings under any path
        self._rounded: dict[tuple[int, float], _Sought] = {}  # (decimals, number) -> unrounded ones
        self._within: dict[str, _Sought] = {}  # text -> texts in which it stands
        self._around: dict[str, _Sought] = {}  # text -> texts that stand in it
        self._near: dict[float, _Sought] = {}  # number that tells little -> short logs it stands in
        self._mentions: dict[str, list[str | float]] = {}  # text -> what it may mention
        self._mentioned: dict[str | float, _Sought] = {}  # that -> sightings under any path
        self._left = _LONG_TEXTS  # characters of texts whose mentions are still to be looked for
        self._sizes: set[tuple[type, int]] = set()  # of the objects and lists sought
        for path, value in wanted:
            if not path.endswith("]"):
                named = self._named.setdefault(tail(path), (_Sought(partial(marks.of_name, path)), {}))
                named[1][identity(value)] = _Sought(partial(marks.of_pair, path, value))
            self._want(path, value)
        self._decimals = {decimals for decimals, _ in self._rounded}
        self._edges = rounding_edges(self._rounded)
        self._trim()
        self._starts = _starts(self._around)
        self._scalars = {key for key in (*self._equal, *self._mentioned) if type(key) is not tuple}

    def _want(self, path: str, value: Any) -> None:
        heavy = weight(value)
        if type(value) in (dict, list):
            self._sizes.add((type(value), len(value)))
        if type(value) in (int, float) and heavy != TELLING and len(repr(value)) > 1:
            self._near.setdefault(value, _Sought()).marks.append(partial(marks.of_texts, path))
        if heavy == COMMON:
            return
        self._equal[identity(value)] = _Sought(partial(marks.of_value, value))
        if type(value) is str and len(value) >= CONTAINED:
            self._within[value] = _Sought(partial(marks.of_text, value))
            self._around[value] = _Sought(partial(marks.of_parts, value, CONTAINED))
        elif type(value) in (int, float) and heavy == TELLING:
            self._within[repr(value)] = _Sought(partial(marks.of_text, repr(value)))
        if type(value) is str and len(value) <= self._left and value not in self._mentions:
            self._left -= len(value)
            self._mentions[value] = mentions(value)
            self._mentioned.update((key, _Sought(partial(marks.of_value, key))) for key in self._mentions[value])
        if may_be_rounded(value):
            of_rounded = partial(marks.of_rounded, value, decimals(value), path if heavy != TELLING else None)
            self._rounded.setdefault((decimals(value), value), _Sought()).marks.append(of_rounded)

    def _trim(self) -> None:
        """Keep the work of looking inside texts bounded: the longest sought ones, as they tell most."""
        longest = sorted(self._within, key=len, reverse=True)[:_SOUGHT_TEXTS]
        self._within = {text: self._within[text] for text in longest}
        self._around = {text: found for text, found in self._around.items() if text in self._within}

    def look(self, said: Iterable[Said]) -> None:
        """Take in what was *said*."""
        for place, started_at, context, logs in said:
            begun = _seconds(started_at, -inf)
            if context:
                self._take(context, begun, place, "context")
            for entry in logs:
                self._take(entry, _seconds(entry.get("_t"), begun), place, "log")
        for found in self._lists():
            found.sort(key=_when)

    def complete(self, said: Callable[[Marks], Iterable[Said]]) -> bool:
        """Take in what is missing, *said* being asked for lines with these marks; False where nothing was."""
        if not self.missing:
            return False
        told = [marks.logged(mark()) if logged else mark() for sought, logged in self.missing for mark in sought.marks]
        known = [one for one in told if one is not None]
        self.look(said(tuple({mark for one in known for mark in one}) if len(known) == len(told) else None))
        for sought, logged in self.missing:
            sought.logs_whole = True
            sought.whole = sought.whole or not logged
        self.missing.clear()
        return True

    def _through(
        self, sought: _Sought, places: range, after: float, until: float, logged: bool = False
    ) -> Iterator[_Seen]:
        """What stands at *places* of *sought*, which are those later than *after* up to *until*, with *logged* in
        logs alone; where the gap is reached on the way it is noted."""
        low, high = self.gap or (inf, -inf)
        told = sought.whole or (logged and sought.logs_whole) or until < low or after > high
        for place in places:
            seen = sought[place]
            if logged and seen[2] != "log":
                continue
            if not told and (seen[0] >= low if places.step > 0 else seen[0] <= high):
                self.missing.append((sought, logged))
                told = True
            yield seen
        if not told:
            self.missing.append((sought, logged))

    def _lists(self) -> Iterator[_Sought]:
        for logged, same in self._named.values():
            yield logged
            yield from same.values()
        indexes: tuple[dict[Any, _Sought], ...] = (
            self._equal, self._rounded, self._within, self._around, self._near, self._mentioned,
        )  # fmt: skip
        for index in indexes:
            yield from index.values()

    def _take(self, pairs: Mapping[str, Any], at: float, place: int, where: str) -> None:
        """Note what is wanted of one context or log. The inner loop: it runs for every value of the trace."""
        named, scalars, edges = self._named, self._scalars, self._edges
        logged = where == "log"
        texts: list[str] = []
        level: Iterable[tuple[str, Any]] = pairs.items()
        while level:
            deeper: list[tuple[str, Any]] = []
            for path, value in level:
                if logged and path == "_t":
                    continue
                kind = type(value)
                name = path if "." not in path else tail(path)
                if name in named:
                    self._note_named(named[name], (at, place, where, path, value), kind, logged)
                if kind is str:
                    if value in scalars:
                        self._note((at, place, where, path, value))
                    texts.append(value)
                elif kind is float or kind is int:
                    if value in scalars:
                        self._note((at, place, where, path, value))
                    if edges and kind is float and bisect_right(edges, value) & 1:
                        self._round((at, place, where, path, value))
                elif kind is dict or kind is list:
                    if (kind, len(value)) in self._sizes and (found := self._equal.get(identity(value))) is not None:
                        found.append((at, place, where, path, value))
                    deeper += _inside(path, value)
            level = deeper
        if texts:
            if self._within:
                self._search(texts, pairs, at, place, where)
            if logged and self._near and _DIGIT.search("".join(texts)):
                self._search_near(pairs, at, place)

    def _note(self, seen: _Seen) -> None:
        """Note a number or a text that is sought, or mentioned, by value."""
        for index in (self._mentioned, self._equal):
            if (found := index.get(seen[-1])) is not None:
                found.append(seen)

    def _note_named(self, named: _Named, seen: _Seen, kind: type, logged: bool) -> None:
        any_value, same = named
        if logged:
            any_value.append(seen)
        value = seen[-1]
        if kind is not str and kind is not float and kind is not int:
            if kind in (dict, list) and (kind, len(value)) not in self._sizes:
                return
            value = identity(value)
        if value in same:
            same[value].append(seen)

    def _round(self, seen: _Seen) -> None:
        for decimals in self._decimals:
            rounded = round(seen[-1], decimals)
            found = self._rounded.get((decimals, rounded))
            if found is not None and rounded != seen[-1]:
                found.append(seen)

    def _search(self, texts: list[str], pairs: Mapping[str, Any], at: float, place: int, where: str) -> None:
        """Look into *texts*, and only where something is found for the paths under which they stand."""
        joined = "\0".join(texts)
        for sought, found in self._within.items():
            if sought in joined:
                found += [(at, place, where, path, text) for path, text in _texts(pairs) if stands_in(sought, text)]
        for text in texts:
            for whole in self._starts.get(text[:CONTAINED], ()):
                if text in whole and text != whole:
                    self._around[whole] += [(at, place, where, path, one) for path, one in _texts(pairs) if one == text]

    def _search_near(self, pairs: Mapping[str, Any], at: float, place: int) -> None:
        for path, text in _texts(pairs):
            if len(text) <= _SHORT_TEXT:
                for told in {*numbers(text)}:
                    if told in self._near:
                        self._near[told].append((at, place, "log", path, text))

    def newest(self, path: str, after: float, until: float) -> Iterator[Sighting]:
        """What was logged under the last key of *path* later than *after* up to *until*, the newest first."""
        if tail(path) not in self._named or after >= until:
            return
        found = self._named[tail(path)][0]
        first, last = (bisect_right(found, at, key=_time) for at in (after, until))
        for seen in self._through(found, range(last - 1, first - 1, -1), after, until):
            yield self._sighting(seen)

    def matching(self, path: str, value: Any) -> Iterator[Matches]:
        """Each way in which (path, value) was seen, the surest first."""
        heavy, key, name = weight(value), identity(value), tail(path)
        same = self._named[name][1].get(key, _NONE) if name in self._named and not path.endswith("]") else _NONE
        if heavy == COMMON:
            yield self._matches(COMMON_NAME, same, lambda other: other == path)
            if type(value) in (int, float, str) and value != "":
                yield self._matches(COMMON_KEY, same, lambda other: other != path)
            if type(value) in (int, float):
                yield self._matches(IN_TEXT, self._near.get(value, _NONE))
            return
        yield self._matches("same name and value", same, lambda other: other == path)
        yield self._matches(SAME_KEY, same, lambda other: other != path)
        named = not path.endswith("]")
        yield self._matches(
            ANOTHER_NAME, self._equal.get(key, _NONE), lambda other: other != path and not (named and tail(other) == name)
        )
        if may_be_rounded(value):
            found = self._rounded.get((decimals(value), value), _NONE)
            yield self._matches(ROUNDED, found, (lambda other: other == path) if digits(value) < _AGREEING else None)
        if type(value) in (int, float):
            yield self._matches("stood in a text", self._within.get(repr(value), _NONE))
            yield self._matches(IN_TEXT, self._near.get(value, _NONE))
        elif type(value) is str:
            yield self._matches("part of a longer text", self._within.get(value, _NONE))

    def mentioned(self, text: str) -> Iterator[Matches]:
        """What was seen of each longer text, each number and each word that stands in *text*."""
        around = self._around.get(text, _NONE)
        yield self._matches("mentioned", around, lambda _: False)  # so that none of them is missing
        longer = sorted({seen[-1] for seen in around}, key=lambda part: (text.find(part), -len(part)))
        for part in longer:
            yield self._matches("a part of this text", around, part=part)
        keys = self._mentions.get(text, ())
        for key in keys:
            if not any(type(key) is str and key in part for part in longer):
                yield self._matches("mentioned", self._mentioned[key])

    def _matches(self, reason: str, found: _Sought, fits: Callable[[str], bool] | None = None, part: str = "") -> Matches:
        return Matches(reason, found, self, fits, part)

    def sightings(self, matches: Matches, places: range, until: float, logged: bool) -> Iterator[Sighting]:
        """What *matches* has at *places*, which are those up to *until*; with *logged* in logs alone."""
        for seen in self._through(matches.found, places, -inf, until, logged):
            if matches.fit(seen):
                yield self._sighting(seen, matches.reason)

    def given(self, matches: Matches, numbers: Container[int]) -> Iterator[Sighting]:
        """As `Matches.given`; nothing of these is ever missing."""
        found = (seen for seen in matches.found if seen[2] == "context" and seen[1] in numbers and matches.fit(seen))
        return (self._sighting(seen, matches.reason) for seen in found)

    def _sighting(self, seen: _Seen, reason: str = "") -> Sighting:
        at, place, where, path, value = seen
        return Sighting(at, place, self._step(place), where, path, value, reason)


class Matches(NamedTuple):
    """What was seen of one value in one way, by time."""

    reason: str
    found: _Sought
    seen: Sightings
    fits: Callable[[str], bool] | None = None  # whether a path counts
    part: str = ""  # the text that alone counts

    def fit(self, seen: _Seen) -> bool:
        """Whether *seen* is one of them."""
        return (self.fits is None or self.fits(seen[3])) and (not self.part or seen[-1] == self.part)

    def oldest(self, until: float, *, logged: bool = False) -> Iterator[Sighting]:
        """Those up to *until*, from the first on; with *logged* those in logs alone."""
        return self.seen.sightings(self, range(self._end(until)), until, logged)

    def given(self, numbers: Container[int]) -> Iterator[Sighting]:
        """Those in the contexts of the steps of these *numbers*, from the first on."""
        return self.seen.given(self, numbers)

    def newest(self, until: float, *, logged: bool = False) -> Iterator[Sighting]:
        """Those up to *until*, from the last back; with *logged* those in logs alone."""
        return self.seen.sightings(self, range(self._end(until) - 1, -1, -1), until, logged)

    def _end(self, until: float) -> int:
        return bisect_right(self.found, until, key=_time)


_NONE: Final = _Sought()
_NONE.whole = True


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    if type(value) is dict:
        return [(f"{path}.{key}", part) for key, part in value.items()]
    return [(f"{path}[{at}]", part) for at, part in enumerate(value)]


def _texts(pairs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in parts(pairs) if type(text) is str)


def _starts(texts: Iterable[str]) -> dict[str, list[str]]:
    """Every run of 12 characters in the sought texts -> the texts it stands in."""
    found: dict[str, list[str]] = {}
    left = _LONG_TEXTS
    for text in texts:
        length = min(len(text), left)
        left -= length
        for gram in {text[at : at + CONTAINED] for at in range(length - CONTAINED + 1)}:
            found.setdefault(gram, []).append(text)
    return found


def _seconds(value: Any, otherwise: float) -> float:
    known = number(value)
    return otherwise if known is None else known


_when: Final[Callable[[_Seen], Any]] = itemgetter(0, 1)
_time: Final[Callable[[_Seen], float]] = itemgetter(0)
