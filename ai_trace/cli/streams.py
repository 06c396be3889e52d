"""A session's steps as a stream: what `list` and `stats` need, in memory bounded by what is open.

The black box is read first and the journals after it, so a step that ends in between is met at least once;
one that stands in both is finished. Lines are believed by their fixed part and their length where those fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import folder, reader
from ..record import Damage, Record, number
from ..tree import ended_at

__all__ = ["Stream", "Tally", "tally"]


class Stream:
    """The steps and damages of one session, open steps last; to be iterated over once.

    Attributes:
        name, agent, state: of the session.
        dropped, redacted: how many records were lost and values masked, as far as the stream has come.
    """

    def __init__(self, source: folder.Entry | str) -> None:
        """*source* is an entry of a trace folder, or the path of a file."""
        entry = folder.entry(source) if isinstance(source, str) else source
        self.name = entry.name
        self.agent = entry.agent
        self.state = entry.state
        self.dropped = 0
        self.redacted = 0
        self._paths = entry.paths

    def __iter__(self) -> Iterator[Record | Damage]:
        whole = reader.snapshot(self._paths[0]) if len(self._paths) == 1 else None
        if whole is not None:
            yield from self._noted(whole.steps)
            yield from whole.damage
            return
        still_open: dict[str, Record] = {}
        for path in self._paths:
            box = reader.read_box(path) if path.endswith(".live") else None
            still_open.update((step.id, step) for step in (box.steps if box is not None else ()))
        for path in self._paths:
            if not path.endswith(".live"):
                for item in self._noted(self._journal(path)):
                    still_open.pop(getattr(item, "id", ""), None)
                    yield item
        yield from still_open.values()

    def _journal(self, path: str) -> Iterator[Record | Damage]:
        lines = reader.scan(path, check=False)
        yield from lines
        if self.state != "running":  # else the half line at the end is being written
            yield from lines.last()

    def _noted(self, items: Iterable[Record | Damage]) -> Iterator[Record | Damage]:
        for item in items:
            if isinstance(item, Record):
                self.redacted += item.redacted
                if lost := item.dropped:
                    self.dropped += sum(lost.values())
            yield item


class Tally(NamedTuple):
    """A session in numbers; its first start and last sign of life, None where no step tells a time."""

    steps: int
    unfinished: int
    errors: int
    damage: int
    started_at: float | None
    ended_at: float | None


def tally(session: Stream) -> Tally:
    """Count the steps of *session*."""
    steps = unfinished = errors = damage = 0
    first: float | None = None
    last: float | None = None
    for item in session:
        if isinstance(item, Damage):
            damage += 1
            continue
        unfinished += item.open
        steps += not item.open
        errors += item.outcome == "error"
        said = [number(entry.get("_t")) for entry in item.logs[-1:]] if item.open else []
        for seen in (ended_at(item), *said):
            last = seen if last is None or (seen is not None and seen > last) else last
        start = number(item.started_at)
        first = start if first is None or (start is not None and start < first) else first
    return Tally(steps, unfinished, errors, damage, first, last)
