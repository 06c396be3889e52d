"""Two runs side by side: which step of one is which of the other, where they first part, and all that
differs. Pure.

Steps are matched level by level down the tree: those around them first, then brothers by all they hold and
hold inside, by what they hold, by their context, and by name (`matching.py`). So a step more, or a changed
value, does not shift the rest.

Compared are outcome, error, context and logs. Noise is left out: ids, times, durations, processes, threads,
and addresses in texts (`0x7f3a…`); so are recorded values that say by their name that they are such: `pid`,
`request_id`, `latency_ms`, `timestamp`. `Rules` leaves out more, or less. Differences stand in the order in which they
could come about: what a step was given, then all that happened inside it, then what it said and how it
ended. What the agents said of themselves (`meta`) is told apart, and is no difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from math import isclose
from typing import Any, Final, NamedTuple

from .kin import tail
from .matching import matched
from .record import Record, number
from .session import Session
from .sweep import sweep
from .tree import Node
from .worth import canonical

__all__ = ["ABSENT", "Comparison", "Difference", "Row", "Rules", "compare"]

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{6,16}\b")
_NOISE: Final = re.compile(  # names of what is new each time, where they are the last key
    r"pid|tid|uuid|nonce|(?:.*_)?(?:run|request|req|trace|span|session|call|correlation|message|response|completion|process|thread)_id"
    r"|(?:.*_)?(?:latency|elapsed|duration|took)(?:_(?:ns|us|ms|s|sec|secs|seconds))?"
)
_TIME_NAME: Final = re.compile(r"timestamp|ts|time|now|(?:created|started|finished|ended|updated|received|sent|logged)(?:_at)?")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_FRESH: Final = re.compile(r"(?:call|chatcmpl|msg|req|resp|run|toolu)[-_][A-Za-z0-9_-]{8,}")  # ids of model providers
_EPOCH: Final = 10**9  # a number from it on is no time of day
_INDEX: Final = re.compile(r"\[[0-9]+\]")


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()  # the value of a field that one side does not have


class Rules(NamedTuple):
    """What is no difference.

    `ignore`: globs for fields, as `context.request_id`, `logs.*`, or any end of such a path: `request_id`;
    list places are left out of it. `tolerance`: for numbers, relative and absolute. `ignore_order`: of steps
    side by side, of logs, and of the items of lists. `strict`: recorded ids, times and durations count, too.
    """

    ignore: tuple[str, ...] = ()
    tolerance: float = 0.0
    ignore_order: bool = False
    strict: bool = False


class Difference(NamedTuple):
    """A step that only one run has (`path` is ""), or a field that is not the same in both."""

    a: Record | None
    b: Record | None
    path: str = ""
    was: Any = ABSENT
    now: Any = ABSENT
    inside: int = 0  # how many steps lie in one that only one run has

    @property
    def kind(self) -> str:
        """ "missing" (only in A), "added" (only in B) or "changed"."""
        if self.path:
            return "changed"
        return "missing" if self.b is None else "added"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data; a field that one side does not have has no key `was` or `now`."""
        steps = {"a": self.a and _named(self.a), "b": self.b and _named(self.b)}
        plain: dict[str, Any] = {"kind": self.kind, **steps}
        if not self.path:
            return {**plain, "inside": self.inside}
        values = {key: value for key, value in (("was", self.was), ("now", self.now)) if value is not ABSENT}
        return {**plain, "path": self.path, **values}


class Row(NamedTuple):
    """A step of A, of B, or one of each, in the order of the tree, with what differs between the two."""

    depth: int
    a: Record | None
    b: Record | None
    differences: list[Difference]


class Comparison(NamedTuple):
    """All that `compare` found; `first` is where the runs part."""

    rows: list[Row]
    differences: list[Difference]
    meta: list[Difference]

    @property
    def first(self) -> Difference | None:
        """The first divergence."""
        return self.differences[0] if self.differences else None

    def to_dict(self) -> dict[str, Any]:
        """The differences as plain data; `same` counts the pairs of steps without any."""
        same = sum(1 for row in self.rows if row.a and row.b and not row.differences)
        return {
            "same": same,
            "first": self.first.to_dict() if self.first else None,
            "differences": [difference.to_dict() for difference in self.differences],
            "meta": [difference.to_dict() for difference in self.meta],
        }


def compare(a: Session, b: Session, rules: Rules = Rules()) -> Comparison:
    """What *b* does otherwise than *a*."""
    fields = _Fields(rules)
    ours, theirs = _keys(a, fields), _keys(b, fields)
    rows: list[Row] = []
    found: list[Difference] = []
    waiting: list[Brothers | list[Difference]] = []
    waiting += [*_aligned(a.tree, b.tree, ours, theirs, 0, rules)][::-1]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            found += item
            continue
        one, other, depth = item
        before, after = _compared(one, other, ours, theirs, fields)
        a_step, b_step = one.record if one else None, other.record if other else None
        rows.append(Row(depth, a_step, b_step, [*before, *after]))
        found += before
        waiting.append(after)
        if one is not None and other is not None:
            waiting += [*_aligned(one.children, other.children, ours, theirs, depth + 1, rules)][::-1]
    return Comparison(rows, found, [*fields.differ("meta", a.meta, b.meta, None, None)])


Keys = dict[Node, tuple[int, ...]]
Brothers = tuple[Node | None, Node | None, int]  # of A, of B, and their depth


def _keys(session: Session, fields: _Fields) -> Keys:
    """For each step: a hash of all in it and inside it, of what it holds, of its context, of its name."""
    own: dict[Record, tuple[int, int, int]] = {}
    for record, context, logs in sweep(session.steps):
        given = fields.text("context", context)
        said = fields.text("logs", [_said(entry) for entry in logs])
        ended = fields.text("outcome", record.outcome) + fields.text("error", record.error)
        own[record] = (hash((record.name, given, said, ended)), hash((record.name, given)), hash(record.name))
    keys: Keys = {}
    for node in reversed([*session.walk()]):
        inside = tuple(keys[child][0] for child in node.children)
        keys[node] = (hash((own[node.record], inside)), *own[node.record])
    return keys


def _aligned(
    one: list[Node], other: list[Node], ours: Keys, theirs: Keys, depth: int, rules: Rules
) -> Iterator[Brothers]:
    """The brothers *one* and *other*, pair by pair, each at *depth*."""
    if rules.ignore_order:
        one = sorted(one, key=lambda node: ours[node][::-1])
        other = sorted(other, key=lambda node: theirs[node][::-1])
    for at, to in matched([ours[node] for node in one], [theirs[node] for node in other]):
        yield None if at is None else one[at], None if to is None else other[to], depth


def _compared(
    one: Node | None, other: Node | None, ours: Keys, theirs: Keys, fields: _Fields
) -> tuple[list[Difference], list[Difference]]:
    """What differs in what the two were given, and in what they said and how they ended."""
    if one is None or other is None:
        alone = one or other
        assert alone is not None
        record, count = alone.record, _count(alone)
        return [Difference(record if one else None, record if other else None, inside=count)], []
    if ours[one][1] == theirs[other][1]:
        return [], []
    a, b = one.record, other.record
    before = [*fields.differ("context", a.context, b.context, a, b)]
    after = [*fields.differ("logs", [*map(_said, a.logs)], [*map(_said, b.logs)], a, b)]
    after += fields.differ("outcome", a.outcome, b.outcome, a, b)
    after += fields.differ("error", a.error, b.error, a, b)
    a.shed()
    b.shed()
    return before, after


def _count(node: Node) -> int:
    """How many steps lie inside *node*."""
    count, waiting = 0, [*node.children]
    while waiting:
        inner = waiting.pop()
        count += 1
        waiting += inner.children
    return count


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "_t"}


def _named(record: Record) -> dict[str, Any]:
    return {"name": record.name, "id": record.id}


class _Fields:
    """Compares values by the rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        globs = "|".join(translate(glob) for glob in rules.ignore)
        self._ignored: Callable[[str], object] = re.compile(globs).match if globs else lambda path: None
        self._known: dict[str, bool] = {}

    def ignored(self, path: str) -> bool:
        """Whether *path*, or an end of it, fits one of the globs."""
        if not self._rules.ignore:
            return False
        path = _INDEX.sub("", path)
        if path not in self._known:
            keys = path.split(".")
            ends = (".".join(keys[at:]) for at in range(len(keys)))
            self._known[path] = any(self._ignored(end) for end in ends)
        return self._known[path]

    def text(self, path: str, value: Any) -> str:
        """The same text for values without a difference, as far as a text can tell."""
        text = canonical(self._kept(path, value))
        return _ADDRESS.sub("0x…", text) if "0x" in text else text

    def _kept(self, path: str, value: Any) -> Any:
        """*value* without what is ignored, in one order where order is."""
        if self.ignored(path) or (not self._rules.strict and _is_noise(path, value)):
            return None
        if self._rules.strict and not self._rules.ignore and not self._rules.ignore_order:
            return value
        if type(value) is dict:
            fields = ((key, f"{path}.{key}", part) for key, part in value.items())
            return {key: self._kept(at, part) for key, at, part in fields if not self.ignored(at)}
        if type(value) is list:
            items = [self._kept(path, item) for item in value]
            return sorted(items, key=canonical) if self._rules.ignore_order else items
        return value

    def differ(
        self, path: str, one: Any, other: Any, a: Record | None, b: Record | None
    ) -> Iterator[Difference]:
        """Each field in which *one* and *other* differ, by its path."""
        waiting = [(path, one, other)]
        while waiting:
            at, was, now = waiting.pop()
            if self.ignored(at) or self._same(at, was, now):
                continue
            if not self._rules.strict and _is_noise(at, was) and _is_noise(at, now):
                continue
            if type(was) is dict and type(now) is dict:
                keys = [*was, *(key for key in now if key not in was)]
                fields = [(f"{at}.{key}", was.get(key, ABSENT), now.get(key, ABSENT)) for key in keys]
            elif type(was) is list and type(now) is list:
                fields = [*self._items(at, was, now)]
            else:
                yield Difference(a, b, at, was, now)
                continue
            waiting += reversed(fields)

    def _items(self, path: str, was: list[Any], now: list[Any]) -> Iterator[tuple[str, Any, Any]]:
        """Items that go together, by all they hold, then by their keys; each by its place in A's list."""
        if self._rules.ignore_order:
            was, now = sorted(was, key=canonical), sorted(now, key=canonical)
        ours, theirs = ([(self.text(path, item), _shape(item)) for item in items] for items in (was, now))
        for at, to in matched(ours, theirs):
            place = to if at is None else at
            yield f"{path}[{place}]", ABSENT if at is None else was[at], ABSENT if to is None else now[to]

    def _same(self, path: str, was: Any, now: Any) -> bool:
        if was is ABSENT or now is ABSENT:
            return False
        if type(was) in (int, float) and type(now) in (int, float):
            return was == now or self._close(was, now)
        return self.text(path, was) == self.text(path, now)

    def _close(self, was: Any, now: Any) -> bool:
        one, other, slack = number(was), number(now), self._rules.tolerance
        if one is None or other is None or not slack:
            return False
        return isclose(one, other, rel_tol=slack, abs_tol=slack)


def _is_noise(path: str, value: Any) -> bool:
    """Whether *value* says by its name that it is new each time: an id of a call, a time, a duration."""
    if type(value) not in (str, int, float) or path.endswith("]"):
        return False
    name = tail(path)
    if _NOISE.fullmatch(name):
        return True
    if name == "id":
        return type(value) is str and _FRESH.fullmatch(value) is not None
    if _TIME_NAME.fullmatch(name) is None:
        return False
    return value >= _EPOCH if type(value) is not str else _TIME.match(value) is not None


def _shape(item: Any) -> str:
    return json.dumps(sorted(item)) if type(item) is dict else type(item).__name__
