"""The sessions of a folder as a page of links. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from . import words
from .html_document import document
from .html_values import line

if TYPE_CHECKING:
    from ..folder import Entry

__all__ = ["page"]

_SHOWN: Final = 1_000  # sessions; the state of each costs a look at its files


def page(name: str, entries: Sequence[Entry], *, now: float) -> Iterator[str]:
    """The page; *name* is the folder's."""
    yield from document(f"Traces in {name}", _body(name, entries, now))


def _body(name: str, entries: Sequence[Entry], now: float) -> Iterator[str]:
    yield f'<header><h1>Traces in {line(name)}</h1><p class="dim">{words.plural(len(entries), "session")}, '
    yield f"newest first, as of {words.moment(now, ms=False)}</p></header>\n<main>\n"
    yield '<div class="scroll"><table><thead><tr><th>Agent</th><th>Session</th><th>State</th><th>Began</th>'
    yield "<th class=num>Size</th></tr></thead><tbody>\n"
    for entry in entries[:_SHOWN]:
        link = f'<a href="/session/{quote(entry.name, safe="", errors="surrogatepass")}">{line(entry.id)}</a>'
        state = f'<span class="state {line(entry.state)}">{line(entry.state)}</span>'
        began = words.moment(entry.started_at, ms=False)
        yield f"<tr><td>{line(entry.agent) or '(no name)'}</td><td>{link}</td><td>{state}</td><td>{began}</td>"
        yield f"<td class=num>{words.size(entry.size)}</td></tr>\n"
    yield "</tbody></table></div>\n"
    if len(entries) > _SHOWN:
        yield f"<p>… and {words.plural(len(entries) - _SHOWN, 'older session')}; see <code>ai-trace list</code></p>\n"
    yield "</main>\n"
