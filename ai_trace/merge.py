"""The files of one session → one `Session`: journals, the black boxes beside them, segments of forked
children.

Each black box is read before its journal, and a step that stands in both has ended: so a session that runs is
seen as it was at one moment. The steps stream through `fold`; none of their lines is kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import alive, disk, reader
from .exceptions import NotATrace
from .live import Box
from .record import FORMAT, Damage, Record
from .sniff import Snapshot, refusal, snapshot, why_not

if TYPE_CHECKING:
    from .session import Session

__all__ = ["box_and_state", "merged", "together"]


def merged(paths: list[str], size: int, named: dict[str, Any], *, check: bool = True) -> Session:
    """The session in *paths*, the main file first; *named* is the header as the file's name tells it;
    without *check* lines are believed as `reader.scan` says.

    Raises:
        NotATrace: a file cannot be read, or nothing in them is a step.
    """
    try:
        whole = snapshot(paths[0]) if len(paths) == 1 else None
        return (
            _Merge(paths, size, named, check).session()
            if whole is None
            else _from_snapshot(whole, paths, size, named)
        )
    except OSError as error:
        raise NotATrace(paths[0], refusal(error)) from error


def box_and_state(path: str) -> tuple[Box | None, str]:
    """The black box at *path* and what became of its writer; (None, "ended") where it was removed
    meanwhile."""
    for _ in range(20):
        try:
            fd = disk.active.open_regular(path)
        except OSError:
            return None, "ended" if not os.path.lexists(path) else "unknown"
        try:
            box = reader.read_box(path)
            if box is None or box.header is None:
                # Its writer has locked it and not yet written: a box without a header was left by a death.
                return box, "unknown"
            state = alive.state(fd, box.header)
            if state == "running":
                return box, state
            if state is not None:  # what it wrote between our reading and its death is there now
                return reader.read_box(path), state
        except OSError:
            return None, "unknown"
        finally:
            disk.active.close(fd)
    return None, "unknown"


def together(states: list[str]) -> str:
    """One state for all segments: the session runs while one of them does."""
    return next((state for state in ("running", "died", "unknown") if state in states), "ended")


def _from_snapshot(whole: Snapshot, paths: list[str], size: int, named: dict[str, Any]) -> Session:
    from .session import fold

    state, said = whole.data.get("state", "ended"), whole.data.get("notices")
    notices = [text for text in said if type(text) is str] if type(said) is list else []
    if state not in ("ended", "died"):
        state = "unknown"
        notices.append("Saved while the session was running: what came after is not in this file")
    info = {**named, **whole.info}
    notices += _newer(info)
    return fold(
        whole.steps, damage=whole.damage, state=state, paths=paths, size=size, info=info, notices=notices
    )


class _Merge:
    """One reading of a session's journals and black boxes; what is found besides steps gathers here."""

    def __init__(self, paths: list[str], size: int, named: dict[str, Any], check: bool) -> None:
        self.paths = paths
        self.check = check
        self.size = size
        self.named = named
        self.damage: list[Damage] = []
        self.notices: list[str] = []
        self.info: dict[str, Any] = {}
        self._ids: set[str] = set()  # trace ids seen: a file put together from two sessions has two
        self._steps = 0

    def session(self) -> Session:
        from .session import fold

        seen = [(path, *box_and_state(path)) for path in self.paths if path.endswith(".live")]
        self.state = together([state for _, _, state in seen])
        boxes = [box for _, box, _ in seen if box is not None]
        for path, box, _ in seen:
            self.notices += [
                f"The black box {os.path.basename(path)}: {text}" for text in (box.problems if box else ())
            ]
        headers = [
            box.header["session"] for box in boxes if box.header and type(box.header.get("session")) is dict
        ]
        # `fold` reads the records to their end before it looks at what they filled: damage, notices and info.
        session = fold(
            self._records(boxes, headers), damage=self.damage, state=self.state, paths=self.paths,
            size=self.size, info=self.info, notices=self.notices,
        )  # fmt: skip
        if not self._steps and not headers:
            raise why_not(self.paths[0], self.damage[0] if self.damage else None)
        return session

    def _records(self, boxes: list[Box], headers: list[dict[str, Any]]) -> Iterator[Record]:
        heads = list(headers)
        for path in self.paths:
            if not path.endswith(".live"):
                for record in self._journal(path):
                    if record.session:
                        heads.append(record.session)
                    yield record
        for box in boxes:
            self._steps += len(box.steps)
            yield from box.steps  # after the journal: `fold` lets the finished ones win
        self._conclude(headers, heads)

    def _journal(self, path: str) -> Iterator[Record]:
        lines = reader.scan(path, check=self.check)
        try:
            for item in lines:
                if isinstance(item, Record):
                    self._steps += 1
                    yield item
                else:
                    self.damage.append(item)
        except FileNotFoundError:
            return  # listed a moment ago, removed since
        if self.state == "running":
            return
        for item in lines.last():
            if isinstance(item, Record):
                self._steps += 1
                yield item
            elif self.state == "unknown":
                self.notices.append(
                    f"The last line of {os.path.basename(path)} is not whole: it may be being written"
                )
            else:
                self.damage.append(item)

    def _conclude(self, headers: list[dict[str, Any]], heads: list[dict[str, Any]]) -> None:
        """Fill in what `fold` cannot know: the header of a box, and what a file's name tells where no line
        does."""
        if not heads:
            self.info.update(self.named)
        elif len(heads) == len(headers):
            self.info.update(sorted(headers, key=_segment_of)[0])
        found = {head.get("trace_id") for head in heads if type(head.get("trace_id")) is str}
        if len(found) > 1:
            self.notices.append(f"The files hold {len(found)} sessions, shown as one")
        self.notices += [text for head in heads for text in _newer(head)]


def _segment_of(head: dict[str, Any]) -> int:
    segment = head.get("segment")
    return segment if type(segment) is int else 0


def _newer(info: dict[str, Any]) -> list[str]:
    version = info.get("format")
    if type(version) is not int or version <= FORMAT:
        return []
    return [f"Written in format {version}, newer than {FORMAT}, which we know: read as far as understood"]
