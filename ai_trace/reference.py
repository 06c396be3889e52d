"""A word → the step that a person means by it. Pure.

`last` · `last-error`, the innermost step of the last failure · `#12`, the 12th by start · `decide#3`, the
third `decide` · a whole id · the beginning of an id · a name. From the end: `#-1` is the last, `decide#-1`
the last `decide`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .record import Record
from .tree import Node, end_key, innermost_failure

__all__ = ["HELP", "meant", "referred"]

HELP: Final = (
    "a step: the beginning of its id, '#12' (the 12th by start), 'NAME#3' (the third of that name), "
    "its name alone, 'last' or 'last-error'"
)
_COUNTED: Final = re.compile(r"(?P<name>.*)#(?P<place>-?[0-9]{1,9})", re.DOTALL)


def referred(nodes: Sequence[Node], word: str) -> list[Record]:
    """The steps of *nodes* (all of a session, by start) that *word* may mean: one, none, or several."""
    if word == "last-error":
        failed = [node for node in nodes if node.record.outcome == "error"]
        return [innermost_failure(max(failed, key=end_key)).record] if failed else []
    names, ids = [node.record.name for node in nodes], [node.record.id for node in nodes]
    return [nodes[place].record for place in meant(names, ids, word)]


def meant(names: Sequence[str], ids: Sequence[str], word: str) -> list[int]:
    """The places, from 0, of the steps that *word* may mean; *names* and *ids* are theirs by start. Not for
    `last-error`."""
    if word == "last":
        return [len(names) - 1] if names else []
    counted = _COUNTED.fullmatch(word)
    if counted:
        name = counted["name"]
        named = [place for place, one in enumerate(names) if one == name] if name else range(len(names))
        return _at(named, int(counted["place"]))
    for fits in (
        [place for place, id in enumerate(ids) if id == word],
        [place for place, id in enumerate(ids) if word and id.startswith(word)],
    ):
        if fits:
            return fits
    return [place for place, name in enumerate(names) if name == word]


def _at(places: Sequence[int], place: int) -> list[int]:
    """The one at *place* as people count: from 1, or from -1 backwards."""
    index = place - 1 if place > 0 else place + len(places)
    return [places[index]] if place and 0 <= index < len(places) else []
