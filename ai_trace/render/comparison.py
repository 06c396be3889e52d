"""Two runs side by side on a terminal: what differs, in its place in the tree; the same is folded away.
Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .. import safe
from ..alignment import ABSENT, Comparison, Difference, Row
from ..record import Record
from ..session import Session
from . import words
from .ink import Part, Style, paint, signs

__all__ = ["WIDE", "lines", "place", "often"]

WIDE: Final = 120  # columns from which the runs stand side by side
_SHOWN: Final = 100  # steps with differences, unless full
_INDENT: Final = 12  # levels


class Numbers(NamedTuple):
    """Each step's place by start in its run, from 1, as `ai-trace at '#12'` takes it."""

    a: dict[Record, int]
    b: dict[Record, int]

    @classmethod
    def of(cls, a: Session, b: Session) -> Numbers:
        """The numbers of both runs."""
        one, other = ({step: n for n, step in enumerate(run.steps, 1)} for run in (a, b))
        return cls(one, other)


def lines(a: Session, b: Session, found: Comparison, style: Style) -> Iterator[str]:
    """Every step with a difference below those around it, and how many same ones lie between."""
    writer = _Writer(Numbers.of(a, b), style)
    waiting: list[Row] = []  # without differences, and not told yet
    shown, left_out = 0, 0
    for row in found.rows:
        if row.differences and shown >= _SHOWN and not style.full:
            left_out += 1
        elif row.differences:
            shown += 1
            yield from writer.up_to(row, waiting)
            waiting = []
        else:
            waiting.append(row)
    yield from writer.same(len(waiting), 0)
    if left_out:
        more = f"{words.plural(left_out, 'more step')} with differences (--full)"
        yield paint([(f"{signs(style).cut} {more}", "dim")], style)


def place(difference: Difference, a: Session, b: Session) -> str:
    """A step and where it stands, in plain safe words: decide (A #14, B #15) in run › tick."""
    numbers = Numbers.of(a, b)
    session, step = (a, difference.a) if difference.a else (b, difference.b)
    if step is None:
        return "meta"
    both = (("A", difference.a, numbers.a), ("B", difference.b, numbers.b))
    at = [f"{side} #{known[one]}" for side, one, known in both if one]
    around = session.path_to(step)[:-1]
    inside = f" in {words.route(around, _name)}" if around else ""
    path = safe.one_line(difference.path, 80)
    what = {"missing": "only in A", "added": "only in B"}.get(difference.kind, path)
    return f"{_name(step.name)} ({', '.join(at)}){inside}: {what}"


def often(found: Comparison) -> tuple[str, int] | None:
    """The field that makes up at least half of many differences, and how many: it may be noise."""
    import re

    paths = Counter(re.sub(r"\[[0-9]+\]", "", one.path) for one in found.differences if one.path)
    top = paths.most_common(1)
    return top[0] if top and top[0][1] >= 3 and top[0][1] * 2 >= len(found.differences) else None


class _Writer:
    """Writes rows, in two columns where there is room."""

    def __init__(self, numbers: Numbers, style: Style) -> None:
        self._numbers = numbers
        self._style = style
        self._wide = style.width >= WIDE
        self._column = (style.width - 3) // 2

    def up_to(self, row: Row, before: list[Row]) -> Iterator[str]:
        """*row*, the rows around it where they stand in *before*, and how many others those are."""
        around: list[Row | None] = []
        for one in before:
            del around[one.depth :]
            around += [None] * (one.depth - len(around)) + [one]  # None: told already
        del around[row.depth :]
        same = 0
        for one in before:
            if any(one is outer for outer in around):
                yield from self.same(same, one.depth)
                yield from self.row(one)
                same = 0
            else:
                same += 1
        yield from self.same(same, row.depth)
        yield from self.row(row)

    def same(self, count: int, depth: int) -> Iterator[str]:
        if count > 0:
            text = f"{self._indent(depth)}{signs(self._style).cut} {words.plural(count, 'same step')}"
            yield paint([("  ", ""), (text, "dim")], self._style)

    def row(self, row: Row) -> Iterator[str]:
        indent = self._indent(row.depth)
        if row.a is None or row.b is None:
            yield self._alone(row, indent)
            return
        mark, color = ("~ ", "warn") if row.differences else ("  ", "dim")
        numbers = f"  #{self._numbers.a[row.a]}", f"  #{self._numbers.b[row.b]}"
        name = f"{indent}{_name(row.a.name)}"
        if self._wide:
            right: list[Part] = [(name, color), (numbers[1], "dim")]
            yield self._columns([(mark, color), (name, color), (numbers[0], "dim")], right)
        else:
            both = numbers[0] if numbers[0] == numbers[1] else f"{numbers[0]} / {numbers[1].strip()}"
            yield paint([(mark, color), (name, color), (both, "dim")], self._style)
        for difference in row.differences:
            yield from self._field(difference, indent)

    def _alone(self, row: Row, indent: str) -> str:
        step = row.a or row.b
        assert step is not None
        inside = row.differences[0].inside if row.differences else 0
        more = f", and {words.plural(inside, 'step')} inside" if inside else ""
        context = words.compact(step.context) if step.context else ""
        step.shed()
        side, mark, color = ("A", "- ", "bad") if row.a else ("B", "+ ", "good")
        number = (self._numbers.a if row.a else self._numbers.b)[step]
        parts: list[Part] = [(f"{indent}{_name(step.name)}", color)]
        parts += [(f"  #{number}, only in {side}{more}  ", "dim"), (safe.one_line(context, self._column), "")]
        if not self._wide:
            return paint([(mark, color), *parts], self._style)
        return self._columns([(mark, color), *parts], []) if row.a else self._columns([(mark, color)], parts)

    def _field(self, difference: Difference, indent: str) -> Iterator[str]:
        path, indent = safe.one_line(difference.path, 60), indent + "    "
        was, now = difference.was, difference.now
        if self._wide:
            room = self._column - len(indent) - safe.width(path) - 3
            yield self._columns(
                [(f"  {indent}{path} ", "key"), (_value(was, room, self._style.full), "bad")],
                [(f"{indent}{path} ", "key"), (_value(now, room, self._style.full), "good")],
            )
            return
        room = max((self._style.width - len(indent) - safe.width(path) - 6) // 2, 20)
        arrow = " → " if self._style.unicode else " -> "
        old, new = _value(was, room, self._style.full), _value(now, room, self._style.full)
        yield paint([(f"  {indent}{path} ", "key"), (old, "bad"), (arrow, "dim"), (new, "good")], self._style)

    def _columns(self, left: list[Part], right: list[Part]) -> str:
        """Two columns with a bar between; each cut to its width, unless full."""
        half, left, right = self._style._replace(width=self._column), _trimmed(left), _trimmed(right)
        plain = paint(left, half._replace(color=False))
        gap = " " * max(self._column - safe.width(plain), 0)
        bar = " │" if self._style.unicode else " |"
        middle: list[Part] = [(gap + bar, "dim")] if right else []
        between = paint(middle, self._style._replace(full=True))
        return paint(left, half) + between + paint([(" ", ""), *right], half)

    def _indent(self, depth: int) -> str:
        return "  " * min(depth, _INDENT)


def _trimmed(parts: list[Part]) -> list[Part]:
    """*parts* without blanks at the end, which would count as width."""
    while parts and not parts[-1][0].strip():
        parts = parts[:-1]
    return [*parts[:-1], (parts[-1][0].rstrip(), parts[-1][1])] if parts else []


def _name(text: str) -> str:
    return safe.one_line(text, 60) or '""'


def _value(value: Any, room: int, full: bool) -> str:
    if value is ABSENT:
        return "(absent)"
    text = words.spell(value)
    return safe.terminal(text) if full else safe.one_line(text, max(room, 20))
