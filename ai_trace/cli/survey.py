"""What sessions add up to: from the index as far as it knows, counted from there on.

The black boxes of a session are read first and its journals after them, so a step that ends in between is met
at least once; one that stands in both is finished. Memory is bounded by what is open and by the number of step
names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from .. import cores, disk, folder, merge, packed, reader
from ..census import Census
from ..index import Fold, Index, Row
from ..lines import fetch
from ..record import Damage, Record
from ..sniff import header_in, refusal
from .progress import Progress

__all__ = ["UNREADABLE", "Survey", "shown_state", "surveys"]

UNREADABLE = "unreadable"
_ENDS = {"error": "failed", "cancelled": "cancelled"}
_JOURNALS = (".jsonl", ".jsonl.gz")
_SOME = 200  # sessions, from which on the index is read in one go


class Survey(NamedTuple):
    """A session in numbers.

    Attributes:
        head: its header.
        open: the steps that have not ended.
        refused: the files that could not be read, each with the reason; what they hold is not counted.
    """

    name: str
    agent: str
    state: str
    head: dict[str, Any]
    open: list[Record]
    census: Census
    refused: tuple[str, ...] = ()

    @property
    def outcome(self) -> str | None:
        """How the last outermost step ended; None where there is none, or one has not ended."""
        if self.open and any(step.parent is None for step in self.open):
            return None
        return self.census.outcome

    @property
    def shown_state(self) -> str:
        """As `shown_state`; "unreadable" where not all of it was read."""
        return UNREADABLE if self.refused else shown_state(self.state, self.outcome)


def shown_state(state: str, outcome: str | None) -> str:
    """A session's *state* in a word for people; where it ended, by its *outcome* "failed" or "cancelled"."""
    return _ENDS.get(outcome or "", state) if state == "ended" else state


def surveys(
    entries: Sequence[folder.Entry], trace_dir: str, *, grouped: bool = True,
    tick: Callable[[int], object] | None = None,
) -> Iterator[tuple[folder.Entry, Survey]]:  # fmt: skip
    """Count each of *entries*, with the help of the index of *trace_dir*; not by name where not *grouped*.

    *tick* is told how many bytes were read; without it a line of progress is shown.
    """
    with Index(trace_dir) as index, Progress(sum(entry.size for entry in entries)) as progress:
        work = _Work(index, tick or progress.tick, grouped)
        with closing(work.begin(entries)):
            for entry in entries:
                yield entry, work.survey(entry)


class _Work:
    """The counting of several sessions."""

    def __init__(self, index: Index, tick: Callable[[int], object], grouped: bool) -> None:
        self._index = index
        self._tick = tick
        self._grouped = grouped
        self._seen: dict[str, tuple[os.stat_result, Fold | None]] = {}
        self._rows: Generator[tuple[str, Row], None, None] = cores.count_all([], grouped=grouped)
        self._row: tuple[str, Row] | None = None  # the next of them

    def begin(self, entries: Sequence[folder.Entry]) -> Generator[tuple[str, Row], None, None]:
        """Where very many journals are new, have other processes count them, until what this returns is closed."""
        if len(entries) >= _SOME:
            self._index.preload()
        if len(entries) >= cores.MANY:
            # A black box has to be read before its journal: a session that has one waits for its turn.
            for entry in entries:
                if len(entry.paths) == 1 and entry.path.endswith(_JOURNALS):
                    try:
                        found = entry.found or disk.active.stat(entry.path)
                    except OSError:  # removed since it was listed
                        continue
                    known = self._index.get(entry.path, found, groups=False)  # the groups of all would be much to hold
                    useful = known is not None and (known.sums is not None or not self._grouped)
                    self._seen[entry.path] = found, known if useful else None
            new = [path for path, (_, known) in self._seen.items() if known is None]
            self._rows = cores.count_all(new, grouped=self._grouped)
            self._row = next(self._rows, None)
        return self._rows

    def _counted(self, path: str) -> Fold | None:
        """What another process counted of *path*; asked for in the order in which they were told to."""
        if self._row is None or self._row[0] != path:
            return None
        fold = self._index.adopt(*self._row)
        self._tick(fold.offset)
        self._row = next(self._rows, None)
        return fold

    def _look(self, path: str) -> tuple[os.stat_result, Fold | None]:
        """The file as it is, and what is known of it."""
        seen = self._seen.pop(path, None)
        if seen is None:
            found = disk.active.stat(path)
            seen = found, self._index.get(path, found, groups=self._grouped)
        return seen

    def survey(self, entry: folder.Entry) -> Survey:
        if entry.path in self._seen:  # a journal alone, and nobody writes it
            found, known = self._seen[entry.path]
            if known is not None and self._grouped and not self._index.fill(entry.path, known):
                known = None
                self._seen[entry.path] = found, None
            known = self._counted(entry.path) if known is None else known if known.offset == found.st_size else None
            if known is not None:
                del self._seen[entry.path]
                entry.recall(known.head)
                return Survey(entry.name, entry.agent, "ended", known.head, [], known.census)
        return self._in_full(entry)

    def _in_full(self, entry: folder.Entry) -> Survey:
        boxes = [(path, *merge.box_and_state(path)) for path in entry.boxes]
        state = merge.together([state for _, _, state in boxes])
        begun = {path: box.at for path, box, _ in boxes if box is not None}
        open_steps = {step.id: step for _, box, _ in boxes for step in (box.steps if box is not None else ())}
        journals = [path for path in entry.paths if path not in entry.boxes]
        alone = len(entry.paths) == 1
        counted, refused = [], []
        for path in journals:
            try:
                known, opening = self._fold(path, entry if alone else None)
                if alone and opening is not None and not opening.startswith(cores.PLAIN):
                    saved = reader.snapshot(path)
                    if saved is not None:
                        return _of_snapshot(entry, saved.steps, saved.damage)
                if state != "running" and opening is not None:  # else a half line may be being written
                    _add_rest(known, path)
                counted.append(known.census)
                if open_steps:
                    _take_out(open_steps, path, begun.get(packed.stem(path) + ".live", 0))
            except FileNotFoundError:
                continue  # listed a moment ago, removed since
            except OSError as error:
                refused.append(f"{path}: {refusal(error)}")
        whole = counted[0] if len(counted) == 1 else Census(grouped=self._grouped)
        for one in counted if len(counted) != 1 else ():
            whole.merge(one)
        return Survey(entry.name, entry.agent, state, entry.head, list(open_steps.values()), whole, tuple(refused))

    def _fold(self, path: str, alone: folder.Entry | None) -> tuple[Fold, bytes | None]:
        """What *path* adds up to; and, unless all of it was known, how it begins."""
        found, known = self._look(path)
        if known is not None and known.offset == found.st_size:
            if alone is not None:
                alone.recall(known.head)
            return known, None
        if path.endswith(".gz"):
            known = None  # it does not grow: it is another file now
        if known is not None and not self._grouped:
            known = self._index.get(path, found) or known  # what was added is added to all that is known
        return self._count(path, known, alone)

    def _count(self, path: str, known: Fold | None, alone: folder.Entry | None) -> tuple[Fold, bytes | None]:
        offset = known.offset if known is not None else 0
        grouped = known.census.grouped if known is not None else self._grouped
        taken = cores.count(path, offset, grouped=grouped, tick=self._tick)
        head = known.head if known is not None else {}
        if alone is not None and known is None:
            if taken.opening.endswith(b"\n"):
                alone.recall(header_in(taken.opening))
            head = alone.head
        if known is not None:
            known.census.merge(taken.census)
            taken = taken._replace(census=known.census)
        fold = Fold(taken.census, taken.offset, head)
        if known is not None or taken.opening.startswith(cores.PLAIN):
            self._index.put(path, fold, taken.marks, taken.offset - offset)
        return fold, taken.opening if known is None else cores.PLAIN


def _of_snapshot(entry: folder.Entry, steps: list[Record], damage: list[Damage]) -> Survey:
    whole = Census()
    items: list[Record | Damage] = [*damage, *(step for step in steps if not step.open)]
    for item in items:
        whole.add(item)
    unfinished = [step for step in steps if step.open]
    return Survey(entry.name, entry.agent, entry.state, entry.head, unfinished, whole)


def _add_rest(known: Fold, path: str) -> None:
    """Count what stands behind the last whole line of *path* when nobody will write it to its end."""
    if known.offset < disk.active.stat(path).st_size:
        rest = reader.scan(path, known.offset, check=False)
        for item in rest:
            known.census.add(item)
        for last in rest.last():
            known.census.add(last)


def _take_out(open_steps: dict[str, Record], path: str, begun: int) -> None:
    """Take out of *open_steps* those that ended in the journal *path*, behind the place *begun*."""
    start = begun if begun == 0 or fetch(path, begun - 1, 1) == b"\n" else 0
    for item in reader.scan(path, start, check=False):
        if isinstance(item, Record):
            open_steps.pop(item.id, None)
