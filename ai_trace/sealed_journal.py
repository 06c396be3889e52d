"""A journal whose lines are sealed. The chain moves on only over lines that are in the file.

A write that failed may still have left a whole line (all but its newline, or a signal struck just behind it).
So a line in doubt is settled before the next is sealed, by the size of the file: nobody else writes to it.
"""

from __future__ import annotations

from .journal import Journal
from .seal import ROOM, Seal

__all__ = ["SealedJournal"]


class SealedJournal(Journal):
    """As `Journal`; lines come with `room` bytes already counted in their `len`."""

    room = ROOM

    def __init__(self, path: str, durable: bool, seal: Seal, trace_id: str, segment: int) -> None:
        super().__init__(path, durable)
        self._seal = seal
        self._end = seal.first(trace_id, segment), 0  # seal and number of the last line
        # Of the line being written: seal, number, and the least size of the file if it is there.
        self._doubt: tuple[bytes, int, int] | None = None

    def append(self, line: bytes) -> None:
        """Seal *line* and add it; raises as `Journal.append` does."""
        if self._in_doubt:
            self._find_end()
        if self._doubt is not None:
            self._settle(*self._doubt)
        last, number = self._end
        sealed, seal = self._seal.sign(line, last, number + 1)
        # Its newline does not matter; one that goes before it does.
        self._doubt = seal, number + 1, self.size + self._torn + len(sealed) - 1
        super().append(sealed)
        self._end, self._doubt = (seal, number + 1), None

    def _settle(self, seal: bytes, number: int, size: int) -> None:
        if self.size >= size:
            self._end = seal, number
        self._doubt = None
