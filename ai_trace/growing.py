"""A journal that grows while it is read, and whatever else happens to it: cut, replaced, removed, made
anew."""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

from . import disk, lines, packed
from .line import decode, glance
from .record import Damage, Record
from .sniff import refusal

__all__ = ["Event", "Growing"]

# bytes of one journal in one look, so that history streams in bounded memory
_AT_ONCE: Final = 16 * lines.BLOCK


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: "started" and "log" for a step still open, "finished", "damage", "notice", or "state".
        record: the step, for the first three.
        entry: the log entry.
        text: the notice; the state: "running", "ended", "died" or "unknown".
        damage: the damage.
    """

    kind: str
    record: Record | None = None
    entry: dict[str, Any] | None = None
    text: str = ""
    damage: Damage | None = None


class Growing:
    """One growing file of lines, whatever happens to it."""

    def __init__(self, path: str, last: int | None) -> None:
        self.path = path
        self.more = False
        self.skipped = 0  # how many bytes of history were passed over at the start
        self._last = last
        self._open_file: packed.Plain | None = None
        self._file: object = None  # device and inode of what is open
        self._position = 0
        self._edge = b""  # the last bytes read: a file written anew to the same length has others there
        self._lines = lines.Lines()
        self._said_gone = False
        self.refused = ""  # why it cannot be opened, though it is there

    def exists(self) -> bool:
        return self._open_file is not None or os.path.lexists(self.path)

    def poll(self) -> list[Event]:
        """Steps, damages and notices in what was added; at most `_AT_ONCE` bytes of it."""
        events: list[Event] = []
        before = self.refused
        if self._open_file is None and not self._open():
            if self.refused != before:  # once, not at each look
                events.append(Event("notice", text=f"{self.path}: {self.refused}"))
            self._last = None  # what appears from now on is no history
            return events
        size = self._size()
        if size < self._position or (size > self._position and not self._same_edge()):
            events += self._start_again("was cut short; reading it from its start")
        if size > self._position:
            self._read(events)
        if not self.more:
            self._check_path(events)
        return events

    def finish(self) -> list[Event]:
        """The half line at the end, for what it is; it is told once."""
        found = [_event(item) for item in lines.last_line(self.path, self._lines)]
        self._lines = lines.Lines(self._position, None)
        return found

    def close(self) -> None:
        if self._open_file is not None:
            self._open_file.close()
        self._open_file = None

    def _open(self) -> bool:
        try:
            file = self._open_file = packed.opened(self.path)
            stat = disk.active.fstat(file.fd)
            self._file = (stat.st_dev, stat.st_ino)
            if self._last is not None:
                start = (
                    lines.last_lines(self.path, self._last)
                    if self._last
                    else _line_end(file)
                )
                self._position, self._lines = start, lines.Lines(start, None if start else 0)
                self.skipped = start
                self._last = None
            self.refused = ""
        except FileNotFoundError:
            self.close()
        except OSError as error:
            self.close()
            self.refused = refusal(error)
        return self._open_file is not None

    def _size(self) -> int:
        try:
            return self._open_file.size() if self._open_file else self._position
        except OSError:
            return self._position

    def _same_edge(self) -> bool:
        size = len(self._edge)
        return not size or self._pread(size, self._position - size) == self._edge

    def _pread(self, size: int, offset: int) -> bytes:
        return self._open_file.pread(size, offset) if self._open_file else b""

    def _read(self, events: list[Event]) -> None:
        budget = _AT_ONCE
        self.more = False
        while budget > 0:
            try:
                block = self._pread(lines.BLOCK, self._position)
            except OSError as error:
                events.append(Event("notice", text=f"{self.path}: {error.strerror or error}"))
                return
            if not block:
                break
            self._position += len(block)
            self._edge = block[-64:]
            budget -= len(block)
            for offset, length, raw in self._lines.feed(block):
                events += map(_event, self._decode(offset, length, raw))
        self.more = budget <= 0
        self._lines.problem = self._open_file.problem if self._open_file else ""

    def _decode(self, offset: int, length: int, raw: bytes | None) -> list[Record | Damage]:
        if raw is None:
            return [Damage(self.path, offset, length, lines.TOO_LONG, self._lines.count)]
        record = glance(raw, self.path, offset)
        return [record] if record is not None else decode(raw, self.path, offset, self._lines.count)

    def _start_again(self, what: str) -> list[Event]:
        said = [*self.finish(), Event("notice", text=f"{os.path.basename(self.path)} {what}")]
        self._position, self._edge, self._lines = 0, b"", lines.Lines()
        return said

    def _check_path(self, events: list[Event]) -> None:
        """Go over to the file that now has our name; the old one was read to its end just now."""
        try:
            stat = disk.active.stat(self.path)
        except OSError:
            if not self._said_gone:
                self._said_gone = True
                events.append(Event("notice", text=f"{os.path.basename(self.path)} was removed"))
            return
        if (stat.st_dev, stat.st_ino) == self._file:
            self._said_gone = False
            return
        self._read(events)  # what was added between our reading and the replacement
        if self.more:
            return
        self.close()
        events += self._start_again("was made anew; reading it from its start" if self._said_gone
                                    else "was replaced; reading it from its start")  # fmt: skip
        self._said_gone = False
        self.more = self._open()


def _event(item: Record | Damage) -> Event:
    return Event("finished", item) if isinstance(item, Record) else Event("damage", damage=item)


def _line_end(file: packed.Plain) -> int:
    """Where the half line at the end of the file begins."""
    position = file.size()
    while position > 0:
        start = max(0, position - lines.BLOCK)
        newline = file.pread(position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
