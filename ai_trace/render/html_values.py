"""A recorded value as HTML: text as text, objects and lists as they nest, long ones folded, images shown. Pure.

Guarantees: every recorded text comes out through `escaped`, so it adds no element, attribute, link or address
of its own, and no character that would hide or reorder text; an image is shown only from its own bytes, when
it is of a kind that cannot act (no SVG); what is cut says how much there was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import Any, Final

from .. import safe
from . import chat, words

__all__ = ["escaped", "line", "bulk", "value", "fields", "said", "text_block"]

INLINE: Final = 160  # characters; a longer value gets a block of its own
_IN_A_ROW: Final = 60  # characters of a value among others on one line
_BLOCK: Final = 800  # characters, and
_BLOCK_LINES: Final = 12  # lines; a longer text is folded
_ITEMS: Final = 200  # of one object or list
_DEPTH: Final = 4  # of nested blocks; below that, JSON
_IMAGE_CHARS: Final = 400_000  # base64 of one image: about 300 KB
_IMAGE: Final = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
_MAGIC: Final = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}  # first bytes, in base64


def escaped(text: str) -> str:
    """*text* for any place in a page, between tags or in a quoted attribute; line breaks and tabs stay."""
    return escape(safe.terminal(text, keep="\n\t"))


def line(text: str, length: int = INLINE) -> str:
    """*text* on one line, at most *length* characters, the cut visible."""
    return escape(safe.one_line(text, length))


def value(given: Any, limit: int, depth: int = 0) -> str:
    """*given* as a piece of HTML; of one text or JSON block at most *limit* characters are shown.

    What is short is bare text, so that a page of ten thousand steps has no element more than it needs.
    """
    if type(given) is str:
        return _image(given) or _text(given, limit)
    if type(given) is dict and type(given.get("base64")) is str:
        if image := _bytes_image(given):
            return image
    if type(given) is list and (turns := chat.turns(given)):
        return _conversation(turns, limit, depth)
    if bulk(given, INLINE) <= INLINE and len(flat := words.compact(given)) <= INLINE:
        return escaped(flat)
    if depth < _DEPTH and type(given) is dict:
        return _nested(words.plural(len(given), "field"), fields(given, limit, depth + 1), depth)
    if depth < _DEPTH and type(given) is list and any(type(item) in (dict, list, str) for item in given[:_ITEMS]):
        return _nested(words.plural(len(given), "item"), _items(given, limit, depth + 1), depth)
    return _json(given, limit)


def bulk(given: Any, enough: int) -> int:
    """About how many characters *given* has as JSON, counted no further than *enough*: it may be 16 MiB."""
    waiting, count = [given], 0
    while waiting and count <= enough:
        item = waiting.pop()
        if type(item) is dict:
            waiting += islice(item.values(), enough)
            count += 2 + sum(len(key) + 6 for key in islice(item, enough))
        elif type(item) is list:
            waiting += islice(item, enough)
            count += 2 * (len(item) + 1)
        else:
            count += len(item) + 2 if type(item) is str else 1
    return count


def _nested(count: str, body: str, depth: int) -> str:
    """The parts of an object or list; folded where it is the outermost one."""
    return body if depth else _folded(count, body)


def _json(given: Any, limit: int) -> str:
    """A list of numbers, or what lies too deep to be taken apart."""
    if type(given) is list and len(given) > limit:
        count = f"the first {limit:,} of {words.plural(len(given), 'item')}"
        return _folded(count, text_block(words.compact(given[:limit]), limit, "json"))
    text = words.compact(given, indent=2)
    return _folded(f"{line(text[:400], 80)} {_size(text)}", text_block(text, limit, "json"))


def fields(pairs: Mapping[str, Any], limit: int, depth: int = 0) -> str:
    """Names and values as a description list."""
    rows = []
    for at, (key, given) in enumerate(pairs.items()):
        if at == _ITEMS:
            rows.append(f"<dt>…</dt><dd>{words.plural(len(pairs) - at, 'more field')}, not shown here</dd>")
            break
        rows.append(f"<dt>{line(key, 100) or '&quot;&quot;'}</dt><dd>{value(given, limit, depth)}</dd>")
    return f'<dl class="fields">{"".join(rows)}</dl>'


def said(pairs: Mapping[str, Any], limit: int) -> str:
    """Names and values as what a log said: the short ones in a row, the others below."""
    short: list[str] = []
    long: dict[str, Any] = {}
    for key, given in pairs.items():
        text = words.spell(given) if bulk(given, _IN_A_ROW) <= _IN_A_ROW else ""
        if text and len(text) <= _IN_A_ROW and "\n" not in text and len(short) < _ITEMS:
            short.append(f"{line(key, 100)}={escaped(text)}")
        else:
            long[key] = given
    return f"<code>{'  '.join(short)}</code>" * bool(short) + (fields(long, limit) if long else "")


def text_block(text: str, limit: int, kind: str = "text") -> str:
    """A block of text or JSON, cut after *limit* characters."""
    rest = f'<p class="cut">the first {limit:,} of {len(text):,} characters</p>' if len(text) > limit else ""
    return f'<pre class="{kind}">{escaped(text[:limit])}</pre>{rest}'


def _items(given: list[Any], limit: int, depth: int) -> str:
    rows = [f"<li>{value(item, limit, depth)}</li>" for item in given[:_ITEMS]]
    if len(given) > _ITEMS:
        rows.append(f"<li>… {words.plural(len(given) - _ITEMS, 'more item')}, not shown here</li>")
    return f'<ol class="items" start="0">{"".join(rows)}</ol>'


def _text(text: str, limit: int) -> str:
    if len(text) <= INLINE and "\n" not in text:
        return escaped(words.spell(text))
    block = text_block(text, limit)
    if len(text) <= _BLOCK and text.count("\n") < _BLOCK_LINES:
        return block
    return _folded(f"{line(text[:400], 80)} {_size(text)}", block)


def _folded(summary: str, body: str) -> str:
    """*body* behind *summary*, both of them HTML."""
    return f'<details class="long"><summary>{summary}</summary>{body}</details>'


def _size(text: str) -> str:
    return f'<span class="size">{len(text):,} characters</span>'


def _image(text: str) -> str:
    """The picture that *text* is as a `data:` address, else ""."""
    if not text.startswith("data:image/") or len(text) > _IMAGE_CHARS:
        return ""
    found = _IMAGE.fullmatch(text)
    return _picture(found[1], found[2]) if found else ""


def _bytes_image(given: Mapping[str, Any]) -> str:
    """The picture that recorded bytes are, by how they begin, else ""; of one that was cut, that it was."""
    encoded = given["base64"]
    kind = next((kind for magic, kind in _MAGIC.items() if encoded.startswith(magic)), None)
    if kind is None or "$cut" not in given:
        return _image(f"data:image/{kind};base64,{encoded}") if kind else ""
    cut = given["$cut"]
    whole = words.size(cut["bytes"]) if type(cut) is dict and type(cut.get("bytes")) is int else "more"
    kept = words.size(len(encoded) * 3 // 4)
    why = f"A {kind} picture of {whole}: of bytes only the first {kept} are recorded, too few to show it."
    how = "To see it here, log it as a <code>data:</code> text."
    return f'<p class="cut">{why} {how}</p>{_json(given, _BLOCK)}'


def _conversation(turns: list[chat.Turn], limit: int, depth: int) -> str:
    """Messages to and from a model, as they were spoken."""
    rows = []
    for turn in turns[:_ITEMS]:
        said_ = "".join(f"<div>{_spoken(part, limit, depth + 2)}</div>" for part in turn.said)
        rest = fields(turn.rest, limit, depth + 2) if turn.rest else ""
        rows.append(f'<li class="{turn.side}"><b class="role">{line(turn.role, 40)}</b>{said_}{rest}</li>')
    if len(turns) > _ITEMS:
        rows.append(f"<li>… {words.plural(len(turns) - _ITEMS, 'more message')}, not shown here</li>")
    return f'<ol class="chat">{"".join(rows)}</ol>'


def _spoken(part: Any, limit: int, depth: int) -> str:
    """A part of a message; a short text as it stands, also where it could be taken for a number or JSON."""
    short = type(part) is str and len(part) <= INLINE and "\n" not in part and not part.startswith("data:")
    return escaped(part) if short else value(part, limit, depth)


def _picture(kind: str, encoded: str) -> str:
    size = words.size(len(encoded) * 3 // 4)
    source = f"data:image/{kind};base64,{encoded}"
    return f'<img src="{source}" alt="recorded {kind} image, {size}" loading="lazy" decoding="async">'
