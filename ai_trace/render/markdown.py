"""A session as a Markdown page: the postmortem first (`postmortem.py`), then every step. Pure.

Written for someone who opens it at breakfast after the agent went wrong at three in the morning: what
happened in one sentence, where it first went wrong and what was seen there, then the rest in order of use.
Good to read as raw text and rendered (CommonMark with GitHub's tables). All times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .. import safe
from ..record import VERSION, Record
from ..session import Session
from ..tree import Node
from . import blocks, postmortem, words

__all__ = ["lines"]

MANY: Final = 2_000  # steps; beyond them only those that failed, were cancelled or did not end are listed
_SIGNS: Final = {"ok": "✅", "error": "❌", "cancelled": "🚫"}
_PLAIN_SIGNS: Final = {"ok": "✔", "error": "✘", "cancelled": "⊘"}
_OUTLINE_INDENT: Final = 20  # levels


def lines(session: Session, *, now: float | None = None, good: Session | None = None) -> Iterator[str]:
    """The whole page, a stream of lines. *now* is the time to print and to measure open steps by, *good* an
    earlier run of the same agent, which went well, to compare with."""
    day = postmortem.spans_days(session)
    agent = safe.markdown(blocks.short(session.agent)) or "(no name)"
    yield f"# Trace: {agent} — {safe.markdown(session.id) or '(no id)'}"
    yield ""
    made = "" if now is None else f"{words.moment(now, ms=False)} "
    yield f"*Generated: {made}by ai_trace {VERSION}. All times are UTC.*"
    yield ""
    yield from postmortem.lines(session, now=now, day=day, good=good)
    yield "## Steps"
    yield ""
    yield from _steps(session, now, day)


def _steps(session: Session, now: float | None, day: bool) -> Iterator[str]:
    if not session.steps:
        yield "None."
        return
    many = len(session.steps) > MANY
    if many:
        left_out = sum(not _stands_out(record) for record in session.steps)
        name = safe.code(f"{session.agent}_{session.id}")
        yield f"Only steps that failed, were cancelled or did not end are listed here; {left_out:,} others are left out."
        yield f"To see them all: `ai-trace view` with the session {name}."
        yield ""
    else:
        yield from _outline(session)
    around: list[Record] = []  # the steps that the one at hand lies in, root first
    for at, node in enumerate(session.walk(), 1):
        del around[node.depth :]
        if not many or _stands_out(node.record):
            yield f"### {at}. {_title(session, node, now)}"
            yield ""
            yield from _step(node, around, day)
        node.record.shed()
        around.append(node.record)


def _stands_out(record: Record) -> bool:
    return record.open or record.outcome in ("error", "cancelled")


def _outline(session: Session) -> Iterator[str]:
    """All steps at a glance, in a fenced block; the numbers are those of the headings below."""
    if len(session.steps) < 2:
        return
    rows = []
    for at, node in enumerate(session.walk(), 1):
        record = node.record
        sign = "…" if record.open else _PLAIN_SIGNS.get(record.outcome or "", "○")
        took = "not ended" if record.open else words.duration(record.duration_ms)
        indent = "  " * min(node.depth, _OUTLINE_INDENT)
        rows.append(f"{at:>4}  {indent}{sign} {safe.one_line(record.name, 60)}  {took}")
    yield from safe.fence("\n".join(rows), "text")
    yield ""


def _step(node: Node, around: list[Record], day: bool) -> Iterator[str]:
    record = node.record
    place = f" · in {words.route(around, blocks.quote)}" if around else ""
    yield f"{words.moment(record.started_at, day=day)}{place}{_word(record)}"
    yield ""
    if record.context:
        yield "**Context:**"
        yield ""
        yield from blocks.fields(record.context)
        yield ""
    if entries := record.logs:
        yield "**Logs:**"
        yield ""
        yield from blocks.logs(entries, day=day)
        yield ""
    if record.error or record.traceback:
        yield from _failure(node)
        yield ""


def _title(session: Session, node: Node, now: float | None) -> str:
    record = node.record
    name = safe.code(blocks.short(record.name, 100))
    if not record.open:
        return f"{_SIGNS.get(record.outcome or '', '🔹')} {name} ({words.duration(record.duration_ms)})"
    innermost = not any(child.record.open for child in node.children)
    sign = "💥" if session.state == "died" and innermost else "⏳"
    return f"{sign} {name} ({words.inflight(record, session.state, now, innermost=innermost)})"


def _word(record: Record) -> str:
    """The outcome where its sign does not say it all, and where the step ran, if not in the main thread."""
    known = record.open or record.outcome in _SIGNS
    word = "" if known else f" · outcome {blocks.quote(record.outcome or '')}"
    thread = f" · thread {blocks.quote(record.thread)}" if record.thread else ""
    return word + thread + (f" · task {blocks.quote(record.task)}" if record.task else "")


def _failure(node: Node) -> Iterator[str]:
    """The error; its traceback folded, and left out where a step inside brings the same."""
    record = node.record
    below = any(child.record.error == record.error for child in node.children)
    where = " (came up from inside)" if below else ""
    yield f"**Error:** {safe.code(blocks.short(record.error or '', 500))}{where}"
    if record.traceback and not below:
        yield ""
        yield "<details><summary>traceback</summary>"
        yield ""
        yield from safe.fence(blocks.last(record.traceback, blocks.BRIEF), "text")
        yield ""
        yield "</details>"
