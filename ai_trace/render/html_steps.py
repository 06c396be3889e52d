"""The steps of a session as a list in HTML: a line for each, and below it, folded, all it saw and said. Pure.

It is whole without a script: a `details` opens by itself, and each step has an address (`#step-<id>`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..record import Record, number
from ..tree import Node
from . import blocks, words
from .html_origins import Origins
from .html_places import Page, kind, way_down
from .html_values import bulk, escaped, fields, line, said, text_block, value

__all__ = ["steps", "knowledge", "error", "traceback", "inflight"]

MAX_BYTES: Final = 48 * 1024 * 1024  # of what steps saw and said; as much again for those that failed or are open
_PART: Final = 100  # steps that a browser lays out together, once they come near the window
_LEVELS: Final = 12  # of indentation
_BRIEF: Final = 140  # characters of a line
_FEW: Final = 50  # of an object or list in it; of a longer one only how much it holds
_SHOWN_LOGS: Final = 400  # of one step; half from the start, half from the end
_SIGNS: Final = {"ok": "✓", "error": "✗", "cancelled": "⊘", "other": "•", "open": "◌"}
_SAID: Final = {"ok": "", "error": "failed", "cancelled": "cancelled", "open": "not ended"}


def steps(page: Page, origins: Origins) -> Iterator[str]:
    """The whole list; what the steps saw and said, as far as `MAX_BYTES` go."""
    room = MAX_BYTES
    yield '<div id="list" role="list">'
    for at, node in enumerate(page.nodes):
        if at % _PART == 0:
            yield f'{"</ol>" if at else ""}\n<ol class="part" role="presentation">\n'
        inside = "".join(_body(page, origins, node, blocks.BRIEF))
        more = MAX_BYTES if kind(node.record) in ("error", "open") else 0
        if len(inside) > room + more:
            inside = _left_out(page, node.record, len(inside))
        else:
            room -= len(inside)
        yield from _step(page, node, inside, old=len(origins.stale(node.record)))
        node.record.shed()
    yield "</ol></div>\n"


def _step(page: Page, node: Node, inside: str, *, old: int) -> Iterator[str]:
    word, level = kind(node.record), min(node.depth, _LEVELS)
    yield f'<li id="{page.anchors[node.record]}" class="{word} d{level}" role="listitem" aria-level="{node.depth + 1}">'
    yield f"<details><summary>{_line(page, node, word, old)}</summary>{inside}</details></li>\n"


def _left_out(page: Page, record: Record, size: int) -> str:
    command = f"ai-trace view {page.session.agent}_{page.session.id} --step {record.id} --full"
    why = f"What it saw and said ({size:,} characters) is left out here, as the page is long."
    return f'<p class="cut">{why} To see it: <code>{line(command, 200)}</code></p>'


def _line(page: Page, node: Node, word: str, old: int) -> str:
    """What stands of a step in the list: sign, name, a few words, how many old values it used, time taken, its number."""
    record = node.record
    how = _SAID.get(word, escaped(blocks.short(record.outcome or "no outcome", 40)))
    sign = f'<span class="sign" title="{how or "ok"}">{_SIGNS[word]}</span>'
    hint = f'<span class="sr"> {how},</span>' if how else ""
    name = line(record.name, 100) or '""'
    took = words.duration(record.duration_ms) if not record.open else inflight(page, node)
    number_ = f'<a class="n" href="#{page.anchors[record]}" title="link to this step">#{page.numbers[record]}</a>'
    parts = [sign, f'<b class="name">{name}</b>', hint, f' <span class="brief">{_brief(record)}</span>']
    if old:
        parts.append(f' <span class="old">{words.plural(old, "old value")}</span>')
    if used := _usage(record.usage):
        parts.append(f' <span class="use">{used}</span>')
    return "".join([*parts, f' <span class="took">{took}</span> ', number_])


def inflight(page: Page, node: Node) -> str:
    """What is known of an open step, in words."""
    innermost = not any(child.record.open for child in node.children)
    return escaped(words.inflight(node.record, page.session.state, page.now, innermost=innermost))


def _brief(record: Record) -> str:
    """The error, or else the first of what it saw, or of what it said."""
    if record.error:
        return line(record.error, _BRIEF)
    seen: dict[str, Any] = record.context or (record.logs[-1] if record.logs else {})
    parts: list[str] = []
    for key, given in seen.items():
        if key != "_t":
            parts.append(given[:_BRIEF] if key == "message" and type(given) is str else f"{key[:40]}={_few(given)}")
        if sum(map(len, parts)) > _BRIEF:
            break
    return line("  ".join(parts), _BRIEF)


def _few(given: Any) -> str:
    if type(given) is str:
        return given[:_BRIEF]
    if type(given) in (dict, list) and bulk(given, _FEW) > _FEW:
        return f"{{{words.plural(len(given), 'field')}}}" if type(given) is dict else f"[{words.plural(len(given), 'item')}]"
    return words.compact(given)[:_BRIEF]


def _usage(used: Mapping[str, Any]) -> str:
    """Tokens and cost of one step, as far as they are known."""
    parts = []
    tokens = [number(used.get(name)) for name in ("input_tokens", "output_tokens")]
    if any(count is not None for count in tokens):
        parts.append(" → ".join("?" if count is None else f"{count:,.0f}" for count in tokens) + " tokens")
    if (cost := number(used.get("cost_usd"))) is not None:
        parts.append(f"${cost:,.4f}")
    return ", ".join(parts)


def _body(page: Page, origins: Origins, node: Node, limit: int) -> Iterator[str]:
    """All below the line: when and where, what it saw and said, how it failed."""
    yield f'<div class="body"><p class="facts">{_facts(page, node)}</p>'
    yield from knowledge(page, origins, node.record, limit)
    yield from _failure(node, limit)
    yield "</div>"


def knowledge(page: Page, origins: Origins, record: Record, limit: int, *, stale: bool = True) -> Iterator[str]:
    """What a step saw, where that came from, and what it said; what was *stale*, unless that was told before."""
    if record.context:
        yield f'<p class="label">saw</p>{fields(record.context, limit)}'
    yield from origins.of(page, record, stale=stale)
    if entries := record.logs:
        yield f'<p class="label">said</p><ol class="logs">{"".join(_logs(page, entries, limit))}</ol>'


def _facts(page: Page, node: Node) -> str:
    record = node.record
    parts = [page.moment(record.started_at)]
    if page.session.started_at is not None and (at := number(record.started_at)) is not None:
        parts.append(f"{words.duration(max(at - page.session.started_at, 0) * 1000)} after the start")
    if node.parent is not None:
        parts.append(f"in {way_down(page, node.parent.record)}")
    if kind(record) == "other":
        parts.append(f"outcome <b>{line(record.outcome or 'none', 60)}</b>")
    parts += [f"{what} <b>{line(name, 60)}</b>" for what, name in (("thread", record.thread), ("task", record.task)) if name]
    if record.usage.get("model"):
        parts.append(f"model <b>{line(str(record.usage['model']), 60)}</b>")
    return f'{" · ".join(parts)} · <code class="id">{line(record.id, 64)}</code>'


def _logs(page: Page, entries: list[dict[str, Any]], limit: int) -> Iterator[str]:
    half = _SHOWN_LOGS // 2
    between = max(len(entries) - _SHOWN_LOGS, 0)
    for entry in entries[:half] if between else entries:
        yield _log(page, entry, limit)
    if between:
        yield f'<li class="cut">… {words.plural(between, "more log")}, not shown here …</li>'
        for entry in entries[-half:]:
            yield _log(page, entry, limit)


def _log(page: Page, entry: dict[str, Any], limit: int) -> str:
    rest = {key: given for key, given in entry.items() if key != "_t"}
    message = value(rest.pop("message"), limit) if type(rest.get("message")) is str else ""
    return f"<li>{page.moment(number(entry.get('_t')))} {message} {said(rest, limit)}</li>"


def _failure(node: Node, limit: int) -> Iterator[str]:
    """The error and its traceback; where a step inside brought the same error, only that it did."""
    record = node.record
    if not (record.error or record.traceback):
        return
    below = any(child.record.error == record.error for child in node.children)
    came = ' <span class="dim">(came up from inside)</span>' if below else ""
    yield f'<p class="label">failed{came}</p>{error(record)}'
    if not below:
        yield traceback(record, limit)


def error(record: Record) -> str:
    """The error, as a block."""
    return f'<pre class="error">{escaped(blocks.short(record.error or "no error was recorded", 2000))}</pre>'


def traceback(record: Record, limit: int) -> str:
    """The whole traceback, or the end of it, folded."""
    if not record.traceback:
        return ""
    text = text_block(blocks.last(record.traceback, limit), limit + 100)
    return f'<details class="long"><summary>traceback</summary>{text}</details>'
