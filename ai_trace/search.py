"""The steps of a journal that may hold a text, found without parsing the others.

A search looks at decoded text, and most lines can be passed over by their bytes: `needle` answers what must
stand in the line of every step in which a pattern can be found. It is exact, whoever wrote the line. So it takes
no character that JSON may write in two ways (quotes, backslashes, slashes, all beyond ASCII), none at which the
texts of a search are joined (`order.id=17`), no number (`1e2` is shown as `100.0`), and, where case is ignored,
no letter with a third form (`k` fits the Kelvin sign). A block in which ASCII stands escaped is read whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .line import decode
from .lines import BLOCK, Lines
from .packed import opened
from .record import Record

__all__ = ["Needle", "needle", "steps"]

_CHOICES: Final = frozenset("{}[]()|\\")  # in a regular expression with one of these nothing must stand there
_LOOSE: Final = re.compile(r".?[*?]|[.^$+]", re.DOTALL)  # and what any other may leave out, or put in between
_UNSAFE: Final = re.compile(r"[^ -~]|[\"\\/.=]")
_UNSAFE_FOLDED: Final = re.compile(r"[^ -~]|[\"\\/.=iksIKS]")  # re.IGNORECASE: i fits U+0131, k U+212A, s U+017F
_NUMBER: Final = re.compile(r"[0-9eE+-]*")
_ESCAPE: Final = b"\\u00"
_ESCAPED: Final = re.compile(rb"\\u00[2-7]")


class Needle(NamedTuple):
    """Bytes that stand in a line; where *folded*, in small letters, whatever the line has."""

    text: bytes
    folded: bool


def needle(pattern: str, *, fixed: bool = False, ignore_case: bool = False) -> Needle | None:
    """What stands in the line of each step in which *pattern* is found; None where every line has to be read.

    *fixed* says that *pattern* is no regular expression.
    """
    if not fixed:
        if not _CHOICES.isdisjoint(pattern):
            return None
        pattern = _LOOSE.sub("\n", pattern)
    pieces = (_UNSAFE_FOLDED if ignore_case else _UNSAFE).split(pattern)
    best = max((piece for piece in pieces if not _NUMBER.fullmatch(piece)), key=len, default="")
    text = (best.lower() if ignore_case else best).encode("ascii")
    return Needle(text, ignore_case) if text else None


def steps(path: str, wanted: Needle | None, *, tick: Callable[[int], object] | None = None) -> Iterator[Record]:
    """The steps of the journal *path* whose line may hold *wanted*, in order; *tick* is told the bytes read.

    A line is believed by its fixed part and its length where those fit, as by `reader.scan` without *check*.
    """
    lines = Lines()
    with opened(path) as file:
        for block in file.blocks(BLOCK):
            first, begin, end = lines.first(block)
            if first is not None and first[2] is not None:
                yield from _decoded(first[2], path, first[0], lines.count)
            for start, stop, number in _places(block, begin, end, wanted):
                count = (lines.count or 0) + number
                yield from _decoded(block[start:stop], path, lines.offset + start - begin, count)
            lines.give(end - begin, block.count(b"\n", begin, end))
            if tick is not None:
                tick(len(block))
    yield from _decoded(lines.tail, path, lines.offset, (lines.count or 0) + 1)


def _places(block: bytes, begin: int, end: int, wanted: Needle | None) -> Iterator[tuple[int, int, int]]:
    """(start, end, number from 1) of the lines between *begin* and *end* that may hold *wanted*."""
    look = block.lower() if wanted is not None and wanted.folded else block
    escaped = _ESCAPE in look and _ESCAPED.search(look, begin, end)
    mark = b"\n" if wanted is None or escaped else wanted.text
    start, number = begin, 1
    at = look.find(mark, begin, end)
    while at >= 0:
        line = look.rfind(b"\n", start, at) + 1 or start
        number += look.count(b"\n", start, line)
        start = look.index(b"\n", at) + 1
        yield line, start, number
        number += 1
        at = look.find(mark, start, end)


def _decoded(line: bytes, path: str, offset: int, number: int | None) -> Iterator[Record]:
    for item in decode(line, path, offset, number, check=False):
        if isinstance(item, Record):
            yield item
