"""Where a value came from, in words: the same sentence on the terminal, in Markdown and on a page. Pure.

Recorded text goes through *quote* and values through *spell*, which make them safe for their place; all
other words are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from ..provenance import Knowledge, Piece
from ..sightings import Sighting
from . import words

__all__ = ["Quote", "sentence", "newer", "source", "summary"]

Quote = Callable[[str], str]

_HOW: Final = {
    "rounded": "rounded",
    "stood in a text": "written in a text",
    "part of a longer text": "part of a longer text",
    "a part of this text": "which is a part of it",
}


def sentence(piece: Piece, quote: Quote, spell: Quote) -> str:
    """How *piece* came here: "came from …", or that it comes from nowhere."""
    if not piece.way:
        return "was said here first" if piece.where == "log" else "comes from nowhere in the trace"
    first, *later = piece.way
    came = "was first given to" if first.where == "context" else "came from"
    told = f"{came} {source(first, quote)}{_form(first, quote, spell)}"
    told += _before(first, piece)
    for form in later:
        told += f", then {source(form, quote)}{_form(form, quote, spell)}{_before(form, piece)}"
    read = piece.read
    if read is not None and read.at > piece.way[-1].at:
        told += f"; last read by {source(read, quote)}{_before(read, piece)}"
    if first.reason == "same name, a common value":
        told += " (by its name alone: the value is common)"
    return told


def newer(piece: Piece, quote: Quote, spell: Quote) -> str:
    """The clause about the newer value that was not used, "" where there was none."""
    rival = piece.newer
    if rival is None:
        return ""
    value = f"{quote(rival.path)} = {spell(words.spell(rival.value))}"
    return f"a newer {value} was logged by {source(rival, quote)}{_before(rival, piece)} and not used"


def source(seen: Sighting, quote: Quote) -> str:
    """A step and its place by start: `market_scan` #12."""
    return f"{quote(seen.step.name)} #{seen.number:,}"


def summary(known: Knowledge) -> str:
    """How many values there are of each kind."""
    counts = ((len(known.stale), "stale"), (len(known.known), "from earlier steps"), (len(known.new), "new"))
    told = ", ".join(f"{count:,} {kind}" for count, kind in counts if count)
    values = words.plural(len(known.pieces), "value")
    left_out = f"; {words.plural(known.left_out, 'more value')} not looked at" if known.left_out else ""
    return f"{values}: {told}{left_out}" if told else f"no values{left_out}"


def _form(seen: Sighting, quote: Quote, spell: Quote) -> str:
    """What the value was there, where it was not the same."""
    if seen.reason.startswith("same name"):
        return ""
    if seen.reason == "same value, another name":
        return f" as {quote(seen.path)}"
    if seen.reason == "rounded":
        return f" as {quote(seen.path)} = {spell(words.spell(seen.value))}, {_HOW[seen.reason]}"
    return f" ({quote(seen.path)}, {_HOW[seen.reason]})"


def _before(seen: Sighting, piece: Piece) -> str:
    if not -inf < seen.at < inf or piece.at == inf:
        return ""
    return f", {words.duration(max(piece.at - seen.at, 0) * 1000)} before"
