"""What a file is that is no trace, and what a snapshot is that is no journal: told by the first bytes."""

from __future__ import annotations

from typing import Any, Final

from .exceptions import NotATrace
from .lines import BLOCK
from .packed import Plain, opened
from .parse import parse, parse_first
from .record import Damage, Record

__all__ = ["Snapshot", "header_in", "refusal", "sniff", "snapshot", "why_not"]

MAX_SNAPSHOT: Final = 512 * 1024 * 1024  # bytes of a .json, which has to be parsed as a whole


class Snapshot:
    """A session saved as one JSON object, ours or the older package's: `info` about it and its `steps`."""

    def __init__(self, path: str, data: dict[str, Any]) -> None:
        self.data = data
        self.steps: list[Record] = []
        self.damage: list[Damage] = []
        for number, step in enumerate(data["steps"], 1):
            if type(step) is dict:
                is_open = step.get("open") is True
                self.steps.append(Record.from_data(step, id=f"line-{number:06}", path=path, open=is_open))
            else:
                self.damage.append(Damage(path, 0, 0, f"not a step: entry {number} of its steps", number))

    @property
    def info(self) -> dict[str, Any]:
        """The session's header, under the names a journal uses."""
        told = self.data.get("session")
        info = dict(told) if type(told) is dict else {}
        known = ("agent", "session_id", "trace_id", "meta", "started_at", "format", "pid", "host")
        info.update((key, self.data[key]) for key in known if key in self.data)
        return info


def snapshot(path: str) -> Snapshot | None:
    """The snapshot at *path*, or None where its content is something else."""
    with opened(path) as file:
        if file.packed or file.size() > MAX_SNAPSHOT or not _may_be_snapshot(file.pread(4096, 0)):
            return None  # a packed one would have to be unpacked to know how long it is
        raw = _whole(file)
    try:
        data = parse(raw.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return None
    return Snapshot(path, data) if type(data) is dict and type(data.get("steps")) is list else None


def _whole(file: Plain) -> bytes:
    parts: list[bytes] = []
    position, size = 0, file.size()
    while position < size:
        part = file.pread(size - position, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _may_be_snapshot(head: bytes) -> bool:
    """Whether *head* begins an object whose first line is no journal line: a whole file is worth parsing
    then."""
    head = head.lstrip(b" \t\r\n\xef\xbb\xbf")
    return head[:1] == b"{" and not head.startswith((b'{"name":', b'{"name": ', b'{"live":'))


_MAGIC: Final = (
    (b"\x1f\x8b", "it is compressed by gzip; unpack it first"),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"(\xb5/\xfd", "it is compressed by Zstandard; unpack it first"),
    (b"SQLite format 3\0", "it is a SQLite database"),
    (b"\xff\xfe", "it is UTF-16 text; a trace is UTF-8"),
    (b"\xfe\xff", "it is UTF-16 text; a trace is UTF-8"),
    (b"{\0", "it is UTF-16 text; a trace is UTF-8"),
    (b"\0{", "it is UTF-16 text; a trace is UTF-8"),
)


def sniff(head: bytes) -> str:
    """Why a file that begins with *head* holds no step, as a short sentence."""
    if not head:
        return "it is empty"
    for magic, reason in _MAGIC:
        if head.startswith(magic):
            return reason
    if not head.strip(b"\0"):
        return "it holds NUL bytes only, as a power cut leaves them"
    if not head.strip():
        return "it holds white space only"
    return "it is a binary file" if b"\0" in head else "none of its lines is a step"


def why_not(path: str, damage: Damage | None = None) -> NotATrace:
    """The error for a file without one step; *damage* is the first that was found in it."""
    try:
        with opened(path) as file:
            head = file.pread(4096, 0)
            reason = sniff(head) if head or not file.problem else file.problem
    except OSError as error:
        return NotATrace(path, refusal(error))
    if damage is not None and reason.startswith("none"):
        reason += f" (at byte {damage.offset}: {damage.reason})"
    return NotATrace(path, reason)


def header_in(line: bytes) -> dict[str, Any]:
    """The session header on *line*, the first of a journal or a black box; {} where there is none."""
    # The header stands near the end of its line: what the agent saw before it is not worth parsing.
    start = line.rfind(b'"session":{')
    try:
        session, _ = parse_first(line[start + 10 :]) if start >= 0 else ({}, 0)
    except ValueError:
        return {}
    return session if type(session) is dict and "trace_id" in session else {}


def refusal(error: OSError) -> str:
    """An `OSError` as the reason of a `NotATrace`."""
    return f"it cannot be read ({error.strerror or error})"
