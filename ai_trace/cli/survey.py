"""What one session adds up to: from the index as far as it knows, counted from there on.

The black boxes are read first and the journals after them, so a step that ends in between is met at least
once; one that stands in both is finished. Memory is bounded by what is open and by the number of step names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import census, cores, disk, folder, merge, reader
from ..index import Fold, Index
from ..lines import fetch
from ..record import Damage, Record

__all__ = ["Survey", "survey"]


class Survey(NamedTuple):
    """A session in numbers; `head` is its header, `open` are the steps that have not ended."""

    name: str
    agent: str
    state: str
    head: dict[str, Any]
    open: list[Record]
    census: census.Census


def survey(
    entry: folder.Entry, index: Index, *, groups: bool = True, tick: Callable[[int], object] | None = None
) -> Survey:
    """Count *entry*; without *groups* there may be none in its census."""
    boxes = [merge.box_and_state(path) for path in entry.boxes]
    state = merge.together([state for _, state in boxes])
    journals = [path for path in entry.paths if not path.endswith(".live")]
    open_steps = {step.id: step for box, _ in boxes for step in (box.steps if box is not None else ())}
    whole = census.Census()
    if len(entry.paths) == 1 and index.get(entry.path, groups=False) is None:
        saved = reader.snapshot(entry.path)
        if saved is not None:
            return _of_snapshot(entry, saved.steps, saved.damage)
    for path in journals:
        whole.merge(_journal(path, entry, index, groups, state == "running", tick))
    begun = {path: box.at for path, (box, _) in zip(entry.boxes, boxes) if box is not None}
    for path in journals if open_steps else ():
        _take_out(open_steps, path, begun.get(os.path.splitext(path)[0] + ".live", 0))
    return Survey(entry.name, entry.agent, state, entry.head, list(open_steps.values()), whole)


def _of_snapshot(entry: folder.Entry, steps: list[Record], damage: list[Damage]) -> Survey:
    whole = census.Census()
    for item in (*(step for step in steps if not step.open), *damage):
        whole.add(item)
    unfinished = [step for step in steps if step.open]
    return Survey(entry.name, entry.agent, entry.state, entry.head, unfinished, whole)


def _journal(
    path: str, entry: folder.Entry, index: Index, groups: bool, running: bool, tick: Callable[[int], object] | None
) -> census.Census:
    try:
        found = disk.active.stat(path)
        known = index.get(path, groups=groups)
        if known is not None and known.offset < found.st_size and not groups:
            known = index.get(path) or known  # what is added has to be added to the whole
        if known is None or known.offset < found.st_size:
            offset = known.offset if known is not None else 0
            more, reached = cores.count(path, offset, tick=tick)
            if known is not None:
                known.census.merge(more)
                more = known.census
            known = Fold(more, reached, entry.head if len(entry.paths) == 1 else {})
            index.put(path, known, reached - offset, found.st_ino)
        elif known.head and len(entry.paths) == 1:
            entry.recall(known.head)
    except FileNotFoundError:
        return census.Census()  # listed a moment ago, removed since
    if not running and known.offset < found.st_size:  # else a half line at the end is being written
        rest = reader.scan(path, known.offset, check=False)
        for item in (*rest, *rest.last()):
            known.census.add(item)
    return known.census


def _take_out(open_steps: dict[str, Record], path: str, begun: int) -> None:
    """Take out of *open_steps* those that ended in the journal *path*, behind the place *begun*."""
    try:
        for item in reader.scan(path, begun if _is_line_start(path, begun) else 0, check=False):
            if isinstance(item, Record):
                open_steps.pop(item.id, None)
    except FileNotFoundError:
        return


def _is_line_start(path: str, offset: int) -> bool:
    return offset == 0 or fetch(path, offset - 1, 1) == b"\n"
