"""Forward a live session to a collector: each step when it has ended, until the session is over.

Where it stands is kept in a small file beside the journal (`<agent>_<session_id>.otlp`), replaced as a
whole after each batch that the collector took; a forwarder that is stopped, killed or started anew goes on
from there. So each step is sent once. In the one moment between the collector's answer and the new file a
power cut or a kill leaves a batch that is sent again, with the same ids.

A collector that is away is tried again for as long as the session lives on: the journal is the buffer, and
nothing is lost while it stands. What the collector refuses for good is counted and passed over. The steps
that a process left open when it died are sent at the end, marked as unfinished.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from .. import clock, disk, folder, whole
from ..follow import Event, Follower
from ..packed import stem
from ..record import Record
from .losses import Losses
from .otlp import batches, origin, request, span
from .post import Collector, Refused, Unreachable

__all__ = ["Forwarder", "state_path"]

_SHORTEST_S: Final = 0.05  # between two looks while things happen
_LONGEST_S: Final = 0.5  # when nothing has happened for a while
_YOUNG_S: Final = 1.0  # a journal appears a moment before the black box that tells who writes it
_AWAY_S: Final = 30.0  # between two rounds of tries at a collector that is away
_FOR_GOOD: Final = (400, 413)  # about these spans alone; any other refusal is about all that will come


class Forwarder:
    """The session that *path* is a file of, on its way to *collector*.

    Attributes:
        sent: spans that the collector took.
        refused: spans that it refused for good.
        losses: what the format could not carry.
    """

    def __init__(
        self,
        path: str,
        collector: Collector,
        *,
        with_openinference: bool = False,
        wait: Callable[[float], object] = time.sleep,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.sent = 0
        self.refused = 0
        self.losses = Losses()
        self._collector = collector
        self._wait = wait
        self._say = say
        self._with_openinference = with_openinference
        self._entry = folder.entry(path)
        self._info: dict[str, Any] = {
            "agent": self._entry.agent,
            "session_id": self._entry.id,
            **self._entry.head,
        }
        self._follower = Follower(self._entry.path)
        self._ran = False  # whether its process was ever seen
        self._state = _State(state_path(self._entry.path), collector.url)

    def run(self) -> None:
        """Forward until the session has ended or died.

        Raises:
            Refused: the collector will take nothing of us (a wrong address, a wrong key).
        """
        pause = _SHORTEST_S
        self._begin()
        try:
            while True:
                events = self._follower.poll()
                self._forward(events)
                if self._follower.over and self._surely():
                    self._forward(self._follower.finish())
                    self._leave_open()
                    return
                if not self._follower.more:
                    pause = _SHORTEST_S if events else min(_LONGEST_S, pause * 1.5)
                    self._wait(pause)
        finally:
            self._follower.close()

    def _begin(self) -> None:
        """Where we stand, before anything is sent: a folder that cannot be written to is known at once."""
        for name in self._state.beyond(os.path.dirname(self._entry.path)):
            self._state.forget(name)
            self._say(f"{name} is shorter than what was sent of it; sending it from its start")
        self._state.save()

    def _surely(self) -> bool:
        """Whether a session that seems to have ended really has: its black box may be about to appear."""
        if self._follower.state == "died" or self._ran or _age_s(self._entry.path) > _YOUNG_S:
            return True
        self._wait(_YOUNG_S)
        self._forward(self._follower.poll())
        return self._follower.over

    def _forward(self, events: Iterable[Event]) -> None:
        """Send what ended and was not sent."""
        ended: list[Record] = []
        for event in events:
            if event.kind == "notice" and "from its start" in event.text:
                self._state.forget(event.text)
                self._say(event.text)
            self._ran = self._ran or event.text == "running"
            record = event.record
            if event.kind == "finished" and record is not None:
                self._info.update(record.session)
                if not self._state.has(record):
                    ended.append(record)
        self._send(ended)

    def _leave_open(self) -> None:
        if not self._state.closed:
            self._send(self._follower.open)
            self._state.close()

    def _send(self, records: list[Record]) -> None:
        known = origin(self._info)
        spans = (
            span(
                known, record, self.losses, with_openinference=self._with_openinference, parent=record.parent
            )
            for record in records
        )
        done = 0
        for batch in batches(spans):
            self._hand_over(request(known, batch), len(batch))
            self._state.sent(records[done : done + len(batch)])
            done += len(batch)

    def _hand_over(self, asked: dict[str, Any], count: int) -> None:
        while True:
            try:
                self._collector.send(asked)
            except Unreachable as error:
                self._say(f"{error}; trying again")
                self._wait(_AWAY_S)
            except Refused as error:
                if error.status not in _FOR_GOOD:
                    raise
                self.refused += count
                self._say(str(error))
                return
            else:
                self.sent += count
                return


class _State:
    """How far each journal of a session was sent to one collector, in a file beside the journal."""

    def __init__(self, path: str, url: str) -> None:
        self._path = path
        self._url = url.partition("?")[0]
        self._all = _read(path)
        mine = self._all.get(self._url)
        self._mine: dict[str, Any] = mine if isinstance(mine, dict) else {}
        self._all[self._url] = self._mine

    @property
    def closed(self) -> bool:
        """Whether the steps left open were sent, too."""
        return self._mine.get("closed") is True

    def has(self, record: Record) -> bool:
        """Whether *record* was sent before."""
        offset = self._mine.get(os.path.basename(record.path))
        return isinstance(offset, int) and record.offset < offset

    def sent(self, records: Iterable[Record]) -> None:
        """*records* were taken; those still open have no place in a journal."""
        for record in records:
            if not record.open:
                self._mine[os.path.basename(record.path)] = record.offset + record.length
        self.save()

    def close(self) -> None:
        self._mine["closed"] = True
        self.save()

    def beyond(self, place: str) -> list[str]:
        """The journals in folder *place* that are shorter now than what was sent of them."""
        sizes = {name: _size(os.path.join(place, name)) for name in self._mine}
        return [name for name, offset in self._mine.items() if type(offset) is int and sizes[name] < offset]

    def forget(self, text: str) -> None:
        """The journal that *text* begins with was cut or made anew: it is new from its first byte on."""
        for name in [name for name in self._mine if text.startswith(name)]:
            del self._mine[name]

    def save(self) -> None:
        """Replace the file as a whole."""
        whole.write(self._path, [json.dumps(self._all, indent=1) + "\n"])


def _size(path: str) -> int:
    try:
        return int(disk.active.stat(path).st_size)
    except OSError:
        return 0


def _age_s(path: str) -> float:
    """Seconds since *path* was changed."""
    try:
        return float(abs(clock.active.wall_ns() / 1e9 - disk.active.stat(path).st_mtime))
    except OSError:
        return 0.0


def state_path(path: str) -> str:
    """The file beside the journal *path* that tells how far it was sent."""
    return stem(path) + ".otlp"


def _read(path: str) -> dict[str, Any]:
    """What the file at *path* says; {} where it is not there or says nothing."""
    try:
        fd = disk.active.open_regular(path)
        try:
            known = json.loads(disk.active.pread(fd, 1 << 20, 0))
        finally:
            disk.active.close(fd)
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
