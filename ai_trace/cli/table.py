"""Rows in columns, each as wide as its widest cell, wide characters counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, repeat

from .. import safe
from .output import DIM, Output

__all__ = ["write"]

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def write(out: Output, head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Write *rows* under *head*; the columns *right* stand to the right.

    Cells may hold our own colours, but no other escapes. A line is never broken: a terminal wraps it.
    """
    ends = set(right)
    columns = [_column(cells, at in ends) for at, cells in enumerate(zip(head, *rows))]
    lines = map(str.rstrip, map("  ".join, zip(*columns)))
    out.line(out.paint(next(lines), DIM))
    while some := "\n".join(islice(lines, 200)):  # a table of ten thousand rows is written in some calls
        out.line(some)


def _column(cells: Sequence[str], right: bool) -> list[str]:
    """*cells* as wide as the widest of them."""
    together = "".join(cells)
    if together.isascii() and "\x1b" not in together:
        wide = max(map(len, cells))
        return [*map(str.rjust if right else str.ljust, cells, repeat(wide))]
    widths = {cell: _width(cell) for cell in {*cells}}  # many are the same
    wide = max(widths.values())
    return [_pad(cell, wide - widths[cell], right) for cell in cells]


def _width(cell: str) -> int:
    return safe.width(_COLOR.sub("", cell) if "\x1b" in cell else cell)


def _pad(cell: str, missing: int, right: bool) -> str:
    return " " * missing + cell if right else cell + " " * missing
