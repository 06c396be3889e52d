"""A session for Perfetto (https://ui.perfetto.dev), `chrome://tracing` and speedscope: Chrome's trace JSON.

By the Trace Event Format (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU):
a step is a complete event ("X"), a log an instant ("i"), times are microseconds since 1970. Each process of
the session is a process, each thread and task a lane. Slices of one lane must lie inside each other or
apart: a step that overlaps others goes to another lane of the same name, so every step keeps its true
length and lies inside none but its own parent. Where that is in another lane, an arrow ("s", "f") leads
from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ..record import VERSION, Record, number
from ..session import Session
from . import values
from .losses import Losses

__all__ = ["export"]

_TEXT: Final = 10_000  # characters of one argument: the page that shows them holds all of them in memory
_LOGS: Final = 1_000  # of one step

Event = dict[str, Any]


class _Lane(NamedTuple):
    """A row of the picture: its process and number, and the slices now open in it with their ends (ns)."""

    pid: int
    tid: int
    open: list[tuple[Record, int]]

    def takes(self, record: Record, above: Record | None, start: int, end: int) -> bool:
        """Whether a slice for *record* fits: inside its parent's, or where nothing is open."""
        while self.open and self.open[-1][1] <= start:
            self.open.pop()
        if self.open and (self.open[-1][0] is not above or end > self.open[-1][1]):
            return False
        self.open.append((record, end))
        return True


def export(session: Session, losses: Losses) -> Iterator[bytes]:
    """The trace as one JSON object, an event a line."""
    about = {
        "agent": session.agent,
        "session": session.id,
        "trace_id": session.trace_id,
        "writer": f"ai_trace {VERSION}",
    }
    lead = f'{{"displayTimeUnit":"ms","otherData":{values.compact(about)},"traceEvents":[\n'
    for event in _events(session, losses):
        yield (lead + values.compact(event)).encode("ascii")
        lead = ",\n"
    yield b"\n]}\n" if lead == ",\n" else (lead + "]}\n").encode("ascii")


def _events(session: Session, losses: Losses) -> Iterator[Event]:
    places = _Places(session)
    lanes: dict[Record, _Lane] = {}
    over = values.nanoseconds(session.ended_at) or 0
    for record in session.steps:
        start = values.start_ns(record, session.started_at)
        end = max(values.end_ns(record, start), over if record.open else 0)
        lane, new = places.lane(record, start, end)
        lanes[record] = lane
        yield from new
        yield _slice(record, lane, start, end, losses)
        yield from _logs(record, lane, start, losses)
        above = session.node(record).parent
        if above is not None and lanes.get(above.record, lane) is not lane:
            yield from _arrow(record, lanes[above.record], lane, start)
        record.shed()


class _Places:
    """Which lane each step goes to; steps come by time of start, a step before those inside it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pids: dict[str, int] = {}
        self._tids = 0
        self._lanes: dict[tuple[int, str], list[_Lane]] = {}

    def lane(self, record: Record, start: int, end: int) -> tuple[_Lane, list[Event]]:
        """The lane of *record*, and the events that name what is new."""
        told: list[Event] = []
        if record.path not in self._pids:
            self._pids[record.path] = len(self._pids) + 1
            told.append(_named("process_name", len(self._pids), 0, self._process(len(self._pids))))
        pid = self._pids[record.path]
        name = " ".join(part for part in (record.thread or "main thread", record.task) if part)
        lanes = self._lanes.setdefault((pid, name), [])
        node = self._session.node(record).parent
        for lane in lanes:
            if lane.takes(record, node.record if node else None, start, end):
                return lane, told
        self._tids += 1
        lanes.append(_Lane(pid, self._tids, [(record, end)]))
        told.append(
            _named("thread_name", pid, self._tids, name if len(lanes) == 1 else f"{name} ({len(lanes)})")
        )
        return lanes[-1], told

    def _process(self, pid: int) -> str:
        own = self._session.info.get("pid")
        name = f"{self._session.agent or 'agent'} {self._session.id}".strip()
        if pid == 1:
            return f"{name} (pid {own})" if type(own) is int else name
        return f"{name} (process {pid})"


def _named(what: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _slice(record: Record, lane: _Lane, start: int, end: int, losses: Losses) -> Event:
    args: dict[str, Any] = {"id": record.id, "outcome": "unfinished" if record.open else record.outcome}
    args.update({"error": record.error} if record.error else {}, **record.usage)
    args.update((f"context.{key}", _argument(value, losses)) for key, value in record.context.items())
    if record.traceback:
        args["traceback"] = _argument(record.traceback, losses)
    event = {"ph": "X", "name": record.name or "(unnamed)", "cat": "step", "pid": lane.pid, "tid": lane.tid,
             "ts": start / 1000, "dur": (end - start) / 1000, "args": args}  # fmt: skip
    if record.outcome == "error" or record.open:
        event["cname"] = "terrible" if record.outcome == "error" else "bad"  # Chrome's own palette
    return event


def _logs(record: Record, lane: _Lane, start: int, losses: Losses) -> Iterator[Event]:
    entries = record.logs
    losses.count(f"logs beyond the {_LOGS:,} of one step", len(entries) - len(entries[:_LOGS]))
    for entry in entries[:_LOGS]:
        at = values.nanoseconds(number(entry.get("_t")))
        message = entry.get("message")
        name = (
            message.strip().splitlines()[0][:200] if isinstance(message, str) and message.strip() else "log"
        )
        args = {key: _argument(value, losses) for key, value in entry.items() if key != "_t"}
        yield {"ph": "i", "s": "t", "name": name, "cat": "log", "pid": lane.pid, "tid": lane.tid,
               "ts": (start if at is None else at) / 1000, "args": args}  # fmt: skip


def _arrow(record: Record, above: _Lane, lane: _Lane, start: int) -> Iterator[Event]:
    shared = {"name": "inside", "cat": "inside", "id": values.span_id(record.id), "ts": start / 1000}
    yield {"ph": "s", "pid": above.pid, "tid": above.tid, **shared}
    yield {"ph": "f", "bp": "e", "pid": lane.pid, "tid": lane.tid, **shared}


def _argument(value: Any, losses: Losses) -> Any:
    """*value* where it is small, else the beginning of its text."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    text = value if isinstance(value, str) else values.compact(value)
    if len(text) <= _TEXT:
        return value
    losses.count(f"texts cut to {_TEXT:,} characters")
    return text[: _TEXT - 1] + "…"
