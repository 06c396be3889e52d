"""One followed session: what happens in it, chosen and written as lines for people or for programs.

A step is written when it begins, with what it saw, at the depth of the steps open around it; its logs follow
as they are said; its end repeats nothing. A failure that comes up from a step inside is told in full only
there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from .. import folder, reader, safe
from ..exceptions import NotATrace
from ..follow import Event, Follower
from ..record import Record
from ..render import details, terminal
from ..render.ink import Style, paint
from ..session import step_dict
from ..tree import ended_at
from . import times
from .sieve import Sieve

if TYPE_CHECKING:
    from argparse import Namespace

    from .output import Output

__all__ = ["Followed"]

_YOUNG_S: Final = 1.0  # a journal appears a moment before the black box that tells who writes it
_NEWS_S: Final = 2.0  # how long a step has run is no news before
_PREFIX_COLUMNS: Final = 32
_UNKNOWN: Final = "it is another machine's, or container's, or its black box cannot tell"


class Followed:
    """The session that *path* is a file of.

    *last* is how many finished steps of the past to begin with; None for all of them.
    """

    def __init__(
        self, path: str, name: str, color: str, last: int | None, args: Namespace, out: Output
    ) -> None:
        self.name = name
        self.over = False
        self._sieve = Sieve(args)
        self._args = args
        self._out = out
        self.prefix = safe.shorten(safe.one_line(name), _PREFIX_COLUMNS, out.ellipsis)
        self.ran = False  # whether its process was ever seen
        self._color = color
        self._width = out.width  # columns beside the prefix
        self._depth: dict[str, int] = {}  # of the steps shown as begun, whose end needs no repetition
        self._failed: dict[str, str | None] = {}  # id of a step -> the error that came up to it from inside
        self._spoke_last: str | None = None  # the step whose line stands last
        self._last = last
        self._path = path
        self.follower = _follower(path, last if self._sieve.idle else None)

    def gather(self) -> list[Event]:
        """What has happened since the last call, as far as it was asked for."""
        if self._last is None:
            events = list(filter(self._wanted, self.follower.poll()))
        else:
            events, self._last = self._history(self._last), None
        self.ran = self.ran or self.follower.state in ("running", "died")
        if self.follower.over and (self.ran or _age_s(self._path) > _YOUNG_S):
            self.over = True
            events += self.follower.finish()
            self.follower.close()
        return events

    def _history(self, last: int) -> list[Event]:
        """The *last* finished steps that fit, then what is open."""
        ended: deque[Event] = deque(maxlen=last)
        rest: list[Event] = []
        while True:
            for event in filter(self._wanted, self.follower.poll()):
                if event.kind != "finished" or event.record is None:
                    rest.append(event)
                else:
                    event.record.shed()
                    ended.append(event)
            if not self.follower.more:
                return [*ended, *rest]

    def show(self, events: list[Event], columns: int) -> None:
        """Write *events*, each line behind the session's name where that gets *columns*."""
        before = ""
        if columns:
            gap = " " * (columns - safe.width(self.prefix) + 1)
            before = self._out.paint(self.prefix, self._color) + gap
        self._width = max(self._out.width - columns - 1, 40) if columns else self._out.width
        for event in events:
            if self._args.json:
                self._out.json_line(_plain(event, self.name))
            else:
                for line in self._lines(event):
                    self._out.line(before + line)

    def farewell(self, *, waiting: bool) -> None:
        """Say on standard error how the session ended."""
        how = "has died" if self.follower.state == "died" else "has ended"
        inner = [step for step in self.follower.open if self._innermost(step)]
        where = ", ".join(safe.one_line(step.name, 60) for step in inner[-3:])
        where = f" in {where}" if where and self.follower.state == "died" else ""
        then = "; waiting for the next session (Ctrl-C to stop)" if waiting else ""
        self._out.message(f"{self.name} {how}{where}{then}")

    def _wanted(self, event: Event) -> bool:
        if event.record is None:
            return True
        if event.kind == "finished":
            return self._sieve(event.record)
        return not self._args.errors and self._sieve(event.record)

    def _lines(self, event: Event) -> Iterable[str]:
        look = Style(self._out.color, not self._out.ascii, self._width, self._args.full, self._args.utc)
        step = event.record
        if step is None:
            return self._about_the_file(event, look)
        depth = self._depth.get(step.id, self._depth.get(step.parent or "", -1) + 1)
        indent = "   " * min(depth, self._width // 9)
        if event.kind == "log" and event.entry is not None:
            name = "" if self._spoke_last == step.id else f"{safe.one_line(step.name, 30)}  "
            self._spoke_last = step.id
            return details.log_line(event.entry, look, indent=f"{indent}   {name}")
        if event.kind == "started":
            self._depth[step.id] = depth
            self._spoke_last = step.id
        return self._step(step, look, indent)

    def _step(self, step: Record, look: Style, indent: str) -> Iterator[str]:
        """A step that began, or ended; what was shown at its beginning is not shown again."""
        innermost = self._innermost(step)
        said = details.title(step, look, state=self._state, now=self._now(step), innermost=innermost)
        yield paint([(indent, ""), *said], look)
        below = indent + "   "
        if step.open:
            yield from details.fields(step.context, look, indent=below)
            return
        repeats = self._failed.pop(step.id, None) == step.error
        if self._depth.pop(step.id, None) is not None:
            told = {"error": step.error, "traceback": step.traceback, "parent": step.parent}
            step = Record.from_data(told, id=step.id)
        yield from details.details(step, look, indent=below, repeats=repeats)
        if step.error is not None and step.parent in self._depth:
            self._failed[step.parent] = step.error
        self._spoke_last = None

    def _innermost(self, step: Record) -> bool:
        """Whether *step* was not only waiting for an open one inside it."""
        return not any(other.parent == step.id for other in self.follower.open)

    @property
    def _state(self) -> str:
        return self.follower.state or "unknown"

    def _now(self, step: Record) -> float | None:
        """The time, for a step that has been open for a while; of one that begins, how long is no news."""
        now = times.now()
        return now if step.started_at is not None and now - step.started_at > _NEWS_S else None

    def _about_the_file(self, event: Event, look: Style) -> list[str]:
        if event.damage is not None:
            return list(terminal.damage([event.damage], look))
        if event.kind == "notice":
            self._out.message(event.text)
        elif event.kind == "state" and event.text == "unknown" and _age_s(self._path) > _YOUNG_S:
            self._out.message(f"whether {self.name} still runs is unknown: {_UNKNOWN}")
        return []


class _Still:
    """A snapshot: all of it is there, nothing more will come. Otherwise as a `Follower`."""

    more = False
    over = True
    refused = ""

    def __init__(self, path: str) -> None:
        session = folder.load(path)
        self.state: str | None = "ended" if session.state == "running" else session.state
        self.open = session.unfinished
        ended = sorted((step for step in session.steps if not step.open), key=lambda step: ended_at(step) or 0.0)
        self._events = [
            *(Event("damage", damage=place) for place in session.damage),
            *(Event("finished", step) for step in ended),
            *(Event("started", step) for step in session.unfinished),
            Event("state", text=self.state),
        ]

    def poll(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def finish(self) -> list[Event]:
        return []

    def close(self) -> None:
        pass


def _follower(path: str, last: int | None) -> Follower | _Still:
    try:
        return _Still(path) if reader.snapshot(path) is not None else Follower(path, last=last)
    except (OSError, NotATrace):  # it is told when it is read
        return Follower(path, last=last)


def _plain(event: Event, session: str) -> dict[str, Any]:
    """*event* as plain data, with stable keys."""
    known: dict[str, Any] = {"event": event.kind, "session": session}
    if event.kind == "log" and event.record is not None:
        return {**known, "id": event.record.id, "name": event.record.name, "entry": event.entry}
    if event.record is not None:
        return {**known, "step": step_dict(event.record)}
    if event.damage is not None:
        return {**known, "damage": event.damage._asdict()}
    return {**known, "state" if event.kind == "state" else "text": event.text}


def _age_s(path: str) -> float:
    try:
        return abs(times.now() - os.stat(path).st_mtime)
    except OSError:
        return _YOUNG_S + 1
