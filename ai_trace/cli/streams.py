"""A session's steps as a stream, in memory bounded by what is open: for counts over chosen steps.

The black box is read first and the journals after it, so a step that ends in between is met at least once;
one that stands in both is finished. Lines are believed by their fixed part and their length where those fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .. import folder, reader
from ..census import Census
from ..record import Damage, Record
from .survey import Survey

__all__ = ["Stream", "sifted"]


class Stream:
    """The steps and damages of one session, open steps last; to be iterated over once.

    Attributes:
        name, agent, state: of the session.
        dropped, redacted: how many records were lost and values masked, as far as the stream has come.
    """

    def __init__(self, source: folder.Entry | str, tick: Callable[[int], object] | None = None) -> None:
        """*source* is an entry of a trace folder, or the path of a file; *tick* is told how many bytes were read."""
        entry = folder.entry(source) if isinstance(source, str) else source
        self.name = entry.name
        self.agent = entry.agent
        self.state = entry.state
        self.dropped = 0
        self.redacted = 0
        self._paths = entry.paths
        self._tick = tick

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
        lines = reader.scan(path, check=False, tick=self._tick)
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


def sifted(
    source: folder.Entry | str, keep: Callable[[Record], bool], tick: Callable[[int], object] | None = None
) -> Survey:
    """What those steps of a session add up to that *keep* lets through; damage and drops are all counted."""
    session, counted, unfinished = Stream(source, tick), Census(), []
    for item in session:
        if isinstance(item, Damage):
            counted.add(item)
        elif keep(item):
            if item.open:
                unfinished.append(item)
            else:
                counted.add(item)
    counted.dropped, counted.redacted = session.dropped, session.redacted
    return Survey(session.name, session.agent, session.state, {}, unfinished, counted)
