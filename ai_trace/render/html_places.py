"""Which steps a page shows, and the number and address of each. Pure.

A page has limits, and says so: of a long session the steps that failed or did not end stay, with those around
them; then the latest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from ..record import Record
from ..session import Session
from ..tree import Node
from . import words
from .html_values import line

__all__ = ["Page", "OUTCOMES", "kind", "chosen", "link", "way_down"]

MAX_STEPS: Final = 10_000  # of one page; a browser scrolls these without a stutter
OUTCOMES: Final = ("ok", "error", "cancelled", "other", "open")
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Page:
    """What every part of a page needs to know: the session, the numbers and addresses of its steps, the time."""

    def __init__(self, session: Session, now: float | None) -> None:
        self.session = session
        self.now = now
        self.day = words.moment(session.started_at, ms=False)[:10] != words.moment(session.ended_at, ms=False)[:10]
        self.numbers = {record: at for at, record in enumerate(session.steps, 1)}
        self.nodes, self.left_out = chosen(session)
        self.shown = {node.record for node in self.nodes}
        self.anchors = _anchors(self.shown, self.numbers)

    def moment(self, seconds: float | None, *, day: bool | None = None) -> str:
        """A time as an element that says it to machines, too; with its date where *day*, or the run, needs it."""
        text = words.moment(seconds, day=self.day if day is None else day)
        exact = words.moment(seconds).replace(" ", "T")
        return f'<time datetime="{exact}">{text}</time>' if text != "?" else "?"


def kind(record: Record) -> str:
    """One of `OUTCOMES`."""
    if record.open:
        return "open"
    return record.outcome if record.outcome in ("ok", "error", "cancelled") else "other"


def chosen(session: Session) -> tuple[list[Node], int]:
    """The steps to show, in the order of the tree, and how many that leaves out.

    Of more than `MAX_STEPS` those that failed or did not end stay, with the steps around them; then the latest.
    """
    nodes = list(session.walk())
    if len(nodes) <= MAX_STEPS:
        return nodes, 0
    wanted = [node for node in nodes if node.record.open or node.record.outcome == "error"]
    latest = [session.node(record) for record in reversed(session.steps)]
    kept: set[Node] = set()
    for node in (*wanted, *latest):
        way = [node]
        while (above := way[-1].parent) is not None and above not in kept:
            way.append(above)
        if len(kept) + len(way) <= MAX_STEPS:
            kept.update(way)
        if len(kept) == MAX_STEPS:
            break
    return [node for node in nodes if node in kept], len(nodes) - len(kept)


def _anchors(shown: Iterable[Record], numbers: Mapping[Record, int]) -> dict[Record, str]:
    """Each step's address in the page: its id, where that is a plain word and nobody else has it."""
    taken: set[str] = set()
    anchors = {}
    for record in sorted(shown, key=numbers.__getitem__):
        name = record.id if _PLAIN_ID.fullmatch(record.id) and record.id not in taken else ""
        taken.add(name)
        anchors[record] = f"step-{name or f'n{numbers[record]}'}"
    return anchors


def link(page: Page, record: Record, text: str | None = None) -> str:
    """*record* by its number (or *text*, HTML), as a link where the page shows it."""
    text = f"#{page.numbers[record]:,}" if text is None else text
    anchor = page.anchors.get(record)
    return f'<a href="#{anchor}">{text}</a>' if anchor else text


def way_down(page: Page, record: Record) -> str:
    """The names from the root to *record*, each a link; of more than eight the middle is left out."""
    path = page.session.path_to(record)
    shown = [link(page, one, line(one.name, 60) or "&quot;&quot;") for one in path]
    if len(path) > 8:
        shown = [*shown[:3], f"({len(path) - 6:,} more)", *shown[-3:]]
    return '<span class="way">' + " › ".join(shown) + "</span>"
