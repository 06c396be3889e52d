"""Fold steps into a session: one run of an agent, as its files tell it. Pure: no file, no clock.

Whatever the records say, `fold` ends, and answers the same session for every order of the same records:

- a finished step wins over the same step still open; two finished steps with one id are both kept;
- the tree is whole (see `tree.py`), the totals count only what is known (see `totals.py`);
- what was odd is said in `notices`, in sentences, and nothing is left out without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .record import FORMAT, VERSION, Damage, Record, number
from .totals import Totals, count, duration_of
from .tree import Node, ended_at, end_key, innermost_cancelled, innermost_failure, link, stopped, walk

if TYPE_CHECKING:
    from .provenance import Knowledge

__all__ = ["fold", "Session", "step_dict"]

_NOT_OF_A_STEP: Final = ("len", "session")  # of its line, and of its session


class Session:
    """One run of an agent. Made by `fold`; nothing changes it afterwards.

    Attributes:
        agent, id, trace_id: "" where no file says.
        meta: what the agent said about itself, last version.
        state: "running", "ended", "died" or "unknown".
        info: the session header as it was read.
        paths, size: the files it was read from, and their bytes.
        steps: all records by time of start, a step before those inside it; open ones included.
        unfinished: those that began and did not end.
        tree: the root nodes, by time of start.
        damage: stretches of the files that are no step.
        notices: sentences about what a reader should know.
        dropped: reason -> how many records could not be written.
        redacted: how many values were masked.
        started_at, ended_at: seconds since 1970, or None; `ended_at` is the last sign of life.
        totals: counts, mean duration, tokens and cost.
    """

    def __init__(
        self,
        *,
        nodes: list[Node],
        info: Mapping[str, Any],
        state: str,
        paths: Iterable[str],
        size: int,
        damage: Iterable[Damage],
        notices: Iterable[str],
        dropped: dict[str, int],
        redacted: int,
    ) -> None:
        self.info = dict(info)
        self.agent = _text(info.get("agent"))
        self.id = _text(info.get("session_id"))
        self.trace_id = _text(info.get("trace_id"))
        self.meta: dict[str, Any] = meta if isinstance(meta := info.get("meta"), dict) else {}
        self.state = state
        self.paths = list(paths)
        self.size = size
        self.steps = [node.record for node in nodes]
        self.unfinished = [record for record in self.steps if record.open]
        self.tree = [node for node in nodes if node.parent is None]
        self.damage = list(damage)
        self.notices = list(notices)
        self.dropped = dropped
        self.redacted = redacted
        self.started_at, self.ended_at = _span(self.steps, info.get("started_at"))
        self.totals: Totals = count(self.steps, redacted=redacted, dropped=sum(dropped.values()))
        self._nodes = {node.record: node for node in nodes}

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from the first start to the last sign of life, by the wall clock."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at) * 1000, 3)

    def node(self, record: Record) -> Node:
        """The place of *record* (one of `steps`) in the tree."""
        return self._nodes[record]

    def children(self, record: Record) -> list[Record]:
        """The steps directly inside *record*, by time of start."""
        return [node.record for node in self._nodes[record].children]

    def path_to(self, record: Record) -> list[Record]:
        """The steps from the root down to *record*, root first, *record* last."""
        path = []
        node: Node | None = self._nodes[record]
        while node is not None:
            path.append(node.record)
            node = node.parent
        return path[::-1]

    def walk(self) -> Iterator[Node]:
        """Every node, each before its children: the order in which the tree is read."""
        return walk(self.tree)

    @property
    def first_error(self) -> Record | None:
        """The step that failed first; where its failure came up from inside it, the innermost one."""
        failed = [node for node in self._nodes.values() if node.record.outcome == "error"]
        return innermost_failure(min(failed, key=end_key)).record if failed else None

    @property
    def fatal_error(self) -> Record | None:
        """The innermost step whose failure ended the run, where the last root to end failed; else None."""
        last = self._last_root()
        return innermost_failure(last).record if last and last.record.outcome == "error" else None

    @property
    def stopped_in(self) -> Record | None:
        """The innermost step that was cancelled (Ctrl-C, an exit, a task's end), where the last root to end was; else
        None: a step inside a run that went on was cancelled, or a generator let go of, and nothing was stopped."""
        last = self._last_root()
        return innermost_cancelled(last).record if last and stopped(last.record) else None

    def _last_root(self) -> Node | None:
        """The outermost step that ended last."""
        return max((node for node in self.tree if not node.record.open), key=end_key, default=None)

    def find(self, prefix: str) -> list[Record]:
        """The steps whose id is *prefix*, or else all those whose id starts with it."""
        exact = [record for record in self.steps if record.id == prefix]
        return exact or [record for record in self.steps if record.id.startswith(prefix)]

    def get(self, prefix: str) -> Record | None:
        """The step whose id is *prefix*, or the only one whose id starts so; None for none or several."""
        found = self.find(prefix)
        return found[0] if found and (len(found) == 1 or found[0].id == prefix) else None

    def referred(self, word: str) -> list[Record]:
        """The steps that *word* may mean: an id or its beginning, `#12`, `decide#3`, a name, `last`, `last-error`."""
        from .reference import referred

        return referred([*self._nodes.values()], word)

    def at(self, step: Record | str) -> Knowledge:
        """What *step* (one of `steps`, or a word as `referred` knows it) saw, and where each value came from.

        Raises:
            KeyError: *step* is a word that means no step, or several.
        """
        from .provenance import knowledge
        from .trail import Steps

        if isinstance(step, str):
            found = self.referred(step)
            if len(found) != 1:
                raise KeyError(f"{step!r} means {len(found)} steps of this session")
            step = found[0]
        return knowledge(Steps(self.steps, self.path_to), [step])[step]

    def summary(self) -> dict[str, Any]:
        """The run in numbers: first what the older package's `summary()` had, then ours."""
        totals = self.totals
        return {
            "agent": self.agent,
            "session_id": self.id,
            "steps": totals.steps,
            "ok": totals.ok,
            "errors": totals.errors,
            "avg_duration_ms": totals.avg_duration_ms,
            "cancelled": totals.cancelled,
            "other": totals.other,
            "unfinished": totals.unfinished,
            "state": self.state,
            "trace_id": self.trace_id,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration_ms": self.duration_ms,
            "redacted": self.redacted,
            "dropped": dict(self.dropped),
            "damage": len(self.damage),
            "notices": list(self.notices),
            "usage": [usage.to_dict() for usage in totals.usage],
        }

    def head_dict(self, saved_at: str | None = None) -> dict[str, Any]:
        """All of `to_dict` but the steps, for those who write them one by one."""
        head = {
            "agent": self.agent,
            "session_id": self.id,
            "saved_at": saved_at,
            "meta": self.meta,
            "trace_id": self.trace_id,
            "state": self.state,
            "format": self.info.get("format", FORMAT),
            "writer": self.info.get("writer", VERSION),
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration_ms": self.duration_ms,
            "totals": self.totals.to_dict(),
            "dropped": dict(self.dropped),
            "redacted": self.redacted,
            "damage": [damage._asdict() for damage in self.damage],
            "notices": list(self.notices),
        }
        rest = {key: self.info[key] for key in self.info if key not in head and key != "steps"}
        return {**head, **rest}

    def to_dict(self, saved_at: str | None = None) -> dict[str, Any]:
        """The whole session as plain data, in the form of the JSON snapshot."""
        return {**self.head_dict(saved_at), "steps": [step_dict(record) for record in self.steps]}

    def __repr__(self) -> str:
        return f"<Session {self.agent}_{self.id} {self.state} steps={len(self.steps)}>"


def step_dict(record: Record) -> dict[str, Any]:
    """*record* as in a snapshot: the older package's keys, then ours, then whatever else its line held."""
    step = record.to_dict()
    if not record.open and step["finished_at"] is None:
        step["finished_at"] = ended_at(record)
    data = record.data
    step.update((key, data[key]) for key in data if key not in step and key not in _NOT_OF_A_STEP)
    return step


def fold(
    records: Iterable[Record],
    *,
    damage: Iterable[Damage] = (),
    state: str = "unknown",
    paths: Iterable[str] = (),
    info: Mapping[str, Any] | None = None,
    notices: Iterable[str] = (),
    size: int = 0,
) -> Session:
    """One session from *records* in any order; what rode on their lines (meta, drops, masks) is added up.

    *info* is the session header where the caller knows it (from a black box or a file's name); what the
    lines themselves say about meta is newer and wins. Each record is read once and then lets go of its line
    (`Record.shed`), so *records* may be a generator over a file larger than memory likes.
    """
    riders = _Riders()
    kept, twice = _distinct(records, riders)
    head = riders.head(info or {})
    nodes, faults = link(kept, head.get("parent"))
    bad = sum(1 for record in kept if record.duration_ms is not None and duration_of(record) is None)
    odd = (
        ("Finished steps that share the id of another (all are shown)", twice),
        ("Durations that are no number of milliseconds (not counted)", bad),
        ("Steps whose parent is not in this session (shown at the top level)", faults.orphans),
        ("Circles of parents, cut, as no step lies inside itself", faults.circles),
    )
    said = [*notices, *(f"{what}: {times:,}" for what, times in odd if times), *riders.notices()]
    return Session(
        nodes=nodes,
        info=head,
        state=state,
        paths=paths,
        size=size,
        damage=sorted(damage, key=lambda one: (one.path, one.offset)),
        notices=dict.fromkeys(said),
        dropped=dict(sorted(riders.dropped.items())),
        redacted=riders.redacted,
    )


class _Riders:
    """What rides on the lines of steps but speaks of the session: header, notices, drops, masks."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.redacted = 0
        self._heads: list[tuple[int, str, int, dict[str, Any]]] = []
        self._notices: list[tuple[str, int, str]] = []

    def take(self, record: Record) -> None:
        self.redacted += record.redacted
        for reason, number_of in record.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + number_of
        self._notices += [(record.path, record.offset, text) for text in record.notice]
        if head := record.session:
            segment = head.get("segment")
            self._heads.append((segment if type(segment) is int else 0, record.path, record.offset, head))

    def head(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """The header of the first process, what the caller knows over it, and the last meta that it said."""
        if not self._heads:
            return dict(info)
        self._heads.sort(key=lambda head: head[:3])
        first = self._heads[0]
        last = [head for head in self._heads if head[:2] == first[:2]][-1]
        return {**first[3], **info, "meta": last[3].get("meta", {})}

    def notices(self) -> list[str]:
        return [text for _, _, text in sorted(self._notices)]


def _distinct(records: Iterable[Record], riders: _Riders) -> tuple[list[Record], int]:
    """Each step once, and how many finished ones share an id.

    An open record gives way to its end; of two open ones the one with more to tell stays.
    """
    ended: list[Record] = []
    open_: dict[str, Record] = {}
    for record in records:
        if record.open:
            if record.id not in open_ or _fuller(record) > _fuller(open_[record.id]):
                open_[record.id] = record
        else:
            ended.append(record)
            riders.take(record)
            record.shed()
    ids = {record.id for record in ended}
    return ended + [record for record in open_.values() if record.id not in ids], len(ended) - len(ids)


def _fuller(record: Record) -> tuple[int, int, str, int]:
    return (len(record.logs), len(record.context), record.path, record.offset)


def _span(steps: list[Record], first: object) -> tuple[float | None, float | None]:
    """First start (the session's own where it is known) and last sign of life."""
    known = (number(first), *(number(record.started_at) for record in steps))
    starts = [start for start in known if start is not None]
    if not starts:
        return None, None
    ends = [end for end in map(_last_sign, steps) if end is not None]
    return min(starts), max([*ends, min(starts)])


def _last_sign(record: Record) -> float | None:
    """The end of a step; of one still open, its last log, or its start."""
    if not record.open:
        return ended_at(record)
    said = [time for entry in record.logs[-1:] if (time := number(entry.get("_t"))) is not None]
    return said[0] if said else number(record.started_at)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
