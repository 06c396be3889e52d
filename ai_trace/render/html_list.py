"""The sessions of a folder as a page of links. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from . import words
from .html_document import document
from .html_values import line

if TYPE_CHECKING:
    from ..folder import Entry

    Facts = Callable[[Sequence[Entry]], Iterable[Mapping[str, Any]]]

__all__ = ["page"]

_SHOWN: Final = 1_000  # sessions; the state of each costs a look at its files
_HEAD: Final = ("Agent", "Session", "State", "Began", "Duration", "Steps", "Errors", "Size")
_NUMBERS: Final = 4  # of the columns stand to the right, the last ones


def page(name: str, entries: Sequence[Entry], *, now: float, facts: Facts | None = None) -> Iterator[str]:
    """The page; *name* is the folder's.

    *facts* tells of each session it is given: `shown_state`, `duration_ms`, `steps`, `unfinished`, `errors`.
    """
    yield from document(f"Traces in {name}", _body(name, entries, now, facts))


def _body(name: str, entries: Sequence[Entry], now: float, facts: Facts | None) -> Iterator[str]:
    yield f'<header><h1>Traces in {line(name)}</h1><p class="dim">{words.plural(len(entries), "session")}, '
    yield f"newest first, as of {words.moment(now, ms=False)}</p></header>\n<main>\n"
    heads = "".join(f"<th{_side(at)}>{head}</th>" for at, head in enumerate(_HEAD))
    yield f'<div class="scroll"><table class="sessions"><thead><tr>{heads}</tr></thead><tbody>\n'
    shown = entries[:_SHOWN]
    for told, entry in zip(facts(shown) if facts is not None else [{}] * len(shown), shown):
        cells = "".join(f"<td{_side(at)}>{cell}</td>" for at, cell in enumerate(_cells(entry, told)))
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table></div>\n"
    if len(entries) > _SHOWN:
        yield f"<p>… and {words.plural(len(entries) - _SHOWN, 'older session')}; see <code>ai-trace list</code></p>\n"
    yield "</main>\n"


def _side(at: int) -> str:
    return " class=num" if at >= len(_HEAD) - _NUMBERS else ""


def _cells(entry: Entry, told: Mapping[str, Any]) -> Iterator[str]:
    """The cells of a row, as HTML."""
    state = line(told.get("shown_state") or entry.state)
    open_steps = f"+{told['unfinished']:,}" if told.get("unfinished") else ""
    yield line(entry.agent) or "(no name)"
    yield f'<a href="/session/{quote(entry.name, safe="", errors="surrogatepass")}">{line(entry.id)}</a>'
    yield f'<span class="state {state}">{state}</span>'
    yield words.moment(entry.started_at, ms=False)
    yield words.duration(told.get("duration_ms"))
    known = told.get("steps") is not None
    yield f"{told['steps']:,}{open_steps}" if known else "?"
    yield f"{told['errors']:,}" if known else "?"
    yield words.size(entry.size)
