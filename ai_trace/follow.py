"""A session as it happens: steps and logs when they begin, steps when they end, each exactly once.

Starts and logs come from the black box, ends from the journal. In each look the box is read first and the
journal behind it to its end, so a step that has ended is never told as begun afterwards.

Guarantees: a half line waits for its other half; a file that is cut, replaced, removed or made anew is
followed on, and a notice says so; files and segments that appear later are picked up; nothing sleeps or
blocks but `follow` itself. While nothing happens a look costs three `stat` calls.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from . import clock, disk, folder, merge, packed
from .exceptions import NotATrace
from .growing import Event, Growing
from .live import Box
from .reader import scan
from .record import Record

__all__ = ["Event", "Follower", "follow"]

# file times move in steps of up to 10 ms: a younger one may hide a second change
_SETTLED_NS: Final = 50_000_000
_LOOK_AGAIN_NS: Final = 250_000_000  # between two questions whether the writing process still lives
_SHORTEST: Final = 0.05  # seconds between two looks while things happen
_LONGEST: Final = 0.5  # seconds, when nothing has happened for a while


def follow(
    path: str | os.PathLike[str],
    *,
    from_start: bool = True,
    last: int | None = None,
    forever: bool = False,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Event]:
    """The events of the session that *path* is a file of, until it is over. Files may appear later.

    Args:
        from_start: begin with what has been recorded so far; otherwise only what is open is told of the past.
        last: begin with that many of the steps that ended last.
        forever: go on after the session has ended or died.
        wait: called with the seconds to sleep between two looks.
    """
    follower = Follower(path, from_start=from_start, last=last)
    pause = _SHORTEST
    try:
        while True:
            before = clock.active.steady_ns()
            events = follower.poll()
            if follower.over and not forever:
                yield from (*events[:-1], *follower.finish(), *events[-1:])  # the state is the last word
                return
            yield from events
            if not follower.more:
                pause = _SHORTEST if events else min(_LONGEST, pause * 1.5)
                took = (clock.active.steady_ns() - before) / 1e9
                wait(max(pause, 10 * took) if not events else pause)
    finally:
        follower.close()


class Follower:
    """Looks at one session's files each time `poll` is called; several can be driven by one loop.

    Attributes:
        state: "running", "ended", "died", "unknown", or None while there is no file yet.
        more: True where the last look left something unread, so that the next need not wait.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, from_start: bool = True, last: int | None = None
    ) -> None:
        if os.path.isdir(path):
            raise NotATrace(os.fspath(path), "it is a folder; name one of the files in it")
        self._main, self._kind = _stem_of(os.fspath(path))
        self._last = 0 if last is None and not from_start else last
        self._segments: dict[str, _Segment] = {}
        self._folder_seen: object = None
        self._listings = 0  # looks since the folder was last listed
        self.state: str | None = None
        self.more = False

    def poll(self) -> list[Event]:
        """What has happened since the last call, without waiting for anything."""
        self._discover()
        parts = [segment.poll() for segment in self._segments.values()]
        self.more = any(segment.more for segment in self._segments.values())
        events = parts[0] if len(parts) == 1 else list(heapq.merge(*parts, key=_moment))
        if self._last is not None:
            events, self._last = _newest(events, self._last), None
        states = [segment.state for segment in self._segments.values() if segment.state]
        if states and not self.more and merge.together(states) != self.state:
            self.state = merge.together(states)
            events.append(Event("state", text=self.state))
        return events

    @property
    def over(self) -> bool:
        """Whether the session has ended or died, and all of it was told."""
        return self.state in ("ended", "died") and not self.more

    @property
    def open(self) -> list[Record]:
        """The steps that began and have not ended, as last seen."""
        return [record for segment in self._segments.values() for record in segment.open.values()]

    @property
    def refused(self) -> bool:
        """Whether a file that is there could not be read."""
        return any(segment.journal.refused for segment in self._segments.values())

    def finish(self) -> list[Event]:
        """What a half line at the end of a file is, once nobody will write its other half."""
        return [event for segment in self._segments.values() for event in segment.journal.finish()]

    def close(self) -> None:
        """Let go of the files."""
        for segment in self._segments.values():
            segment.journal.close()

    def _discover(self) -> None:
        """Find segments that appeared; the folder is listed when it changed, and now and then in any case."""
        if not self._segments:
            self._add(self._main)
        if self._kind == "other":
            return
        seen = _signature(os.path.dirname(self._main) or ".")
        self._listings += 1
        if seen == self._folder_seen and self._listings % 20 > 1:
            return
        if seen != self._folder_seen:
            self._folder_seen = seen
            self._listings = 0  # the next look lists again: one time stamp can hide two changes
        for name in (f"{self._main}.{kind}" for kind in ("jsonl", "jsonl.gz", "live")):
            if os.path.lexists(name):
                for path in folder.segments(name):
                    self._add(packed.stem(path))
                return

    def _add(self, stem: str) -> None:
        if stem not in self._segments:
            name = stem if self._kind == "other" else _journal(stem)
            self._segments[stem] = _Segment(
                name, None if self._kind == "other" else f"{stem}.live", self._last
            )


def _journal(stem: str) -> str:
    """The journal of a segment: packed where it lies there so, and only so."""
    plain = f"{stem}.jsonl"
    return f"{plain}.gz" if not os.path.lexists(plain) and os.path.exists(f"{plain}.gz") else plain


class _Segment:
    """One journal and the black box beside it."""

    def __init__(self, journal: str, box: str | None, last: int | None) -> None:
        self.journal = Growing(journal, last)
        self.state: str | None = None
        self.open: dict[str, Record] = {}
        self._box = box
        self._box_seen: object = None
        self._asked_ns = 0
        self._told: dict[str, Counter[str]] = {}  # id of a step told as begun -> its logs told
        self._ended: dict[str, int] = {}  # id -> offset of steps whose records may still stand in the box

    @property
    def more(self) -> bool:
        return self.journal.more

    def poll(self) -> list[Event]:
        box = self._look_at_box()
        ended = [event for item in self.journal.poll() for event in self._end(item)]
        if box is None:
            return ended
        self._skip_history(box.at)
        self._ended = {
            id: offset for id, offset in self._ended.items()
            if offset >= box.at or any(step.id == id for step in box.steps)
        }  # fmt: skip
        if self.more:
            self._box_seen = None  # a step in the box may have ended in the part not yet read
            return ended
        begun = [event for step in box.steps if step.id not in self._ended for event in self._begin(step)]
        return list(heapq.merge(begun, ended, key=_moment)) if begun and ended else begun or ended

    def _skip_history(self, at: int) -> None:
        """Learn who ended in the history that was skipped: behind *at*, the records may still stand in the
        box."""
        if self.journal.skipped > at:
            history = scan(self.journal.path, at, until=self.journal.skipped, check=False)
            try:
                self._ended.update((item.id, item.offset) for item in history if isinstance(item, Record))
            except OSError:
                pass
        self.journal.skipped = 0

    def _look_at_box(self) -> Box | None:
        """The black box where it may have changed, else None; and what became of the writer, into `state`."""
        seen = _signature(self._box) if self._box else None
        if seen is None:
            gone = self._box_seen is not None
            self._box_seen = None
            self.state = "ended" if gone or self.state or self.journal.exists() else None
            return None
        now = clock.active.steady_ns()
        if seen == self._box_seen and now - self._asked_ns < _LOOK_AGAIN_NS:
            return None
        self._asked_ns = now
        assert self._box is not None
        box, self.state = merge.box_and_state(self._box)
        settled = abs(clock.active.wall_ns() - seen[3]) > _SETTLED_NS
        whole = box is not None and box.header is not None
        self._box_seen = seen if settled and whole else (seen, "look again")
        return box

    def _begin(self, step: Record) -> Iterator[Event]:
        """The step in the box as far as it was not told yet."""
        self.open[step.id] = step
        if step.id not in self._told:
            self._told[step.id] = Counter()
            yield Event("started", step)
        yield from self._new_logs(step)

    def _new_logs(self, step: Record) -> Iterator[Event]:
        told, here = self._told[step.id], Counter[str]()
        for entry in step.logs:
            key = repr(entry)
            here[key] += 1
            if here[key] > told[key]:
                told[key] += 1
                yield Event("log", step, entry)

    def _end(self, event: Event) -> Iterator[Event]:
        """An event of the journal; before a step's end, those of its logs that were not told."""
        if event.kind == "finished" and event.record is not None:
            step = event.record
            self._ended[step.id] = step.offset
            if step.id in self._told:
                yield from self._new_logs(step)
                del self._told[step.id], self.open[step.id]
        yield event


def _moment(event: Event) -> float:
    """When *event* happened, by the wall clock; what has no time goes with whatever comes."""
    if event.kind == "log" and event.entry is not None:
        time_of = event.entry.get("_t")
        return time_of if type(time_of) is float else 0.0
    if event.record is None or event.record.started_at is None:
        return 0.0
    ended = event.kind == "finished"
    return event.record.started_at + ((event.record.duration_ms or 0.0) / 1000 if ended else 0.0)


def _newest(events: list[Event], count: int) -> list[Event]:
    """*events* without all but the last *count* ends: each segment brought that many."""
    ends = [event for event in events if event.kind == "finished"]
    gone = set(map(id, ends[: max(0, len(ends) - count)]))
    return [event for event in events if id(event) not in gone]


def _signature(path: str) -> tuple[int, int, int, int] | None:
    try:
        stat = disk.active.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _stem_of(path: str) -> tuple[str, str]:
    """The path that all files of the session begin with, and "session"; or *path* itself and "other"."""
    named = folder.split_name(os.path.basename(path))
    if named is not None:
        return os.path.join(os.path.dirname(path), named[0]), "session"
    return path, "other" if os.path.exists(path) else "session"
