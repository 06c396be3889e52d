"""Rows in columns, each as wide as its widest cell, wide characters counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .. import safe
from .output import DIM, Output

__all__ = ["write"]

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def write(out: Output, head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Write *rows* under *head*; the columns *right* stand to the right.

    Cells may hold our own colours, but no other escapes. A line is never broken: a terminal wraps it.
    """
    body = [tuple(row) for row in rows]
    wide = [max(map(_width, column)) for column in zip(head, *body)]
    ends = set(right)
    for n, row in enumerate([tuple(head), *body]):
        cells = [_pad(cell, wide[at], at in ends) for at, cell in enumerate(row)]
        text = "  ".join(cells).rstrip()
        out.line(out.paint(text, DIM) if n == 0 else text)


def _width(cell: str) -> int:
    return safe.width(_COLOR.sub("", cell) if "\x1b" in cell else cell)


def _pad(cell: str, columns: int, right: bool) -> str:
    gap = " " * (columns - _width(cell))
    return gap + cell if right else cell + gap
