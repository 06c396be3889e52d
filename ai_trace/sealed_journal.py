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
        self._last = seal.first(trace_id, segment)
        self._doubt: tuple[bytes, int] | None = None  # a seal, and the least size of the file if it is there

    def append(self, line: bytes) -> None:
        """Seal *line* and add it; raises as `Journal.append` does."""
        if self._doubt is not None:
            self._settle(*self._doubt)
        sealed, seal = self._seal.sign(line, self._last)
        self._doubt = seal, self.size + self._open_ended + len(sealed) - 1  # the last newline does not matter
        super().append(sealed)
        self._last, self._doubt = seal, None

    def _settle(self, seal: bytes, size: int) -> None:
        self.size = self._disk.fstat(self._fd).st_size
        if self.size >= size:
            self._last = seal
        self._doubt = None
