"""Where a value came from, in words: the same sentence on the terminal, in Markdown and on a page. Pure.

Recorded text goes through *quote* and values through *spell*, which make them safe for their place; all
other words are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from ..provenance import Knowledge, Piece
from ..sightings import ANOTHER_NAME, COMMON_KEY, COMMON_NAME, SAME_KEY, Sighting
from . import words

__all__ = ["NOT_LINKED", "Quote", "contained", "form", "newer", "sentence", "source", "summary"]

Quote = Callable[[str], str]
Place = Callable[[Sighting], str]
NOT_LINKED: Final = "not linked to an earlier step"

_FORMS: Final = {
    ANOTHER_NAME: "same value as {path} of {place}",
    "rounded": "rounded from {path} = {value} of {place}",
    "stood in a text": "stood in the text {path} of {place}",
    "a number in the text": "a number in the text {path} of {place}",
    "part of a longer text": "part of the text {path} of {place}",
}


def sentence(piece: Piece, quote: Quote, spell: Quote) -> str:
    """How *piece* came here: "came from …", "same value as …", or that it is linked to no earlier step."""
    if not piece.linked:
        return "was said here first" if piece.where == "log" else NOT_LINKED

    def place(seen: Sighting) -> str:
        return source(seen, quote)

    told = [f"{form(seen, piece, quote, spell, place)}{before(seen, piece)}" for seen in piece.way]
    text = ", then ".join(told)
    read = piece.read
    if read is not None and read.at > piece.way[-1].at:
        text += f"; last read by {source(read, quote)}{before(read, piece)}"
    if piece.way and piece.way[0].reason in (COMMON_NAME, COMMON_KEY):
        text += " (by its name alone: the value is common)"
    if piece.contains:
        text += f"{'; ' if text else ''}{contained(piece, quote, spell, place)}"
    return text


def form(seen: Sighting, piece: Piece, quote: Quote, spell: Quote, place: Place) -> str:
    """What the value was there, and in which step, which *place* names."""
    around = " (around it)" if seen.step in piece.around else ""
    where = f"{place(seen)}{around}"
    same = seen.reason.startswith("same name")
    if seen.reason in (SAME_KEY, COMMON_KEY):
        return f"{'was given as' if seen.where == 'context' else 'came from'} {quote(seen.path)} {'to' if seen.where == 'context' else 'of'} {where}"
    if seen.where == "context" and (same or (around and seen.reason == ANOTHER_NAME)):
        return f"was given to {where}" + ("" if same else f", in {quote(seen.path)}")
    if same:
        return f"came from {where}"
    value = spell(words.spell(seen.value))
    return _FORMS[seen.reason].format(path=quote(seen.path), value=value, place=where)


def contained(piece: Piece, quote: Quote, spell: Quote, place: Place) -> str:
    """The earlier values that stand in a text: "contains price 0.08123 of …"."""
    told = (f"{quote(seen.path)} {spell(words.spell(seen.value))} of {place(seen)}" for seen in piece.contains)
    return f"contains {', '.join(told)}"


def newer(piece: Piece, quote: Quote, spell: Quote) -> str:
    """The clause about the newer value that was not used, "" where there was none."""
    rival = piece.newer
    if rival is None:
        return ""
    value = f"{quote(rival.path)} = {spell(words.spell(rival.value))}"
    return f"a newer {value} was logged by {source(rival, quote)}{before(rival, piece)} and not used"


def source(seen: Sighting, quote: Quote) -> str:
    """A step and its place by start: `market_scan` #12."""
    return f"{quote(seen.step.name)} #{seen.number:,}"


def summary(known: Knowledge) -> str:
    """How many values there are of each kind."""
    counts = ((len(known.stale), "stale"), (len(known.known), "linked to earlier steps"), (len(known.new), "not linked"))
    told = ", ".join(f"{count:,} {kind}" for count, kind in counts if count)
    values = words.plural(len(known.pieces), "value")
    left_out = f"; {words.plural(known.left_out, 'more value')} not looked at" if known.left_out else ""
    return f"{values}: {told}{left_out}" if told else f"no values{left_out}"


def before(seen: Sighting, piece: Piece) -> str:
    """How long before its use *seen* was seen: ", 3.00 s before"; "" where no time is known."""
    if not -inf < seen.at < inf or piece.at == inf:
        return ""
    return f", {words.duration(max(piece.at - seen.at, 0) * 1000)} before"
