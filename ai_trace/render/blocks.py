"""The pieces of a page in Markdown: tables, lists of what a step saw and logged, folded long values. Pure.

Guarantee: recorded text stands in code spans and fenced blocks alone, so it can add no heading, table cell,
link or HTML of its own, neither in the raw text nor rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .. import safe
from ..record import number
from . import words

__all__ = ["BRIEF", "WHOLE", "quote", "quote_cell", "table", "fields", "logs", "short", "last"]

BRIEF: Final = 20_000  # characters of one folded value in the list of steps: some screens, but no book
WHOLE: Final = 200_000  # the same where the run went wrong; GitHub renders files up to 512 KiB
_INLINE: Final = 160  # a value longer than this is folded
_NAME: Final = 100  # of a name or key
_SHOWN_FIELDS: Final = 200  # of one context
_SHOWN_LOGS: Final = 200  # of one step; 100 from the start, 100 from the end


def short(text: str, length: int = _INLINE) -> str:
    """*text* on one line, at most *length* characters, the cut visible."""
    return safe.shorten(text[: length + 1], length)


def quote(text: str) -> str:
    """*text*, shortened, as a code span."""
    return safe.code(short(text))


def quote_cell(text: str) -> str:
    """*text*, shortened, as a code span for a table cell."""
    return safe.code(short(text, _NAME), table=True)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table from cells that are safe already; a column whose title ends in ":" is right-aligned."""
    titles = list(head)
    yield "| " + " | ".join(title.removesuffix(":") for title in titles) + " |"
    yield "|" + "|".join("---:" if title.endswith(":") else "---" for title in titles) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def fields(pairs: Mapping[str, Any], limit: int = BRIEF) -> Iterator[str]:
    """A list, one `key`: `value` each; a long value is shown by its beginning, the whole folded below."""
    for at, (key, value) in enumerate(pairs.items()):
        if at == _SHOWN_FIELDS:
            yield f"- *… {words.plural(len(pairs) - at, 'more field')}, not shown here …*"
            return
        text = words.spell(value)
        name = safe.code(short(key, _NAME))
        if _is_short(text):
            yield f"- {name}: {safe.code(text)}"
        else:
            yield f"- {name}: {_opening(text)}"
            yield from _folded(value, text, limit)


def logs(entries: list[dict[str, Any]], *, day: bool, limit: int = BRIEF) -> Iterator[str]:
    """A list of log entries: time, message, fields; long values folded below their entry."""
    half = _SHOWN_LOGS // 2
    between = len(entries) - _SHOWN_LOGS if len(entries) > _SHOWN_LOGS else 0
    for entry in entries[:half] if between else entries:
        yield from _log(entry, day, limit)
    if between:
        yield f"- *… {words.plural(between, 'more log')}, not shown here …*"
        for entry in entries[-half:]:
            yield from _log(entry, day, limit)


def _log(entry: dict[str, Any], day: bool, limit: int) -> Iterator[str]:
    rest = {key: value for key, value in entry.items() if key != "_t"}
    parts = []
    long = []
    if type(rest.get("message")) is str:
        text = rest.pop("message")
        parts.append(safe.code(text) if _is_short(text) else _opening(text))
        if not _is_short(text):
            long.append((text, text))
    for key, value in rest.items():
        text = words.spell(value)
        name = safe.code(short(key, _NAME))
        parts.append(f"{name} = {safe.code(text) if _is_short(text) else _opening(text)}")
        if not _is_short(text):
            long.append((value, text))
    yield f"- {words.moment(number(entry.get('_t')), day=day)} — {', '.join(parts) or '(empty)'}"
    for value, text in long:
        yield from _folded(value, text, limit)


def last(text: str, limit: int) -> str:
    """The end of *text*: a traceback says what happened in its last lines."""
    return text if len(text) <= limit else f"… {len(text) - limit:,} characters before\n{text[-limit:]}"


def _is_short(text: str) -> bool:
    return len(text) <= _INLINE and "\n" not in text


def _opening(text: str) -> str:
    """The beginning of a long text, with how long it is."""
    start = safe.shorten(" ".join(text[: 4 * _NAME].split()), 80, "")
    return f"{safe.code(start + '…')} ({len(text):,} characters)"


def _folded(value: Any, text: str, limit: int) -> Iterator[str]:
    """The whole of a long value inside the list item above it, folded where the page can fold."""
    body = text if type(value) is str else words.compact(value, indent=2)
    summary = f"all {len(text):,} characters"
    if len(body) > limit:
        summary = f"the first {limit:,} of {len(body):,} characters"
        body = body[:limit] + "\n…"
    yield ""
    yield f"  <details><summary>{summary}</summary>"
    yield ""
    for line in safe.fence(body, "text" if type(value) is str else "json"):
        yield f"  {line}" if line else ""
    yield ""
    yield "  </details>"
    yield ""
