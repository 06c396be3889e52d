"""A long session by the fixed parts of its lines: enough to find one step, and what it knew, in a moment.

Of each line only name, outcome, times and ids are read, a block at a time; a step becomes a `Record` when it is
asked for. `Outline.at` answers as `Session.at` does: the search is the same, and reads what the steps said from
the file.

A line is believed as `reader.scan` believes it without a check: its fixed part reads, and its length fits.
Whatever else is in the files (damage, a clock that jumped, several journals, ids given twice, circles) makes `outlined` or `at` raise
`NotPlain`: then the session is to be read as a whole, as always.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate
from math import inf
from operator import add, attrgetter
from typing import Final

from . import merge
from .folder import Entry
from .line import decode
from .lines import Lines, fetch
from .marks import Finder, Mark, Marks
from .packed import opened
from .parse import parse
from .provenance import REACH, Knowledge, knowledge
from .record import Damage, Record
from .reference import meant, referred
from .sightings import Said
from .sweep import BLOCK, entries, parsed
from .trail import Reading, start
from .tree import link

__all__ = ["LONG", "NotPlain", "Outline", "outlined"]

LONG: Final = 1024 * 1024  # bytes; a shorter session is read as a whole as soon
_FIRST: Final = 500  # steps at the beginning, and
_LAST: Final = 2_000  # before the end, that are looked at whatever is sought: most of what a step saw stands there
_CLOCK_S: Final = 10.0  # seconds by which a step may have ended earlier or later than it lasted: there are two clocks
_TICK_S: Final = 0.005  # what rounding and a clock that is corrected may add to it
_LOGS: Final = b',"logs":['
_WORD: Final = r'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"'
_TIME: Final = r"[0-9]{1,17}\.[0-9]{1,9}"
_ROW: Final = re.compile(  # as in `line.py`, where an ended step that we wrote ourselves is all there is
    r'\n\{"name":' + _WORD + r',"outcome":' + _WORD + r',"started_at":(' + _TIME + r'),"duration_ms":('
    + _TIME + r'),"id":"([0-9a-f]{16})","parent":(?:null|"([0-9a-f]{16})"),"error":(?:null|' + _WORD.replace("(", "(?:", 1)
    + r'),"len":([0-9]{1,12}),',
)  # fmt: skip
_FINISHED: Final = re.compile(r'"finished_at":(' + _TIME + r")")
_Row = tuple[str, str, str, str, str, str, str]  # name, outcome, start, duration, id, parent, length: as written
_PLACE: Final = attrgetter("path", "offset")


class NotPlain(Exception):
    """The session cannot be told from the fixed parts of its lines alone."""


class Outline:
    """The steps of one journal, those that ended and those still open, as columns.

    Attributes:
        state: as `Session.state`.
        damage: (): where there is any, there is no outline.
    """

    damage: tuple[Damage, ...] = ()

    def __init__(self, path: str, rows: list[_Row], open_: list[Record], state: str, apart: float) -> None:
        self.state = state
        self._slack = apart + _TICK_S  # by so much the time of a log may lie outside its step
        self._path = path
        names, outcomes, starts, spans, ids, parents, sizes = zip(*rows) if rows else ((),) * 7
        self._names = [*_words(names), *(step.name for step in open_)]
        self._outcomes = outcomes
        self._starts = [*map(float, starts), *map(start, open_)]
        self._ends = [*map(add, self._starts, (float(span) / 1000 for span in spans)), *(inf for _ in open_)]
        self._ids = [*ids, *(step.id for step in open_)]
        self._parents = [*parents, *(step.parent or "" for step in open_)]
        self._offsets = [0, *accumulate(map(int, sizes))]
        self._rows = {id: row for row, id in enumerate(self._ids)}
        if len(self._rows) != len(self._ids):
            raise NotPlain("an id is given twice")
        self._open = range(len(rows), len(self._ids))
        self._records = dict(zip(self._open, open_))
        self._order = self._by_start()
        self._places = {row: place for place, row in enumerate(self._order, 1)}

    # As a trail

    def number(self, step: Record) -> int:
        return self._places[self._rows[step.id]]

    def step(self, number: int) -> Record:
        return self._record(self._order[number - 1])

    def path_to(self, step: Record) -> list[Record]:
        return [self._record(row) for row in reversed(self._upwards(self._rows[step.id]))]

    def reading(self, until: float, near: Iterable[int], holding: tuple[bytes, ...] = ()) -> Reading:
        earlier = self._order[: bisect_right(self._order, until, key=self._starts.__getitem__)]
        edges = {*self._edges(earlier), *(row for row in earlier if row in self._open)}
        for number in near:
            edges.update(earlier[max(0, number - 1 - REACH) : number])
        between = sorted({*earlier} - edges)
        gap = None
        if between:
            low, high = min(map(self._starts.__getitem__, between)), max(map(self._ends.__getitem__, between))
            gap = (low - self._slack, high + self._slack)
        return Reading(self._said(sorted(edges)), gap, partial(self._between, between))

    def _edges(self, earlier: list[int]) -> list[int]:
        """The first of *earlier*, which is by start, and those that lasted on into the time of the last."""
        if len(earlier) <= _FIRST + _LAST:
            return earlier
        late = self._starts[earlier[-_LAST]]
        return earlier[:_FIRST] + [row for row in earlier[_FIRST:] if self._ends[row] >= late]

    def _between(self, between: list[int], marks: Marks) -> Iterator[Said]:
        """What *between*, less what was given before, holds of *marks*."""
        given: set[int] = set()
        for row, said in self._read(between, None if marks is None else Finder(marks)):
            given.add(row)
            yield said
        between[:] = [row for row in between if row not in given]

    def _said(self, rows: list[int]) -> Iterator[Said]:
        ended = bisect_left(rows, self._open.start)
        yield from (said for _, said in self._read(rows[:ended], None))
        for row in rows[ended:]:
            step = self._records[row]
            yield self._places[row], step.started_at, step.context, step.logs

    # As a session

    def at(self, word: str) -> Knowledge:
        """What the one step that *word* means knew; raises `NotPlain` where it means none, or several."""
        found = self._referred(word)
        if len(found) != 1:
            raise NotPlain(f"{word!r} means {len(found)} steps")
        return knowledge(self, found)[found[0]]

    def _referred(self, word: str) -> list[Record]:
        if word == "last-error":
            failed = [row for row, outcome in enumerate(self._outcomes) if outcome == "error"]
            nodes, _ = link(map(self._record, {row for one in failed for row in self._upwards(one)}))
            return referred(nodes, word)
        names, ids = ([column[row] for row in self._order] for column in (self._names, self._ids))
        return [self.step(place + 1) for place in meant(names, ids, word)]

    # Inside

    def _by_start(self) -> list[int]:
        """The rows as `tree.link` sorts them: by start, of those that share it the outer first."""
        starts = self._starts
        order = sorted(range(len(starts)), key=starts.__getitem__)
        ties = {starts[one] for one, other in zip(order, order[1:]) if starts[one] == starts[other]}
        if ties:
            order.sort(key=lambda row: (starts[row], len(self._upwards(row)) if starts[row] in ties else 0))
        return order

    def _upwards(self, row: int) -> list[int]:
        """*row* and those around it, outwards."""
        path, seen = [row], {row}
        while (above := self._rows.get(self._parents[path[-1]], -1)) >= 0:
            if above in seen:
                raise NotPlain("a circle of parents")
            path.append(above)
            seen.add(above)
        return path

    def _record(self, row: int) -> Record:
        if row not in self._records:
            begin, end = self._offsets[row : row + 2]
            found = decode(fetch(self._path, begin, end - begin), self._path, begin)
            if len(found) != 1 or not isinstance(found[0], Record) or found[0].id != self._ids[row]:
                raise NotPlain("a line that is no step")
            self._records[row] = found[0]
        return self._records[row]

    def _read(self, rows: list[int], marks: Finder | None) -> Iterator[tuple[int, Said]]:
        """What *rows*, in the order of the file, saw and said; with *marks*, those in whose lines one stands."""
        at = 0
        with opened(self._path) as file:
            while at < len(rows):
                begin = self._offsets[rows[at]]
                last = bisect_right(self._offsets, begin + BLOCK) - 2  # the last to end within a block
                end = max(at + 1, bisect_right(rows, last))
                block = file.pread(self._offsets[rows[end - 1] + 1] - begin, begin)
                yield from self._parsed(block, begin, rows[at:end], marks)
                at = end

    def _parsed(self, block: bytes, begin: int, rows: list[int], marks: Finder | None) -> Iterator[tuple[int, Said]]:
        offsets = self._offsets
        if marks is not None:
            rows = self._marked(block, begin, rows, marks.present(block))
        lines = [block[offsets[row] - begin : offsets[row + 1] - begin] for row in rows]
        for row, data in zip(rows, parsed(lines) or map(self._alone, rows)):
            if type(data) is not dict or data.get("id") != self._ids[row]:
                raise NotPlain("a line that is no step")
            context = data.get("context")
            said = context if type(context) is dict else {}, entries(data.get("logs"))
            yield row, (self._places[row], self._starts[row], *said)

    def _marked(self, block: bytes, begin: int, rows: list[int], marks: list[Mark]) -> list[int]:
        """Those of *rows* in whose lines one of *marks* stands."""
        found: set[int] = set()
        texts = {mark.text for mark in marks if not mark.logged}
        # A text as a whole: what a colon follows is the name of a value, and no value.
        whole = {text for text in texts if _is_whole(text)}
        for text in (texts - whole) | {text + end for text in whole for end in (b",", b"}", b"]")}:
            at = block.find(text)
            while at >= 0:
                row = bisect_right(self._offsets, begin + at) - 1
                found.add(row)
                at = block.find(text, self._offsets[row + 1] - begin)
        if logged := [mark.text for mark in marks if mark.logged and mark.text in block]:
            found.update(self._logging(block, begin, rows, logged))
        return [row for row in rows if row in found]

    def _logging(self, block: bytes, begin: int, rows: list[int], texts: list[bytes]) -> Iterator[int]:
        """Those of *rows* in whose logs one of *texts* stands: what only contexts hold is passed over at once."""
        spans = ((self._offsets[row] - begin, self._offsets[row + 1] - begin) for row in rows)
        logs = [block[max(start, block.find(_LOGS, start, end)) : end] for start, end in spans]
        together = b"\n".join(logs)
        for text in texts:
            if text in together:
                yield from (row for row, part in zip(rows, logs) if text in part)

    def _alone(self, row: int) -> object:
        return self._record(row).data


def outlined(entry: Entry) -> Outline:
    """The outline of the session *entry*; raises `NotPlain` where there can be none, or it would not pay."""
    journals = [path for path in entry.paths if not path.endswith(".live")]
    if entry.size < LONG or len(journals) != 1 or not journals[0].endswith(".jsonl"):
        raise NotPlain("short, or of several files")
    boxes = [merge.box_and_state(path) for path in entry.boxes]
    state = merge.together([state for _, state in boxes])
    rows, apart, half = _rows(journals[0])
    if half and state != "running":
        raise NotPlain("a half line at the end")
    ended = {row[4] for row in rows}
    steps = [step for box, _ in boxes if box is not None for step in box.steps if step.id not in ended]
    return Outline(journals[0], rows, sorted(steps, key=_PLACE), state, apart)


def _rows(path: str) -> tuple[list[_Row], float, bool]:
    """The columns of the fixed parts, how far the two clocks are apart, and whether a half line is left at the end."""
    rows: list[_Row] = []
    apart, lines, position = 0.0, Lines(0, None), 0
    with opened(path) as file:
        while block := file.pread(BLOCK, position):
            position += len(block)
            first, begin, end = lines.first(block)
            stretches = ([first[2] or b"\n"] if first is not None else []) + ([block[begin:end]] if begin < end else [])
            for found, seconds in map(_of, stretches):
                rows += found
                apart = max(apart, seconds)
            lines.give(end - begin)
        if file.packed:
            raise NotPlain("packed")
    return rows, apart, lines.size > 0


def _of(stretch: bytes) -> tuple[list[_Row], float]:
    """The rows of whole lines, and how far their two clocks are apart; raises `NotPlain` where one of them does not prove itself."""
    sizes = [len(line) + 1 for line in stretch.split(b"\n")[:-1]]
    text = "\n" + stretch.decode("latin-1")
    rows: list[_Row] = _ROW.findall(text)
    if [int(row[-1]) for row in rows] != sizes or stretch.count(b"}\n") != len(rows) or b"\0" in stretch:
        raise NotPlain("a line that does not prove itself")
    ends = [float(end) for end in _FINISHED.findall(text)]
    apart = max((abs(end - _end(row)) for end, row in zip(ends, rows)), default=0.0)
    if len(ends) != len(rows) or apart > _CLOCK_S:
        raise NotPlain("a clock that was set while a step ran, or a value named as the end of a step")
    return rows, apart


def _is_whole(text: bytes) -> bool:
    """Whether *text* is a JSON text from quote to quote; a part of one may end in a quote that is escaped."""
    body = text[:-1]
    return text[:1] == b'"' == text[-1:] and (len(body) - len(body.rstrip(b"\\"))) % 2 == 0


def _end(row: _Row) -> float:
    return float(row[2]) + float(row[3]) / 1000


def _words(texts: tuple[str, ...]) -> list[str]:
    """What JSON strings say, their bytes taken for Latin-1."""
    try:
        said = {text: str(parse(f'"{text}"'.encode("latin-1"))) for text in {*texts}}
    except ValueError:
        raise NotPlain("a name that is no text") from None
    return [said[text] for text in texts]
