"""What a stretch of a journal adds up to, counted without parsing what the agent saw.

A block of lines is taken apart by one regular expression over the fixed parts, as columns and not as steps;
each line must end as it should and be as long as it says it is, or nothing of the block is counted (`add_block`).
The file is read by `counting`.

Guarantees: memory is bounded by a block and the number of step names; sums of two stretches added together are the
sums of both (`merge`), whoever counted them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add, truediv
from typing import Any, Final

from .parse import parse
from .record import Damage, Record, number
from .spans import Spans
from .totals import USAGE_SUMS, duration_of
from .tree import ended_at

__all__ = ["Census", "Group"]

_WORD = rb'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"'
_HEX = rb'"[0-9a-f]{16}"'
_ROW: Final = re.compile(  # the newline before it ties each row to the beginning of a line
    rb'\n\{"name":' + _WORD + rb',"outcome":' + _WORD + rb',"started_at":(\d{1,17}\.\d{1,9}),"duration_ms":'
    rb'(\d{1,17}\.\d{1,9}),"id":' + _HEX + rb',"parent":(null|' + _HEX + rb'),"error":(?:null|'
    + _WORD.replace(b"(", b"", 1).replace(b')"', b'"') + rb'),"len":(\d{1,12})(?:,"usage":(\{[^{}]*\}))?,"context":\{',
)  # fmt: skip
_RIDER: Final = re.compile(
    rb'(?:,"dropped":(\{[^{}]*\}))?(?:,"redacted":(\d{1,9}))?(?:,"seal":"[0-9a-f]{72}")?\}'
)
_TAIL: Final = 112  # bytes at the end of a line in which a count of masks stands, also before a seal
_MARKS: Final = (b'"redacted":', b"}}\n", b'},"seal":')  # one is in the tail of every line with a rider
_LONG: Final = 2048  # bytes; of longer lines only so much is searched, which holds nearly every fixed part
_MAX_WORDS: Final = 10_000  # names and outcomes whose text is kept as it was read


class Group:
    """The finished steps of one name that named one model (None: they named none)."""

    __slots__ = ("count", "errors", "spans", "sums", "said")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.spans = Spans()
        self.sums: dict[str, float] = {}
        self.said: dict[str, int] = {}

    def extend(self, durations: Sequence[float]) -> None:
        """Add a step for each of *durations*."""
        self.count += len(durations)
        self.spans.extend(durations)

    def use(self, said: list[dict[str, Any]]) -> None:
        """Add what steps logged; a number that is none, or is negative, is not counted."""
        for key in USAGE_SUMS:
            logged = [usage[key] for usage in said if key in usage]
            if not _all_count(logged):
                logged = [value for value in logged if (known := number(value)) is not None and known >= 0]
            if logged:
                self.sums[key] = self.sums.get(key, 0) + sum(logged)  # whole tokens stay whole numbers
                self.said[key] = self.said.get(key, 0) + len(logged)

    def merge(self, other: Group) -> None:
        """Add all that *other* holds."""
        self.count += other.count
        self.errors += other.errors
        self.spans.merge(other.spans)
        self.merge_usage(other)

    def merge_usage(self, other: Group) -> None:
        """Add what the steps of *other* logged of tokens and cost."""
        for key, value in other.sums.items():
            self.sums[key] = self.sums.get(key, 0) + value
            self.said[key] = self.said.get(key, 0) + other.said[key]


class Census:
    """Counts over finished steps.

    Attributes:
        groups: (step name, model or None) -> its steps; not kept where it is not *grouped*.
        outcomes: outcome -> how many; "unknown" where a step has none.
        damage: stretches that are no step.
        dropped, redacted: what could not be written, and values masked, as the lines say.
        timeless, undated: steps without a duration, and without a start.
        first, last: the earliest start and the latest end, seconds since 1970, or None.
        latest: the latest start.
        root_end, outcome: of the outermost step that ended last, when and how; None where there is none.
    """

    __slots__ = (
        "grouped", "groups", "outcomes", "damage", "dropped", "redacted", "timeless", "undated",
        "first", "last", "latest", "root_end", "outcome",
    )  # fmt: skip

    def __init__(self, *, grouped: bool = True) -> None:
        self.grouped = grouped
        self.groups: dict[tuple[str, str | None], Group] = {}
        self.outcomes: dict[str, int] = {}
        self.damage = 0
        self.dropped = 0
        self.redacted = 0
        self.timeless = 0
        self.undated = 0
        self.first: float | None = None
        self.last: float | None = None
        self.latest: float | None = None
        self.root_end: float | None = None
        self.outcome: str | None = None

    @property
    def steps(self) -> int:
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        return self.outcomes.get("error", 0)

    def add(self, item: Record | Damage) -> None:
        """Count one finished step, or one damage."""
        if isinstance(item, Damage):
            self.damage += 1
            return
        self.redacted += item.redacted
        self.dropped += sum(item.dropped.values())
        self._ended(item.outcome or "unknown", 1)
        duration = duration_of(item)
        self.timeless += duration is None
        if self.grouped:
            group = self._group(item.name, item.usage)
            group.extend([] if duration is None else [duration])
            group.count += duration is None
            group.errors += item.outcome == "error"
            group.use([item.usage])
        start = number(item.started_at)
        self.undated += start is None
        end = ended_at(item)
        self._see(start, start, end)
        if item.parent is None:
            self._crown(end, item.outcome or "unknown")

    def merge(self, other: Census) -> None:
        """Add all that *other* counted."""
        self.grouped = self.grouped and other.grouped
        for key, group in other.groups.items():
            self.groups.setdefault(key, Group()).merge(group)
        for outcome, times in other.outcomes.items():
            self._ended(outcome, times)
        self.damage += other.damage
        self.dropped += other.dropped
        self.redacted += other.redacted
        self.timeless += other.timeless
        self.undated += other.undated
        self._see(other.first, other.latest, other.last)
        self._crown(other.root_end, other.outcome)

    def _ended(self, outcome: str, times: int) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + times

    def _see(self, first: float | None, latest: float | None, last: float | None) -> None:
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if latest is not None and (self.latest is None or latest > self.latest):
            self.latest = latest
        if last is not None and (self.last is None or last > self.last):
            self.last = last

    def _crown(self, end: float | None, outcome: str | None) -> None:
        """An outermost step ended; of two that ended together the later in the file counts."""
        if outcome is not None and (self.outcome is None or (end or 0.0) >= (self.root_end or 0.0)):
            self.root_end, self.outcome = end, outcome

    def _group(self, name: str, usage: dict[str, Any]) -> Group:
        model = usage.get("model") if usage else None
        key = (name, model if isinstance(model, str) and model else None)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group()
        return group

    def add_block(self, block: bytes, begin: int, end: int) -> bool:
        """Count the whole lines of *block* from *begin* to *end*; False, and nothing counted, where one of
        them is not plainly a step."""
        if block.find(b"\0", begin, end) >= 0:
            return False
        lengths, tails, rows = (_long if block.find(b"\n", begin) - begin > _LONG else _short)(block, begin, end)
        if tails.count(b"}\n") != len(lengths) or len(rows) != len(lengths):
            return False
        names, outcomes, starts, spans, parents, sizes, usages = zip(*rows)
        if list(map(int, sizes)) != lengths:
            return False
        try:
            words = _words({*names, *outcomes})
            said = _objects(usages)
            riders = _riders(block, begin, lengths, tails)
        except ValueError:
            return False
        began, took = list(map(float, starts)), list(map(float, spans))
        for outcome, times in Counter(outcomes).items():
            self._ended(words[outcome] or "unknown", times)
        if self.grouped:
            self._count(words, names, took, said)
            self._blame(words, names, outcomes, said)
        for dropped, redacted in riders:
            self.dropped += dropped
            self.redacted += redacted
        ends = list(map(add, began, map(truediv, took, repeat(1000.0))))
        self._see(min(began), max(began), round(max(ends), 6))
        roots = [(end, n) for n, (end, parent) in enumerate(zip(ends, parents)) if parent == b"null"]
        if roots:
            near = max(roots)[0] - 1e-6  # rounded as `ended_at` does, those may have ended together
            last, n = max((round(end, 6), n) for end, n in roots if end >= near)
            self._crown(last, words[outcomes[n]] or "unknown")
        return True

    def _count(
        self, words: dict[bytes, str], names: Sequence[bytes], took: list[float], said: list[dict[str, Any]]
    ) -> None:
        silent: defaultdict[bytes, list[float]] = defaultdict(list)
        spoke: defaultdict[tuple[bytes, Any], list[tuple[float, dict[str, Any]]]] = defaultdict(list)
        for name, duration, usage in zip(names, took, said):
            if usage:
                spoke[name, usage.get("model")].append((duration, usage))
            else:
                silent[name].append(duration)
        for name, durations in silent.items():
            self._group(words[name], _NOTHING).extend(durations)
        for (name, _), pairs in spoke.items():
            group = self._group(words[name], pairs[0][1])
            group.extend([duration for duration, _ in pairs])
            group.use([usage for _, usage in pairs])

    def _blame(
        self, words: dict[bytes, str], names: Sequence[bytes], outcomes: Sequence[bytes],
        said: list[dict[str, Any]],
    ) -> None:
        if failed := {outcome for outcome in set(outcomes) if words[outcome] == "error"}:
            for name, outcome, usage in zip(names, outcomes, said):
                if outcome in failed:
                    self._group(words[name], usage).errors += 1


_MODEL: Final = (str, type(None))
_HUGE: Final = 1e300  # an integer beyond the doubles, or infinity, is looked at by itself
_MET: Final[dict[bytes, str]] = {}  # JSON text between quotes, met in fixed parts -> what it says
_NOTHING: Final[dict[str, Any]] = {}


def _short(block: bytes, begin: int, end: int) -> tuple[list[int], bytes, list[tuple[bytes, ...]]]:
    """The lines between two places: their lengths, their last bytes, and the columns of their fixed parts."""
    lines = block.split(b"\n")[begin > 0 : -1]  # outside there are halves of lines
    tails = b"\n".join([line[-_TAIL:] for line in lines]) + b"\n"
    rows = _ROW.findall(block, begin - 1, end) if begin else _ROW.findall(b"\n" + block[:end])
    return [len(line) + 1 for line in lines], tails, rows


def _long(block: bytes, begin: int, end: int) -> tuple[list[int], bytes, list[tuple[bytes, ...]]]:
    """As `_short`, where lines are long: they are neither copied nor, but for their newline, searched whole."""
    starts, ends = [begin], []
    while starts[-1] < end:
        ends.append(block.index(b"\n", starts[-1]))
        starts.append(ends[-1] + 1)
    pairs = [*zip(starts, ends)]
    tails = b"\n".join([block[max(at, stop - _TAIL) : stop] for at, stop in pairs]) + b"\n"
    heads = b"\n".join([block[at : min(at + _LONG, stop)] for at, stop in pairs])
    return [stop - at + 1 for at, stop in pairs], tails, _ROW.findall(b"\n" + heads)


def _words(texts: set[bytes]) -> dict[bytes, str]:
    """What each of *texts*, and of others, says; raises `ValueError` where one says nothing."""
    if len(_MET) > _MAX_WORDS:
        _MET.clear()
    for text in texts - _MET.keys():
        _MET[text] = str(parse(b'"%b"' % text))
    return _MET


def _objects(texts: Sequence[bytes]) -> list[dict[str, Any]]:
    """Each of *texts* as an object, {} for b""; raises `ValueError` where one is none."""
    if not any(texts):
        return [_NOTHING] * len(texts)
    spoken = [text for text in texts if text]
    values = parse(b"[" + b",".join(spoken) + b"]") if spoken else []
    if len(values) != len(spoken) or {*map(type, values)} - {dict}:
        raise ValueError("not an object")
    if any(type(usage.get("model")) not in _MODEL for usage in values):
        raise ValueError("a model that is no text")
    remaining = iter(values)
    return [next(remaining) if text else _NOTHING for text in texts]


def _all_count(values: list[Any]) -> bool:
    """Whether all of *values* are numbers to be counted; decided without a call for each of them."""
    return bool(values) and {*map(type, values)} <= {int, float} and min(values) >= 0 and max(values) < _HUGE


def _riders(block: bytes, begin: int, lengths: list[int], tails: bytes) -> list[tuple[int, int]]:
    """What rides on the lines of *lengths* from *begin*; *tails* are their last `_TAIL` bytes (no line is shorter)."""
    found = set()
    for mark in _MARKS:
        at = tails.find(mark)
        while at >= 0:
            found.add(at // (_TAIL + 1))
            at = tails.find(mark, at + 1)
    if not found:
        return []
    edges = [*accumulate(lengths, initial=begin)]
    return [_rider(block[edges[n] : edges[n + 1] - 1]) for n in found]


def _rider(line: bytes) -> tuple[int, int]:
    """(dropped, redacted) of a line; raises `ValueError` where that takes parsing.

    In a line of JSON what stands directly before the last brace is a key of the line, not of a value.
    """
    start = line.rfind(b',"dropped":{', -_LONG)
    if start < 0:
        start = line.rfind(b',"redacted":', -_TAIL)
    if start < 0 and not (line.endswith(b"}}") and (b'"redacted":' in line or b'"dropped":' in line)):
        return 0, 0
    found = _RIDER.fullmatch(line, start) if start >= 0 else None
    if found is None:
        raise ValueError("a key of that name inside a value, or in another order than ours")
    dropped, redacted = found.groups()
    if (dropped is None and b'"dropped":' in line) or (redacted is None and b'"redacted":' in line):
        raise ValueError("a key of that name inside a value, or in another order than ours")
    reasons = _objects([dropped or b""])[0].values()
    return sum(times for times in reasons if type(times) is int and times > 0), int(redacted or 0)
