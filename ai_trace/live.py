"""The bytes of the black box: a header line, then one record for each start and each log of the open steps.

A record carries a number that rises strictly (`n`) and stands again at its end (`z`): so a reader knows a
whole and present record from a torn one, and from the stale bytes that lie behind the last. `at` is the size
of the journal when it was written. A record whose first byte is `#` is dead: its step has been finished.
"""

# No `from __future__ import annotations` here: NamedTuple would compile each text, and the first compile() costs 2 ms.

import json
import re
from typing import Any, NamedTuple

from .patterns import Late
from .line import Parts
from .parse import parse
from .record import Record

__all__ = ["Box", "DEAD", "decode_box", "encode_header", "encode_log", "encode_start"]

DEAD = b"#"


def encode_start(number: int, at: int, step: Parts) -> bytes:
    """The record of a step that begins, with its context."""
    parent = "null" if step.parent is None else f'"{step.parent}"'
    return (
        f'{{"n":{number},"at":{at},"start":"{step.id}","name":{step.name_text},"parent":{parent},'
        f'"started_at":{step.started_text},"context":{step.context_text}{step.extra},"z":{number}}}\n'
    ).encode()


def encode_log(number: int, at: int, step: Parts, entry: str) -> bytes:
    """The record of one log of an open step."""
    return f'{{"n":{number},"at":{at},"log":"{step.id}","entry":{entry},"z":{number}}}\n'.encode()


def encode_header(session: str, at: int, identity: dict[str, Any]) -> bytes:
    """The first line: which session this is (*session* is JSON text) and which process writes it."""
    who = json.dumps(identity, separators=(",", ":"))
    return f'{{"live":1,"session":{session},"at":{at},{who[1:]}\n'.encode("ascii")


# Decoding.

_DEAD_RECORD = Late(rb'#"n":(\d{1,18}),.*,"z":(\d{1,18})\}', re.DOTALL)


class Box(NamedTuple):
    """What a black box says: the session, and the steps that were open when it was read.

    Attributes:
        header: its first line, which names the session and the writing process; None where it cannot be read.
        steps: the open steps in the order in which they began, each with its logs so far. Some may have been
            finished since: whose id stands in a journal is over.
        at: the journal's size at the newest record; a step listed here and finished ended behind that place.
        used: how many bytes of the file mean anything; what follows is left over from steps that have ended.
        problems: what could not be understood, in sentences.
    """

    header: dict[str, Any] | None
    steps: list[Record]
    at: int
    used: int
    problems: list[str]


def decode_box(raw: bytes, path: str = "") -> Box:
    """The bytes of a black box, whatever they are; reading stops at the first record that is not the next
    one."""
    end = raw.find(b"\n") + 1
    header = _object(raw[:end])
    if header is None or "live" not in header:
        return Box(None, [], 0, 0, ["its header cannot be read"] if raw.strip(b"\0 \n") else [])
    contents = _Contents(path)
    contents.at = _count(header.get("at"))
    while contents.take(raw, end):
        end = raw.index(b"\n", end) + 1
    return Box(header, list(contents.steps.values()), contents.at, end, [])


class _Contents:
    """The records of a black box, taken one after the other."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.steps: dict[str, Record] = {}
        self.number = 0
        self.at = 0

    def take(self, raw: bytes, start: int) -> bool:
        """Take in the record that begins at *start*; False where no next record stands there."""
        end = raw.find(b"\n", start)
        if end < 0:
            return False
        piece = raw[start:end]
        if piece[:1] == b"#":
            return self._take_dead(piece)
        record = _object(piece)
        if record is None or not self._is_next(record.get("n"), record.get("z")):
            return False
        self.at = _count(record.get("at"))
        if type(record.get("start")) is str:
            self._begin(record, start, len(piece))
        elif type(record.get("log")) is str:
            self._add_log(record["log"], record.get("entry"))
        return True

    def _take_dead(self, piece: bytes) -> bool:
        """A dead record still has its place in the count: behind it, too, stale bytes must not come alive."""
        found = _DEAD_RECORD.fullmatch(piece)
        return found is not None and self._is_next(int(found[1]), int(found[2]))

    def _is_next(self, number: Any, again: Any) -> bool:
        if type(number) is not int or number != again or number <= self.number:
            return False
        self.number = number
        return True

    def _begin(self, record: dict[str, Any], offset: int, length: int) -> None:
        data = {key: value for key, value in record.items() if key not in _OF_THE_BOX}
        data.update(id=record["start"], logs=[])
        self.steps[record["start"]] = Record.from_data(
            data, id=record["start"], path=self.path, offset=offset, length=length, open=True
        )

    def _add_log(self, id: str, entry: Any) -> None:
        step = self.steps.get(id)
        if step is not None:
            step.data["logs"].append(entry)


_OF_THE_BOX = frozenset(("n", "at", "start", "z"))


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = parse(raw)
    except ValueError:
        return None
    return value if type(value) is dict else None
