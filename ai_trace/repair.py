"""A clean copy of a session beside the original, which is never touched.

Each journal gets one of its own: `bot_20260301_120000.jsonl` -> `bot_20260301_120000-repaired.jsonl`. In it

- whole steps stand byte for byte, one a line: glued ones parted, CRLF, BOM and blank lines gone;
- a step whose line is whole but not in order (its `len` is not its length, it is not strict JSON) is written
  anew from what our reader makes of it;
- what is no step is left out;
- a step still open in the black box is closed as `cancelled`, with the reason as its error. When it ended
  nobody knows, so its duration is null.

Seals stay on the lines as they are. A copy cannot prove what the original does not: `verify` names the places
where sealed lines are missing, and lines written here carry no seal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from . import whole
from .folder import Entry, split_name
from .lines import Lines, last_line
from .live import Box
from .merge import box_and_state, together
from .parse import parse
from .record import Damage, Record
from .verify import lines, not_strict, wrong_length

__all__ = ["Copy", "Repair", "SUFFIX", "survey"]

SUFFIX: Final = "-repaired"
_ORDER: Final = ("name", "outcome", "started_at", "duration_ms", "id", "parent", "error", "len", "context", "logs")


class Copy:
    """The clean copy of one journal, and what making it changes.

    Attributes:
        source, target: paths; *source* need not exist where only a black box was left.
        kept: whole steps that stay byte for byte.
        parted: how many of them shared a line with another.
        mended: whole steps whose line is written anew.
        closed: names of the steps that were still open.
        damage: what is left out.
        sealed: whether a line of it carries a seal.
    """

    def __init__(self, source: str, target: str, box: Box | None, reason: str) -> None:
        self.source = source
        self.target = target
        self._box = box
        self._reason = reason
        self._begin()

    def _begin(self) -> None:
        self.kept = self.parted = self.mended = self.tidied = 0
        self.closed: list[str] = []
        self.damage: list[Damage] = []
        self.sealed = self._told = False

    @property
    def changes(self) -> bool:
        """Whether the copy differs from its source."""
        return bool(self.parted or self.mended or self.tidied or self.closed or self.damage)

    def lines(self) -> Iterator[bytes]:
        """The lines of the copy. Read to the end, they leave the counts of this reading."""
        self._begin()
        still_open = {step.id: step for step in (self._box.steps if self._box else ())}
        for raw, offset, items in self._lines():
            steps = [item for item in items if isinstance(item, Record)]
            self.damage += [item for item in items if isinstance(item, Damage)]
            self.parted += len(steps) if len(steps) > 1 else 0
            for step in steps:
                still_open.pop(step.id, None)
                start = step.offset - offset
                yield self._line(step, raw[start : start + step.length])
            self.tidied += not items or (len(items) == len(steps) == 1 and raw[-1:] == b"\n" and ...)
        for step in still_open.values():
            self.closed.append(step.name)
            yield self._close(step)
