"""A session as one HTML page, to open from disk or to mail: what happened first, then every step. Pure.

The first screen answers: what happened in a sentence, the numbers, a picture of the run, where it first went
wrong and what was seen there. Then the steps, to search, filter and open. All of it is there and readable
without a script; the script adds the picture, search and keys. All times are UTC.

Guarantees: nothing recorded can act (`html_values`, `html_document`); the page asks nothing of any server; what
is left out of a long session is said, and how to get it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..record import VERSION
from ..session import Session
from . import blocks, words
from .html_document import document, embedded, script
from .html_findings import findings, numbers
from .html_origins import Origins
from .html_places import OUTCOMES, Page, kind
from .html_steps import steps
from .html_values import escaped, line
from .timeline import timeline
from .verdict import verdict

__all__ = ["page"]

_STATES: Final = {"ended": "ended", "running": "running", "died": "died", "unknown": "state unknown"}


def page(session: Session, *, now: float | None = None, live: str = "", home: str = "") -> Iterator[str]:
    """The whole page in pieces. *now* is the time to print and to measure open steps by.

    Of a page that a server hands out, *live* is the address of its events, *home* that of the list of sessions.
    """
    title = f"{blocks.short(session.agent, 100) or '(no name)'} — {session.id or '(no id)'}"
    yield from document(title, _body(Page(session, now), live, home), live=bool(live))


def _body(page: Page, live: str, home: str) -> Iterator[str]:
    origins = Origins(page.session)
    yield '<a class="skip" href="#list">Skip to the steps</a>\n'
    yield from _head(page, home)
    yield "<main>\n"
    yield from _picture()
    yield embedded(_data(page, live))
    yield script()
    yield '<div id="findings">\n'
    yield from findings(page, origins)
    yield "</div>\n"
    yield from _steps(page, origins)
    yield "</main>\n"
    made = "" if page.now is None else f"{words.moment(page.now, ms=False)} "
    yield f"<footer>Generated {made}by ai_trace {VERSION}. All times are UTC.</footer>\n"


def _head(page: Page, home: str) -> Iterator[str]:
    session = page.session
    yield '<header id="head">\n'
    back = f'<a href="{escaped(home)}">all sessions</a> · ' if home else ""
    took = f"{words.duration(session.duration_ms)} by the clock"
    if session.state == "running" and page.now is not None and session.started_at is not None:
        took = f"{words.duration(max(page.now - session.started_at, 0) * 1000)} so far"
    span = f"{page.moment(session.started_at, day=True)}, {took}"
    yield f'<p class="crumbs">{back}session {line(session.id) or "(no id)"} · {span}</p>\n'
    state = _STATES.get(session.state, "state unknown")
    pill = f'<span class="state {escaped(session.state)}">{state}</span>'
    yield f'<h1>{line(session.agent, 100) or "(no name)"} {pill}</h1>\n'
    yield f'<p class="verdict {_mood(session)}">{_verdict(page)}</p>\n'
    yield from numbers(page)
    yield "</header>\n"


def _mood(session: Session) -> str:
    if session.fatal_error is not None or session.state == "died":
        return "bad"
    return "warn" if session.totals.errors or session.unfinished or session.stopped_in is not None else "good"


def _verdict(page: Page) -> str:
    """The sentence; "\\0", which no escaped text holds, marks where its strong words begin and end."""
    quote = lambda text: f"<b>{line(text)}</b>"  # noqa: E731
    said = verdict(page.session, quote, now=page.now, bold="\0")
    return said.replace("\0", "<strong>", 1).replace("\0", "</strong>", 1).replace("\0", "")


def _picture() -> Iterator[str]:
    yield '<section id="timeline" aria-label="Timeline" hidden>\n'
    yield '<div class="bar"><h2>Timeline</h2><span id="span"></span><span class="tools">'
    for sign, name in (("−", "zoom out"), ("+", "zoom in"), ("all", "show all")):
        yield f'<button type="button" data-zoom="{name}" aria-label="{name}" title="{name}">{sign}</button>'
    yield "</span></div>\n"
    said = "Each step as a bar over time; the list below says the same."
    yield f'<canvas tabindex="0" role="img" aria-label="{said}"></canvas>\n'
    yield '<div id="tip" role="tooltip" hidden></div></section>\n'


def _data(page: Page, live: str) -> dict[str, Any]:
    """What the script needs to draw: for each step of the list its name, outcome, depth and bar."""
    records = [node.record for node in page.nodes]
    lanes, bars = timeline(page.session, records, page.now)
    names = {name: at for at, name in enumerate(dict.fromkeys(record.name for record in records))}
    rows = [
        [names[node.record.name], OUTCOMES.index(kind(node.record)), node.depth, bar.at_ms, bar.ms, bar.row]
        for node, bar in zip(page.nodes, bars)
    ]
    shown = [blocks.short(name, 100) for name in names]
    return {"names": shown, "lanes": [list(lane) for lane in lanes], "rows": rows, "live": live}


def _steps(page: Page, origins: Origins) -> Iterator[str]:
    total = len(page.session.steps)
    yield f'<section id="steps"><div class="bar"><h2>Steps <span id="count">{total:,}</span></h2>\n'
    yield _tools(page)
    yield "</div>\n"
    if page.left_out:
        name = line(f"{page.session.agent}_{page.session.id}")
        yield f'<p class="note">{page.left_out:,} of {total:,} steps are left out here: shown are those that failed or '
        yield "did not end, those around them, and the latest. "
        yield f"To see them all: <code>ai-trace view {name}</code></p>\n"
    if total:
        yield from steps(page, origins)
    else:
        yield "<p>None.</p>\n"
    yield '<p id="none" hidden>No step fits.</p></section>\n'


def _tools(page: Page) -> str:
    """Search and filter, for the script to bring to life."""
    counts = {word: 0 for word in OUTCOMES}
    names: dict[str, int] = {}
    for node in page.nodes:
        counts[kind(node.record)] += 1
        names[node.record.name] = names.get(node.record.name, 0) + 1
    said = {"error": "failed", "open": "not ended"}
    chips = "".join(
        f'<label class="chip {word}"><input type="checkbox" value="{at}" checked> '
        f"{said.get(word, word)} {counts[word]:,}</label>"
        for at, word in enumerate(OUTCOMES)
        if counts[word]
    )
    options = "".join(
        f'<option value="{at}">{line(name, 60)} ({times:,})</option>'
        for at, (name, times) in enumerate(names.items())
    )
    return (
        '<form id="tools" role="search" hidden>'
        '<input type="search" id="search" placeholder="Search  /" aria-label="Search in all steps" autocomplete="off">'
        f'<select id="name" aria-label="Name of the step"><option value="">all names</option>{options}</select>'
        f'<span class="chips" role="group" aria-label="Outcomes">{chips}</span>'
        '<button type="button" id="fold" title="fold or unfold all that lies inside other steps">fold</button>'
        '<button type="button" id="help" aria-label="Keys" title="keys">?</button></form>'
    )
