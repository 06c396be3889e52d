"""A clean copy of a session beside the original, which is never touched.

Each journal gets one of its own: `bot_20260301_120000.jsonl` -> `bot_20260301_120000-repaired.jsonl`. In it

- whole steps stand byte for byte, one a line: glued ones parted, white space and line ends of editors gone;
- a step that can be read, whose line is not in order (its `len` is not its length, it is not strict JSON), is
  written anew with the same data;
- what is no step is left out;
- a step still open in the black box is closed as `cancelled`, with the reason as its error. When it ended
  nobody knows, so its duration is null.

Seals stay on the lines as they are. A copy cannot prove what the original does not: `verify` names the places
where sealed lines are missing or changed, and a line that is written here carries no seal that fits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from . import disk, whole
from .exceptions import UsageError
from .folder import Entry, split_name
from .lines import Lines, last_line
from .live import Box
from .merge import box_and_state, together
from .packed import stem
from .record import Damage, Record
from .seal import seal_in
from .verify import lines, not_strict, wrong_length

__all__ = ["Copy", "Repair", "plan"]

_SUFFIX: Final = "-repaired"
_REASONS: Final = {
    "died": "still open when its process died; closed by ai-trace repair",
    "unknown": "still open in the black box, its process unknown; closed by ai-trace repair",
}


class Copy:
    """The clean copy of one journal, and how it differs from it.

    Attributes:
        source, target: paths; *source* is missing where only a black box was left.
        kept: whole steps that stand there byte for byte.
        parted: how many of them shared a line with another.
        tidied: lines of which only the white space at the ends changes, or which hold nothing else.
        mended: steps whose line is written anew.
        sealed: how many of the kept carry a seal.
        closed: names of the steps that were still open.
        damage: what is left out.
    """

    def __init__(self, source: str, box: Box | None, reason: str) -> None:
        self.source = source
        self.target = _beside(source)
        self._box = box
        self._reason = reason
        self._reset()

    def _reset(self) -> None:
        self.kept = self.parted = self.tidied = self.mended = self.sealed = 0
        self.closed: list[str] = []
        self.damage: list[Damage] = []
        self._told = False  # some line tells the session

    @property
    def steps(self) -> int:
        return self.kept + self.mended + len(self.closed)

    @property
    def changes(self) -> bool:
        """Whether the copy is not the same as its source."""
        return bool(self.parted or self.tidied or self.mended or self.closed or self.damage)

    def lines(self) -> Iterator[bytes]:
        """The lines of the copy; read to the end, they leave the counts in the attributes."""
        self._reset()
        still_open = {step.id: step for step in (self._box.steps if self._box else ())}
        for offset, raw, items in self._source():
            steps = [item for item in items if isinstance(item, Record)]
            self.damage += [item for item in items if isinstance(item, Damage)]
            self.parted += len(steps) if len(steps) > 1 else 0
            self.tidied += not items
            for step in steps:
                still_open.pop(step.id, None)
                start = step.offset - offset
                yield self._kept(step, raw[start : start + step.length], alone=len(items) == 1)
        for step in still_open.values():
            self.closed.append(step.name)
            yield self._closed(step)

    def _source(self) -> Iterator[tuple[int, bytes, list[Record | Damage]]]:
        if not os.path.exists(self.source):
            return
        held = Lines()
        yield from lines(self.source, held)
        if held.size or held.problem:
            yield held.offset, held.tail, last_line(self.source, held)

    def _kept(self, step: Record, raw: bytes, alone: bool) -> bytes:
        self._told = self._told or bool(step.session)
        line = raw.rstrip(b" \t\r\n") + b"\n"
        if wrong_length(step, line) or not_strict(line):
            self.mended += 1
            return _line(step.data)
        self.kept += 1
        self.sealed += seal_in(line) is not None
        self.tidied += alone and line != raw
        return line

    def _closed(self, step: Record) -> bytes:
        """The line of a step that was still open."""
        data = {
            "name": step.name, "outcome": "cancelled", "started_at": step.started_at, "duration_ms": None,
            "id": step.id, "parent": step.parent, "error": self._reason, "len": 0,
            "context": step.context, "logs": step.logs, "finished_at": None,
        }  # fmt: skip
        data.update((key, step.data[key]) for key in ("thread", "task") if key in step.data)
        header = self._box.header.get("session") if self._box and self._box.header else None
        if not self._told and type(header) is dict:
            data["session"] = header
            self._told = True
        return _line(data)


class Repair(NamedTuple):
    """What repairing a session would do, or did."""

    name: str
    state: str
    copies: list[Copy]

    def write(self) -> list[str]:
        """Write the copies, each whole or not at all; their paths. Where one fails, none is left."""
        made: list[str] = []
        try:
            for copy in self.copies:
                if copy.steps:
                    made.append(whole.write(copy.target, copy.lines()))
        except BaseException:
            for path in made:
                disk.active.unlink(path)
            raise
        return made


def plan(entry: Entry) -> Repair:
    """Read *entry* and count what repairing it would do; nothing is written.

    Raises:
        UsageError: it is a snapshot, or still running.
        OSError: a file cannot be read.
    """
    if entry.path.endswith(".json"):
        raise UsageError(f"{entry.path} is a snapshot, which is whole or absent; repair takes journals")
    found = {path: box_and_state(path) for path in entry.paths if path.endswith(".live")}
    state = together([state for _, state in found.values()])
    if state == "running":
        raise UsageError(f"{entry.path}: its session is still running; repair it when it has ended")
    boxes = {stem(path): box for path, (box, _) in found.items()}
    sources = {stem(path): f"{stem(path)}.jsonl" for path in found}  # also where only the box was left
    sources.update((stem(path), path) for path in entry.paths if path not in found)
    copies = [Copy(path, boxes.get(name), _REASONS.get(state, "")) for name, path in sources.items()]
    for copy in copies:
        for _ in copy.lines():
            pass
    return Repair(entry.name, state, copies)


def _beside(source: str) -> str:
    """`a/bot_20260301_120000.1.jsonl` -> `a/bot_20260301_120000-repaired.1.jsonl`."""
    folder, name = os.path.split(source)
    start, segment, _ = split_name(name) or (stem(name), 0, "")
    return os.path.join(folder, f"{start}{_SUFFIX}{f'.{segment}' if segment else ''}.jsonl")


def _line(data: dict[str, Any]) -> bytes:
    """*data* as a line; where it has a `len`, that is true."""
    line = b""
    for _ in range(4):  # the digits of the length are part of the length
        if "len" in data:
            data = {**data, "len": len(line)}
        line = json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        if data.get("len", len(line)) == len(line):
            break
    return line
