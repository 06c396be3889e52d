"""Steps of a long journal found without reading all of it: the last ones, one by its id, those inside it.

A journal is in the order in which steps ended. So the last steps stand at the end, and what happened inside a
step stands before its line, as far back as its start; only what outlived it stands behind.
Guarantee: memory is bounded by a block and by what is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from .line import Unproven, decode, glance_block
from .lines import BLOCK, MAX_LINE, Lines, last_lines
from .packed import opened
from .reader import scan
from .record import Damage, Record, number
from .tree import ended_at

__all__ = ["inside", "last_steps", "sample", "with_id"]

_PARENT: Final = re.compile(rb'"parent":"([0-9a-f]{16})"')
_ID: Final = re.compile("[0-9a-f]{16}")
_WHOLE: Final = 16  # letters of an id
_FEW: Final = 50
_CLOCK_S: Final = 60.0  # by so much a wall clock may have been set while the step ran


def last_steps(path: str, count: int, *, whole: bool) -> list[Record | Damage]:
    """The last *count* lines of the journal *path*; *whole*: nobody will write a half one to its end."""
    found = scan(path, last_lines(path, count), check=False)
    items = [*found]
    return ([*items, *found.last()] if whole else items)[-count:]


def sample(path: str) -> tuple[int, int]:
    """(bytes of the journal *path*, steps that it may hold, by those at its beginning and its end)."""
    with opened(path) as file:
        size = file.size()
        blocks = [file.pread(BLOCK, 0), file.pread(BLOCK, max(0, size - BLOCK))]
    lines = max(1, sum(block.count(b"\n") for block in blocks))
    return size, size * lines // max(1, sum(map(len, blocks)))


def with_id(path: str, prefix: str, tick: Callable[[int], object] | None = None) -> Iterator[Record]:
    """The steps of the journal *path* whose id, where it is written in full, begins with *prefix*; of a whole id
    the first. *tick* is told how many bytes were read."""
    mark = f'"id":"{prefix}'.encode()
    for offset, block in _stretches(path, tick=tick):
        if block.rfind(mark) < 0:  # backwards this search is twice as fast (CPython 3.10 to 3.13)
            continue
        at = block.find(mark)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.index(b"\n", at) + 1
            for item in decode(block[start:end], path, offset + start, check=False):
                if isinstance(item, Record) and item.id.startswith(prefix):
                    yield item
                    if len(prefix) == _WHOLE:
                        return
            at = block.find(mark, end)


def inside(paths: list[str], step: Record, tick: Callable[[int], object] | None = None) -> list[Record]:
    """The steps inside *step*, itself first; *paths* are all journals of its session; *tick* as in `with_id`."""
    ids, found = {step.id}, [step]
    if step.path in paths and not step.open:
        for item in _backwards(step):
            _adopt(item, ids, found)
    for path in paths:
        start = step.offset + step.length if path == step.path and not step.open else 0
        search = _parents(ids)
        for offset, block in _stretches(path, start, tick):
            if search(block):
                for item in _steps(block, path, offset):
                    _adopt(item, ids, found)
                search = _parents(ids)
    return found


def _parents(ids: set[str]) -> Callable[[bytes], object]:
    """What tells whether a block may hold a step directly inside one of *ids*."""
    if len(ids) <= _FEW and all(map(_ID.fullmatch, ids)):
        return re.compile(b'"parent":"(?:%b)"' % "|".join(ids).encode()).search  # a third less than all parents
    return lambda block: not ids.isdisjoint(word.decode() for word in _PARENT.findall(block))


def _adopt(item: Record, ids: set[str], found: list[Record]) -> None:
    if item.parent in ids and item.id not in ids:
        ids.add(item.id)
        item.shed()
        found.append(item)


def _backwards(step: Record) -> Iterator[Record]:
    """The steps before the line of *step*, the last first, as far back as it reaches in time."""
    first = number(step.started_at)
    with opened(step.path) as file:
        end, half = step.offset, b""
        while end > 0:
            start = max(0, end - BLOCK)
            block = file.pread(end - start, start) + half
            cut = block.find(b"\n") + 1 if start else 0
            items = list(_steps(block[cut:], step.path, start + cut)) if cut or not start else []
            yield from reversed(items)
            ends = [at for at in map(ended_at, items) if at is not None]
            if first is not None and ends and max(ends) < first - _CLOCK_S:
                return
            half = block[:cut] if cut or not start else block
            if len(half) > MAX_LINE:
                half = b"\n"  # the end of something that is no step
            end = start


def _steps(block: bytes, path: str, offset: int) -> Iterator[Record]:
    """The steps in *block*, which is made of whole lines and lies at *offset*."""
    for item in glance_block(block, 0, len(block), path, offset):
        found = decode(item.raw, path, item.offset) if isinstance(item, Unproven) else [item]
        for one in found:
            if isinstance(one, Record):
                yield one


def _stretches(path: str, offset: int = 0, tick: Callable[[int], object] | None = None) -> Iterator[tuple[int, bytes]]:
    """(offset, whole lines) of *path*, some at a time."""
    lines = Lines(offset, None)
    with opened(path) as file:
        for block in file.blocks(BLOCK, offset):
            first, begin, end = lines.first(block)
            if first is not None and first[2] is not None:
                yield first[0], first[2]
            if begin < end:
                yield lines.offset, block[begin:end]
            lines.give(end - begin)
            if tick is not None:
                tick(len(block))
        if lines.tail:
            yield lines.offset, lines.tail + b"\n"
