"""Where each step stands on a picture of the run: lanes for threads, tasks and segments, rows inside them. Pure.

A lane is one line of work. In it a step stands below the one it lies in, and below whatever runs beside it, so
bars never cover each other (unless a lane has more than `MAX_ROWS` rows: the rest shares the last one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..record import Record, number
from ..session import Session
from ..totals import duration_of

__all__ = ["Bar", "Lane", "timeline"]

MAX_ROWS: Final = 12  # of one lane
MAX_LANES: Final = 12  # further threads and tasks share one
_ENDING: Final = re.compile(r"\.(?:jsonl|live)(?:\.gz)?$")


class Bar(NamedTuple):
    """One step: milliseconds from the start of the session, its length, its row among all rows."""

    at_ms: float
    ms: float
    row: int


class Lane(NamedTuple):
    """One line of work: its name, and how many rows it takes."""

    name: str
    rows: int


def timeline(session: Session, steps: Iterable[Record], now: float | None = None) -> tuple[list[Lane], list[Bar]]:
    """The lanes from top to bottom, and a bar for each of *steps*; one still open ends *now*, or when last heard of."""
    chosen = list(steps)
    end = now if now is not None and session.state == "running" else session.ended_at
    names = _lane_names(session, chosen)
    packed: dict[str, _Packing] = {name: _Packing() for name in dict.fromkeys(names.values())}
    placed: dict[Record, tuple[str, float, float, int]] = {}
    start = session.started_at or 0.0
    for record in sorted(chosen, key=lambda one: (number(one.started_at) or 0.0, session.node(one).depth)):
        at_ms, ms = _span(record, start, end)
        above = session.node(record).parent
        outer = placed.get(above.record) if above is not None else None
        lowest = outer[3] + 1 if outer is not None and outer[0] == names[record] else 0
        placed[record] = (names[record], at_ms, ms, packed[names[record]].place(at_ms, ms, lowest))
    first: dict[str, int] = {}
    for name in packed:
        first[name] = sum(packed[other].rows for other in first)
    lanes = [Lane(name, packing.rows) for name, packing in packed.items()]
    return lanes, [
        Bar(at_ms, ms, first[lane] + row) for lane, at_ms, ms, row in (placed[record] for record in chosen)
    ]


class _Packing:
    """The rows of one lane: when each is free again, and the steps inside one another."""

    def __init__(self) -> None:
        self._free: list[float] = []

    @property
    def rows(self) -> int:
        return len(self._free)

    def place(self, at_ms: float, ms: float, lowest: int) -> int:
        """The first row from *lowest* down that is free at *at_ms*."""
        row = min(lowest, MAX_ROWS - 1)
        while row < min(len(self._free), MAX_ROWS - 1) and self._free[row] > at_ms + 1e-6:
            row += 1
        while len(self._free) <= row:
            self._free.append(0.0)
        self._free[row] = max(self._free[row], at_ms + ms)
        return row


def _span(record: Record, start: float, end: float | None) -> tuple[float, float]:
    began = number(record.started_at)
    began = start if began is None else began
    at_ms = max((began - start) * 1000, 0.0)
    if record.open:
        return round(at_ms, 3), round(max(((end or began) - began) * 1000, 0.0), 3)
    return round(at_ms, 3), round(duration_of(record) or 0.0, 3)


def _lane_names(session: Session, steps: list[Record]) -> dict[Record, str]:
    """Each step's lane; a step whose record names no process, thread or task is on the main line."""
    processes = _processes(session)
    names = {record: _lane_name(record, processes.get(_stem(record), "")) for record in steps}
    order = list(dict.fromkeys(names.values()))
    if len(order) <= MAX_LANES:
        return names
    kept, rest = set(order[: MAX_LANES - 1]), f"{len(order) - MAX_LANES + 1:,} more threads and tasks"
    return {record: name if name in kept else rest for record, name in names.items()}


def _lane_name(record: Record, process: str) -> str:
    return " · ".join(text for text in (process, record.thread, record.task) if text) or "main"


def _processes(session: Session) -> dict[str, str]:
    """Of each file of another process than the first (a forked child's), that process; one may have several."""
    pids: dict[str, object] = {}
    for record in session.steps:
        if "pid" in (head := record.session):
            pids.setdefault(_stem(record), head["pid"])
    first = session.info.get("pid", next(iter(pids.values()), None))
    return {stem: f"process {pid}" for stem, pid in pids.items() if pid != first and type(pid) is int}


def _stem(record: Record) -> str:
    """The file's name without its endings, the same for a journal, packed or not, and the black box beside it."""
    return _ENDING.sub("", record.path)
