"""Two runs compared, as a page: where they first part, then every step with a difference in its place. Pure.

Steps without a difference are counted, not shown, unless they lie around one. Good without a script.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..alignment import ABSENT, Comparison, Difference, Row
from ..record import VERSION, Record
from ..session import Session
from . import blocks, comparison, words
from .html_document import document
from .html_values import escaped, line, value

__all__ = ["page"]

_SHOWN: Final = 2_000  # steps with differences
_LEVELS: Final = 12  # of indentation


def page(a: Session, b: Session, found: Comparison, *, now: float | None = None) -> Iterator[str]:
    """The whole page in pieces: what *b* does otherwise than *a*."""
    yield from document(f"{_title(a)} compared with {_title(b)}", _body(a, b, found, now))


def _body(a: Session, b: Session, found: Comparison, now: float | None) -> Iterator[str]:
    yield "<header><h1>Two runs compared</h1>\n<dl class=fields>"
    for side, session in (("A", a), ("B", b)):
        steps = words.plural(len(session.steps), "step")
        yield f"<dt>{side}</dt><dd>{line(_title(session))}, {line(session.state)}, {steps}</dd>"
    mood = "warn" if found.first else "good"
    yield f'</dl>\n<p class="verdict {mood}">{_verdict(a, b, found)}</p></header>\n<main>\n'
    if found.meta:
        yield "<section class=note><h2>What the agents said of themselves (not counted)</h2>"
        yield f"{_fields(found.meta)}</section>\n"
    if found.first is not None:
        yield '<section id="steps"><h2>Differences</h2>\n'
        yield from _steps(a, b, found.rows)
        yield "</section>\n"
    made = "" if now is None else f"{words.moment(now, ms=False)} "
    yield f"</main>\n<footer>Generated {made}by ai_trace {VERSION}. "
    yield "Times, ids and processes are not compared.</footer>\n"


def _verdict(a: Session, b: Session, found: Comparison) -> str:
    if found.first is None:
        return "<strong>No differences.</strong>"
    count = words.plural(len(found.differences), "difference")
    return f"<strong>{count}</strong>; the first: <b>{escaped(comparison.place(found.first, a, b))}</b>"


def _steps(a: Session, b: Session, rows: list[Row]) -> Iterator[str]:
    """Every step with a difference below those around it, and how many same ones lie between."""
    ours, theirs = ({step: at for at, step in enumerate(run.steps, 1)} for run in (a, b))
    waiting: list[Row] = []  # without differences, and not told yet
    shown = 0
    yield '<ol class="part">\n'
    for row in rows:
        if not row.differences:
            waiting.append(row)
        elif shown < _SHOWN:
            for same, one in _before(waiting, row):
                yield _same(same) + _step(one, ours, theirs)
            waiting = []
            shown += 1
    yield f"{_same(len(waiting))}</ol>\n"
    left_out = sum(1 for row in rows if row.differences) - shown
    if left_out:
        more = words.plural(left_out, "more step")
        yield f'<p class="cut">… {more} with differences; see <code>ai-trace diff --full</code></p>\n'


def _before(waiting: list[Row], row: Row) -> Iterator[tuple[int, Row]]:
    """*row* and those of *waiting* that it lies in, outer first, each with how many others stand before it."""
    around, depth = [row], row.depth
    for one in reversed(waiting):
        if one.depth < depth:
            around.append(one)
            depth = one.depth
    same = 0
    for one in (*waiting, row):
        if one is around[-1]:
            yield same, around.pop()
            same = 0
        else:
            same += 1


def _same(count: int) -> str:
    return f'<li class="same">{words.plural(count, "step")} the same</li>\n' if count else ""


def _step(row: Row, ours: dict[Record, int], theirs: dict[Record, int]) -> str:
    record = row.a or row.b
    assert record is not None
    places = [f"A #{ours[row.a]:,}" if row.a else "", f"B #{theirs[row.b]:,}" if row.b else ""]
    only = "" if row.a and row.b else f" only in {'A' if row.a else 'B'}"
    kind = "" if not only else "removed" if row.a else "added"
    inside = sum(one.inside for one in row.differences)
    with_ = f", with {words.plural(inside, 'step')} inside" if inside else ""
    name = f'<b class="name">{line(record.name, 100)}</b>{only}{with_}'
    head = f'<p>{name} <span class="dim">{", ".join(place for place in places if place)}</span></p>'
    changed = _fields([one for one in row.differences if one.path])
    return f'<li class="{kind} d{min(row.depth, _LEVELS)}">{head}{changed}</li>\n'


def _fields(differences: list[Difference]) -> str:
    if not differences:
        return ""
    rows = "".join(
        f"<tr><th>{line(one.path, 120)}</th>"
        f"<td class=removed>{_value(one.was)}</td><td class=added>{_value(one.now)}</td></tr>"
        for one in differences
    )
    head = "<thead><tr><th>field</th><th>A</th><th>B</th></tr></thead>"
    return f'<div class="scroll"><table class="changes">{head}<tbody>{rows}</tbody></table></div>'


def _value(given: Any) -> str:
    return '<span class="dim">absent</span>' if given is ABSENT else value(given, blocks.BRIEF)


def _title(session: Session) -> str:
    name = f"{session.agent}_{session.id}" if session.agent or session.id else "(no name)"
    return blocks.short(name, 100)
