"""Where what a step knew came from, as links to the steps that said it; what was stale first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..provenance import Piece
from ..record import Record
from ..session import Session
from ..sightings import COMMON_KEY, COMMON_NAME, Sighting
from . import decided, origins, words
from .html_places import Page, link
from .html_values import line

__all__ = ["Origins"]

_PIECES: Final = 40  # of one step


class Origins:
    """What is known of where the values of a session's steps came from."""

    def __init__(self, session: Session) -> None:
        self._known = decided.known(session)
        self.decided = decided.on_old_values(session, self._known)

    def stale(self, record: Record) -> list[Piece]:
        """What *record* knew although something newer was there."""
        return self._known[record].stale if record in self._known else []

    def of(self, page: Page, record: Record, *, stale: bool = True) -> Iterator[str]:
        """The part of a step's page: what came from where, and what was stale, unless that was told before."""
        known = self._known.get(record)
        pieces = [*(known.stale if stale else ()), *known.known] if known else []
        if not pieces:
            return
        yield '<p class="label">where it came from</p><ul class="origins">'
        for piece in pieces[:_PIECES]:
            yield f"<li{' class=stale' if piece.stale else ''}>{told(page, piece)}</li>"
        if len(pieces) > _PIECES:
            yield f"<li>… {words.plural(len(pieces) - _PIECES, 'more value')}; see <code>ai-trace at</code></li>"
        yield "</ul>"


def told(page: Page, piece: Piece) -> str:
    """One value, its source, its age, and the newer one that was not used."""

    def place(seen: Sighting) -> str:
        return _place(page, seen)

    text = _said(piece.path, piece.value)
    if piece.way:
        age = "" if piece.age_s is None else f", {words.duration(piece.age_s * 1000)} before"
        text += f" {origins.form(piece.read or piece.way[0], piece, _short, _short, place)}{age}"
        if piece.way[0].reason in (COMMON_NAME, COMMON_KEY):
            text += ' <span class="dim">(by its name alone)</span>'
    if piece.contains:
        text += f"{';' if piece.way else ''} {origins.contained(piece, _short, _short, place)}"
    if piece.newer is not None:
        newer = piece.newer
        text += f"; <b>stale</b>: a newer {_said(newer.path, newer.value)} was logged by {_place(page, newer)}"
        text += f"{origins.before(newer, piece)} and not used"
    return text


def _short(text: str) -> str:
    return line(text[:400], 60)


def _said(path: str, value: object) -> str:
    return f'<b>{line(path, 60)}</b> = <span class="text">{line(words.spell(value)[:400], 60)}</span>'


def _place(page: Page, seen: Sighting) -> str:
    return link(page, seen.step, f"{line(seen.step.name, 60)} #{page.numbers[seen.step]:,}")
