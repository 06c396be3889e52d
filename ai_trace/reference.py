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

__all__ = ["HELP", "referred"]

HELP: Final = (
    "a step: the beginning of its id, '#12' (the 12th by start), 'NAME#3' (the third of that name), "
    "its name alone, 'last' or 'last-error'"
)
_COUNTED: Final = re.compile(r"(?P<name>.*)#(?P<place>-?[0-9]{1,9})", re.DOTALL)


def referred(nodes: Sequence[Node], word: str) -> list[Record]:
    """The steps of *nodes* (all of a session, by start) that *word* may mean: one, none, or several."""
    if word == "last":
        return [node.record for node in nodes[-1:]]
    if word == "last-error":
        failed = [node for node in nodes if node.record.outcome == "error"]
        return [innermost_failure(max(failed, key=end_key)).record] if failed else []
    steps = [node.record for node in nodes]
    counted = _COUNTED.fullmatch(word)
    if counted:
        named = [step for step in steps if step.name == counted["name"]] if counted["name"] else steps
        return _at(named, int(counted["place"]))
    for fits in (
        [step for step in steps if step.id == word],
        [step for step in steps if word and step.id.startswith(word)],
    ):
        if fits:
            return fits
    return [step for step in steps if step.name == word]


def _at(steps: list[Record], place: int) -> list[Record]:
    """The step at *place* as people count: from 1, or from -1 backwards."""
    index = place - 1 if place > 0 else place + len(steps)
    return [steps[index]] if place and 0 <= index < len(steps) else []
