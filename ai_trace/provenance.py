"""What a step knew, and where each piece of it came from. Pure.

For every value in a step's context and logs, and in the contexts of the steps around it:

- `way`: how it came here: the first sighting of each form that it had (another name, unrounded, inside a
  text), the producer first. Empty: the value is not linked to an earlier step. Each says why it was matched;
  the rules stand in `sightings.py`;
- `contains`: seen values that a text mentions, where it was not seen as a whole: ten at most;
- `read`: the last time that the same value was seen before its use, and `age_s`, the seconds from then. A
  value handed on from context to context is not read anew: only a log counts, or the first sighting;
- `newer`: a different value that was logged under the same name after `read` and before the use, and is
  nowhere in what the step saw. Then the piece is **stale**. So is a text that holds a value of which a newer
  one was logged. The same name is the same path, words that only wrap left aside (see `kin.py`).

Not called stale, as it is no older reading of the same thing: a common value in a log; a value whose rival
is about another subject. Two steps have different subjects where their contexts, or those around them, hold
different labels under one name (`file="a"` and `file="b"`); a label is a text of at most 64 characters that
is no time, number or id; or where the step was given what the reading was (`user_id=7`), and the rival
something else; or where beside the two values stand different ids. Nor is a value that tells little linked to
a log about another subject, or what a step logs to what steps of its name logged before under the same name:
that is a reading of its own, and never old.

Limits: of a step the first 300 values, of a value the first and last 1,000 sightings and the newest 100
rivals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice
from math import inf
from operator import itemgetter
from typing import Any, Final, NamedTuple

from .kin import akin, alike, beside
from .marks import of_name
from .record import Record, number
from .sightings import ANOTHER_NAME, COMMON_KEY, IN_TEXT, ROUNDED, SAME_KEY, Sighting, Sightings
from .trail import Reading, Trail, start
from .worth import COMMON, TELLING, canonical, parts, weight

__all__ = ["Knowledge", "Piece", "REACH", "knowledge"]

_PARTS: Final = 300  # values of one step
_SCANNED: Final = 1_000  # sightings of one value looked at, from each end
_LABEL: Final = 64  # characters; what is longer is prose, and differs each time
_NO_LABEL: Final = re.compile(r"[\W\d]*$|[0-9]{4}-[0-9]{2}|[0-9a-fA-F-]{16,}$")
_MENTIONED: Final = 10  # links of one text
_REACH: Final = {IN_TEXT: 3, ROUNDED: 20}  # steps back; farther off, what tells little agrees by chance
REACH: Final = max(_REACH.values())
_RIVALS: Final = 100  # newer values looked at for one piece; beyond them others are only more of the same

Ways = Callable[[Record], list[Record]]


class Piece(NamedTuple):
    """One value that a step saw or said, and what the trace tells of it."""

    path: str
    value: Any
    where: str  # "context", "log", or "around": the context of a step around it
    holder: Record  # the step in whose context or log it stands
    at: float  # seconds since 1970 when it was used; inf where the step has no time
    way: tuple[Sighting, ...] = ()
    read: Sighting | None = None
    newer: Sighting | None = None
    contains: tuple[Sighting, ...] = ()
    around: tuple[Record, ...] = ()  # the steps around the one that saw it

    @property
    def linked(self) -> bool:
        """Whether something of it was seen before."""
        return bool(self.way or self.contains)

    @property
    def origin(self) -> Sighting | None:
        """Where it was first seen; None: not seen before."""
        return self.way[0] if self.way else None

    @property
    def stale(self) -> bool:
        """Whether a newer value was there and not used."""
        return self.newer is not None

    @property
    def age_s(self) -> float | None:
        """Seconds from the last reading to the use, where both times are known."""
        if self.read is None or not -inf < self.read.at < inf or self.at == inf:
            return None
        return round(max(self.at - self.read.at, 0.0), 6)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "path": self.path,
            "value": self.value,
            "where": self.where,
            "holder": {"name": self.holder.name, "id": self.holder.id},
            "age_s": self.age_s,
            "stale": self.stale,
            "origin": self.origin.to_dict() if self.origin else None,
            "way": [seen.to_dict() for seen in self.way],
            "contains": [seen.to_dict() for seen in self.contains],
            "read": self.read.to_dict() if self.read else None,
            "newer": self.newer.to_dict() if self.newer else None,
        }


class Knowledge(NamedTuple):
    """All that *step* saw and said; `number` is its place by start, `left_out` what was not looked at."""

    step: Record
    number: int
    pieces: list[Piece]
    left_out: int = 0

    @property
    def stale(self) -> list[Piece]:
        """Those for which there was something newer."""
        return [piece for piece in self.pieces if piece.stale]

    @property
    def known(self) -> list[Piece]:
        """Those that are not stale, and linked to an earlier step."""
        return [piece for piece in self.pieces if piece.linked and not piece.stale]

    @property
    def new(self) -> list[Piece]:
        """Those not linked to an earlier step."""
        return [piece for piece in self.pieces if not piece.linked]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, stale ones first."""
        step = {"number": self.number, "name": self.step.name, "id": self.step.id}
        step |= {"started_at": self.step.started_at}
        values = [piece.to_dict() for piece in (*self.stale, *self.known, *self.new)]
        return {"step": step, "stale": len(self.stale), "values": values, "left_out": self.left_out}


def knowledge(trail: Trail, targets: Iterable[Record]) -> dict[Record, Knowledge]:
    """What each of *targets*, steps of *trail*, knew.

    The steps are read once for all targets, and once more, where needed, those lines that speak of a value by
    the other name that it had before.
    """
    views = [_View(target, trail.path_to) for target in targets]
    until = max((view.until for view in views), default=-inf)
    near = {trail.number(step) for view in views for step in (view.step, *view.around)}
    seen = Sightings(((piece.path, piece.value) for view in views for piece in view.pieces), trail.step)
    reading = _opened(seen, trail.reading(until, near))
    search = _Search(seen, trail)
    found = [(view, search.traced(view)) for view in views]
    while seen.complete(reading.between):
        found = [(view, search.traced(view)) for view in views]
    renamed = {path for _, pieces in found for piece in pieces for path in _other_names(piece)}
    others = Sightings(((path, None) for path in renamed), trail.step)
    if renamed:
        others_reading = _opened(others, trail.reading(until, near, _holding(renamed)))
    judged = [search.judged(view.step, pieces, others) for view, pieces in found]
    while seen.complete(reading.between) or (renamed and others.complete(others_reading.between)):
        judged = [search.judged(view.step, pieces, others) for view, pieces in found]
    return {
        view.step: Knowledge(view.step, trail.number(view.step), pieces, view.left_out)
        for view, pieces in zip(views, judged)
    }


def _opened(seen: Sightings, reading: Reading) -> Reading:
    seen.look(reading.edges)
    seen.gap = reading.gap
    return reading


class _View:
    """What one step saw and said, before anything is known of where it came from."""

    def __init__(self, step: Record, path_to: Ways) -> None:
        self.step = step
        self.begun = start(step)
        self.around = tuple(path_to(step)[:-1])
        self.pieces = list(islice(self._all(path_to), _PARTS + 1))
        self.left_out = 0
        if len(self.pieces) > _PARTS:
            self.left_out = sum(1 for _ in self._all(path_to)) - _PARTS
            del self.pieces[_PARTS:]
        self.until = max((piece.at for piece in self.pieces), default=self.begun)
        step.shed()

    def _all(self, path_to: Ways) -> Iterator[Piece]:
        """Own context, own logs, then the contexts around, the nearest first; the same value once."""
        given = set()
        for path, value in parts(self.step.context):
            given.add((path, canonical(value)))
            yield Piece(path, value, "context", self.step, self.begun)
        for entry in self.step.logs:
            at = number(entry.get("_t"))
            for path, value in parts({key: part for key, part in entry.items() if key != "_t"}):
                if (path, canonical(value)) not in given:
                    given.add((path, canonical(value)))
                    yield Piece(path, value, "log", self.step, self.begun if at is None else at)
        for around in reversed(path_to(self.step)[:-1]):
            for path, value in parts(around.context):
                if (path, canonical(value)) not in given:
                    given.add((path, canonical(value)))
                    yield Piece(path, value, "around", around, self.begun)
            around.shed()


class _Search:
    """Finds for each piece its way, its last reading, and what was newer."""

    def __init__(self, seen: Sightings, trail: Trail) -> None:
        self._seen = seen
        self._number = trail.number
        self._subjects = _Subjects(trail.path_to)

    def traced(self, view: _View) -> list[Piece]:
        """The pieces with their ways; of an object or a list that came as a whole, the parts are left out."""
        found: list[Piece] = []
        whole = ""
        for piece in view.pieces:
            if whole and piece.path.startswith((f"{whole}.", f"{whole}[")):
                continue
            whole = ""
            traced = self._traced(piece._replace(around=view.around), view.step)
            if type(piece.value) in (dict, list):
                if piece.value and not traced.way:
                    continue  # told by its parts
                whole = piece.path
            found.append(traced)
        return found

    def _traced(self, piece: Piece, step: Record) -> Piece:
        until = start(piece.holder) if piece.where == "around" else piece.at
        ways: list[Sighting] = []
        readings: list[Sighting] = []
        for matches in self._seen.matching(piece.path, piece.value):
            if ways and weight(piece.value) != TELLING:
                break  # what tells little is not looked for further once it is found
            near = matches.reason in _REACH and weight(piece.value) != TELLING
            # That another step was given `true` or 5, too, says nothing of where it came from: one around it, does.
            common = weight(piece.value) == COMMON
            sources: Iterable[Sighting] = islice(matches.newest(until) if near else matches.oldest(until, logged=common), _SCANNED)
            if common:
                sources = merge(matches.given({*map(self._number, piece.around)}), sources, key=_when)
            ways += islice((one for one in sources if self._is_source(one, piece, step)), 1)
            if matches.reason.startswith("same"):
                logs = islice(matches.newest(until, logged=True), _SCANNED)
                readings += islice((one for one in logs if self._is_source(one, piece, step)), 1)
        ways.sort(key=_when)
        ways = [one for at, one in enumerate(ways) if not at or one[:3] != ways[0][:3]]  # told in one breath: once
        read = max([*readings, *ways[:1]], key=_when, default=None)
        whole = any(one.reason.startswith("same") for one in ways)
        contains = () if whole else islice(self._mentioned(piece, step, until), _MENTIONED)
        return piece._replace(way=tuple(ways), read=read, contains=tuple(contains))

    def _mentioned(self, piece: Piece, step: Record, until: float) -> Iterator[Sighting]:
        """For each earlier value that stands in the text of *piece* its first sighting."""
        if type(piece.value) is not str:
            return
        for matches in self._seen.mentioned(piece.value):
            oldest = islice(matches.oldest(until), _SCANNED)
            yield from islice((one for one in oldest if self._is_source(one, piece, step)), 1)

    def _is_source(self, one: Sighting, piece: Piece, step: Record) -> bool:
        """Whether *piece* may come from *one*, which is not later than it by the clock."""
        if one.step is piece.holder or (one.at == piece.at and one.number > self._number(piece.holder)):
            return False
        if _may_be_chance(one, piece) and self._number(piece.holder) - one.number > _REACH[one.reason]:
            return False
        if one.path == piece.path and piece.where == one.where == "log" and one.step.name == step.name:
            return False  # as all steps of this name log it, the step has read it anew itself
        if one.where == "context" or weight(piece.value) == TELLING:
            return True
        return self._subjects.agree(one.step, step)

    def judged(self, step: Record, pieces: list[Piece], others: Sightings) -> list[Piece]:
        """*pieces* with what was newer; *others* holds what was logged under the other names they had."""
        in_view = {canonical(piece.value) for piece in pieces if weight(piece.value) != COMMON}
        return [piece._replace(newer=self._newer(step, piece, in_view, others)) for piece in pieces]

    def _newer(self, step: Record, piece: Piece, in_view: set[str], others: Sightings) -> Sighting | None:
        """The newest value that the step could have had instead."""
        read = piece.read
        if read is None and piece.contains:
            return self._newer_part(step, piece, others)
        if read is None or piece.path.endswith("]") or piece.at == inf:
            return None
        if piece.where == "log" and (weight(piece.value) == COMMON or self._reads(step, piece)):
            return None
        for rival in self._later(piece, read, others):
            if canonical(rival.value) in in_view:
                return None  # it was seen, too
            if rival.step is not step and self._same_thing(rival, read, step):
                return rival
        return None

    def _reads(self, step: Record, piece: Piece) -> bool:
        """Whether steps of this name log what *piece* is: then it is a reading of its own, equal to another by chance."""
        before = islice(self._seen.newest(piece.path, -inf, piece.at), _RIVALS)
        return any(one.step.name == step.name and one.step is not step and one.path == piece.path for one in before)

    def _newer_part(self, step: Record, piece: Piece, others: Sightings) -> Sighting | None:
        """A newer value of one that stands in the text of *piece*, and does not stand there itself."""
        for part in piece.contains:
            if part.where != "log" or part.path.endswith("]") or weight(part.value) == COMMON:
                continue
            for rival in islice(others.newest(part.path, part.at, piece.at), _RIVALS):
                if rival.step is step or not akin(rival.path, part.path) or not self._same_thing(rival, part, step):
                    continue
                if canonical(rival.value) != canonical(part.value) and _spelled(rival.value) not in piece.value:
                    return rival
                break
        return None

    def _same_thing(self, rival: Sighting, read: Sighting, step: Record) -> bool:
        """Whether both are readings of one thing, and *step* is about it, too, as far as can be seen."""
        agree, subjects = self._subjects.agree, self._subjects
        if not (agree(rival.step, read.step) and agree(rival.step, step)) or subjects.apart(rival.step, read.step, step):
            return False
        here, there = (beside(one.step, one.where, one.path, one.at) for one in (rival, read))
        return alike(here, there)

    def _later(self, piece: Piece, read: Sighting, others: Sightings) -> Iterator[Sighting]:
        """What was logged after the reading, under the piece's name or that it was read by; newest first."""
        both: Iterable[Sighting] = self._seen.newest(piece.path, read.at, piece.at)
        if other := _other_name(piece):
            both = merge(both, others.newest(other, read.at, piece.at), key=_when, reverse=True)
        names = {piece.path, other} | ({read.path} if read.reason in (SAME_KEY, COMMON_KEY) else set())
        told = islice((one for one in both if any(akin(one.path, name) for name in names)), _RIVALS)
        return (one for one in told if not _same_again(one, piece, read))


class _Subjects:
    """Knows whether two steps may be about the same thing: no label in or around them says otherwise."""

    def __init__(self, path_to: Ways) -> None:
        self._path_to = path_to
        self._labels: dict[Record, dict[str, str]] = {}

    def agree(self, one: Record, other: Record) -> bool:
        """Whether no name stands in or around both with different labels."""
        theirs = self._of(other)
        return all(theirs.get(name, label) == label for name, label in self._of(one).items())

    def apart(self, rival: Record, read: Record, step: Record) -> bool:
        """Whether *step* was given what *read* was (`user_id=7`), and *rival* something else under that name."""
        ours, theirs = step.context, read.context
        shared = {name: value for name, value in ours.items() if type(value) in (int, str) and theirs.get(name) == value}
        return any(type(given) in (int, str) and shared.get(name, given) != given for name, given in rival.context.items())

    def _of(self, step: Record) -> dict[str, str]:
        """The labels in the contexts of *step* and of those around it; the inner one wins."""
        known = self._labels.get(step)
        if known is None:
            known = self._labels[step] = {}
            for around in self._path_to(step):
                known.update((name, text) for name, text in around.context.items() if _is_label(text))
                around.shed()
        return known


def _is_label(value: Any) -> bool:
    """Whether *value* names something: a short text, and no time, number or id, which are new each time."""
    return type(value) is str and len(value) <= _LABEL and "\n" not in value and not _NO_LABEL.match(value)


def _same_again(rival: Sighting, piece: Piece, read: Sighting) -> bool:
    """Whether *rival* is the value itself once more, perhaps unrounded as it was read."""
    told = canonical(rival.value)
    return told == canonical(piece.value) or told == canonical(read.value)


def _may_be_chance(one: Sighting, piece: Piece) -> bool:
    """Whether *one* was matched by form and not by name, and the value tells little."""
    return one.reason in _REACH and one.path != piece.path and weight(piece.value) != TELLING


def _other_name(piece: Piece) -> str:
    """The name under which *piece* was read as a value of its own, "" where it is the same."""
    read = piece.read
    if read is None or read.path == piece.path or read.reason not in (ANOTHER_NAME, ROUNDED):
        return ""
    if _may_be_chance(read, piece):
        return ""  # good for a link, too little to call it stale
    return "" if read.path.endswith("]") else read.path


def _other_names(piece: Piece) -> list[str]:
    """The names under which something newer than *piece*, or than a part of it, may have been logged."""
    if piece.read is None and piece.contains:
        return [part.path for part in piece.contains if part.where == "log" and not part.path.endswith("]")]
    return [name] if (name := _other_name(piece)) else []


def _spelled(value: Any) -> str:
    """*value* as it stands in a text."""
    return value if type(value) is str else canonical(value)


def _holding(paths: Iterable[str]) -> tuple[bytes, ...]:
    """Bytes of which one stands in each line that logs under one of *paths*; () where there is no telling."""
    told = [of_name(path) for path in paths]
    return () if None in told else tuple(mark.text for marks in told for mark in marks or ())


_when: Final[Callable[[Sighting], Any]] = itemgetter(0, 1)
