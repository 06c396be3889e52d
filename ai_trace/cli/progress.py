"""How far a long reading has come: one line on standard error that goes away again.

Only on a terminal, and only after half a second: what is quick says nothing.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Final

from ..render import words

__all__ = ["Progress"]

_PATIENCE_S: Final = 0.5
_BETWEEN_S: Final = 0.1


class Progress:
    """`with Progress(size) as progress:` and `progress.tick(n)` for each *n* bytes read of *size*."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._read = 0
        self._stream = sys.stderr if _is_terminal() else None
        self._next = time.monotonic() + _PATIENCE_S
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._say("\r\x1b[K")

    def tick(self, size: int) -> None:
        """So many bytes more were read."""
        self._read += size
        if self._stream is None:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _BETWEEN_S
            self._shown = True
            part = min(self._read / self._size, 1.0) if self._size else 1.0
            self._say(f"\r\x1b[Kreading {words.size(self._size)}: {part:.0%}")

    def _say(self, text: str) -> None:
        try:
            assert self._stream is not None
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
            self._shown = False


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False
