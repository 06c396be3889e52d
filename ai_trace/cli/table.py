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
    body = [[(cell, _width(cell)) for cell in row] for row in (head, *rows)]
    wide = [max(width for _, width in column) for column in zip(*body)]
    ends = set(right)
    for n, row in enumerate(body):
        cells = [_pad(cell, wide[at] - width, at in ends) for at, (cell, width) in enumerate(row)]
        text = "  ".join(cells).rstrip()
        out.line(out.paint(text, DIM) if n == 0 else text)


def _width(cell: str) -> int:
    return safe.width(_COLOR.sub("", cell) if "\x1b" in cell else cell)


def _pad(cell: str, missing: int, right: bool) -> str:
    return " " * missing + cell if right else cell + " " * missing
