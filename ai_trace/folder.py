"""A folder of traces → its sessions; one session's files → one `Session`.

A session is a journal, the black box beside it, and the segments of forked children. Files belong together by
the trace id in their headers, and by name where there is none (the older package's files, a box not yet
begun). Names alone tell agent and time, so that a list of ten thousand sessions opens next to no file: only
the newest of those that began in the same second are asked which was first.

Guarantees: whatever else lies in the folder (FIFOs, folders, links in a circle, other people's files) is
passed over, and nothing hangs.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .exceptions import NotATrace
from .lines import fetch
from .merge import box_and_state, merged, together
from .record import LIMITS, number
from .sniff import header_in, refusal, snapshot

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Entry", "alone", "entry", "load", "segments", "sessions", "split_name"]

_FILE: Final = re.compile(  # the stem is as short as may be; it is written so that a search takes it up to a dot at once
    r"(?P<stem>.[^.]*(?:\.[^.]*)*?)(?:\.(?P<n>[0-9]{1,9}))?\.(?P<kind>jsonl(?:\.gz)?|live|json)", re.DOTALL
)
_STEM: Final = re.compile(r"(?:(?P<agent>.*)_)?(?P<id>(?P<time>[0-9]{8}_[0-9]{6})(?:-(?P<n>[0-9]{1,9}))?)", re.DOTALL)
_HEAD: Final = 64 * 1024  # bytes looked at to learn whose file it is
_ASKED: Final = 256  # of the newest sessions, how many are opened where names do not tell which is newer


class _File(NamedTuple):
    path: str
    stem: str
    segment: int  # 0 for the main one
    kind: str  # jsonl, jsonl.gz, live or json
    found: os.stat_result


class Entry:
    """One session in a folder: what names and sizes tell at once; the rest is looked up when asked for.

    Attributes:
        path: the main journal, or the black box or snapshot where there is no journal.
        paths: all its files, the main journal first.
        name: the main file's name without its ending, "<agent>_<session_id>".
        id: the session id, or the whole name of a file that was called otherwise.
        size: bytes of all its files.
        modified: seconds since 1970 of the last change to one of them.
        found: of a session in one file, what the system said of it when it was listed, where it said all.
    """

    def __init__(self, files: list[_File]) -> None:
        if len(files) > 1:
            files.sort(key=lambda file: (file.segment, _KINDS.index(file.kind)))
        self.path, self.name, _, _, found = files[0]
        self.paths = [file.path for file in files]
        self.size, self.modified = found.st_size, found.st_mtime
        for file in files[1:]:
            self.size += file.found.st_size
            self.modified = max(self.modified, file.found.st_mtime)
        self.found = found if len(files) == 1 and found.st_ino else None  # Windows: a listing tells no inodes
        self._named = _STEM.fullmatch(self.name)
        self.id: str = self._named["id"] if self._named else self.name
        self._began = _seconds(self._named["time"]) if self._named else None
        self._head: dict[str, Any] | None = None

    @property
    def agent(self) -> str:
        """The agent's true name where a header tells it, else as the file name has it."""
        agent = self.head.get("agent")
        return agent if type(agent) is str else (self._named["agent"] or "") if self._named else ""

    @property
    def trace_id(self) -> str:
        """The session's identity, "" for files of the older package."""
        found = self.head.get("trace_id")
        return found if type(found) is str else ""

    @property
    def started_at(self) -> float | None:
        """Seconds since 1970: from the name (whole seconds), or from the header."""
        return self._began if self._named else number(self.head.get("started_at"))

    @property
    def number(self) -> int:
        """Of the sessions of one agent that began in the same second, which one: 1, 2, ..., as the name says."""
        return int(self._named["n"] or 1) if self._named else 1

    @property
    def state(self) -> str:
        """ "running", "ended", "died" or "unknown", as of now."""
        return together([state for _, state in map(box_and_state, self.boxes)])

    @property
    def head(self) -> dict[str, Any]:
        """The session's header from the first file that shows one in its first 64 KiB; {} where none does."""
        if self._head is None:
            heads = (_head(path) for path in sorted(self.paths, key=lambda path: not path.endswith(".live")))
            self._head = next((head for head in heads if head), {})
        return self._head

    def recall(self, head: dict[str, Any]) -> None:
        """Take *head* for the header, as it was read before from files that have not changed."""
        self._head = head

    def load(self, *, check: bool = True) -> Session:
        """Read the session; raises as `load` does. Without *check* lines are believed as `reader.scan` says."""
        agent = (self._named["agent"] or "") if self._named else ""
        return merged(self.paths, self.size, {"agent": agent, "session_id": self.id, "meta": {}}, check=check)

    @property
    def boxes(self) -> list[str]:
        """The black boxes among its files."""
        return [path for path in self.paths if path.endswith(".live")]

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"


_KINDS: Final = ("jsonl", "jsonl.gz", "live", "json")


def sessions(trace_dir: str | os.PathLike[str] = "traces") -> list[Entry]:
    """The sessions in *trace_dir*, newest first; none where the folder does not exist.

    Those that began in the same second are ordered by their headers, as far as they are among the newest.

    Raises:
        NotATrace: *trace_dir* is no folder or cannot be read.
    """
    found = _entries(file for file in _files(os.fspath(trace_dir)) if _may_be_ours(file))
    entries = sorted(found, key=lambda entry: (_second(entry), entry.number, entry.name), reverse=True)
    shared = Counter(map(_second, entries[:_ASKED]))
    newest = [(_moment(one) if shared[_second(one)] > 1 else _second(one), one) for one in entries[:_ASKED]]
    newest.sort(key=lambda one: one[0], reverse=True)  # stable: what begins in one moment stays as it was
    return [one for _, one in newest] + entries[_ASKED:]


def _second(entry: Entry) -> float:
    started = entry.started_at
    return entry.modified if started is None else started


def _moment(entry: Entry) -> float:
    """When *entry* began, within the second that its name says; a file without a header may have just begun."""
    second, said = _second(entry), number(entry.head.get("started_at"))
    return min(max(entry.modified if said is None else said, second), second + 0.999_999)


def load(session: str | os.PathLike[str] | Entry) -> Session:
    """Read one session whole: from an `Entry`, or the path of any of its files (the ending may be left out).

    Raises:
        NotATrace: there is no such file, it cannot be read, or nothing in it is a step.
    """
    return (session if isinstance(session, Entry) else entry(session)).load()


def entry(path: str | os.PathLike[str]) -> Entry:
    """The session that *path* is a file of (the ending may be left out), with all its files; a snapshot
    stands for itself.

    Raises:
        NotATrace: there is no such file.
    """
    name = _existing(os.fspath(path))
    return _session_of(name) or Entry([alone(name)])


def segments(path: str) -> list[str]:
    """The paths of all journals and black boxes of the session that *path* is a file of, as of now."""
    found = _session_of(path)
    return found.paths if found else [path]


def _session_of(path: str) -> Entry | None:
    folder, name = os.path.split(path)
    found = _FILE.fullmatch(name)
    if found is None or found["kind"] == "json":
        return None
    entries = _entries(file for file in _files(folder, found["stem"]) if file.kind != "json")
    return next((one for one in entries if any(os.path.basename(file) == name for file in one.paths)), None)


def split_name(name: str) -> tuple[str, int, str] | None:
    """(what all files of the session begin with, segment, "jsonl" | "jsonl.gz" | "live" | "json"), None for
    another name."""
    found = _FILE.fullmatch(name)
    return (found["stem"], int(found["n"] or 0), found["kind"]) if found else None


def _files(folder: str, stem: str | None = None) -> Iterator[_File]:
    """The files of *folder* that may belong to a session, or to the one called *stem*."""
    start = os.path.join(folder, "")
    try:
        with os.scandir(folder or ".") as found:
            for item in found:
                named = _FILE.fullmatch(item.name)
                if named is None or (stem is not None and named["stem"] != stem):
                    continue
                try:
                    if item.is_file():
                        stat = item.stat()
                        name, segment, kind = named.groups()
                        yield _File(start + item.name, name, int(segment or 0), kind, stat)
                except OSError:  # a link in a circle, or removed a moment ago
                    continue
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotATrace(folder, refusal(error)) from error


def _may_be_ours(file: _File) -> bool:
    """Whether it has a name as ours have, or begins as one of ours does."""
    return _STEM.fullmatch(file.stem) is not None or (file.found.st_size > 0 and _looks_like_ours(file.path))


def _entries(files: Iterable[_File]) -> Iterator[Entry]:
    """Files put together to sessions."""
    stems: dict[str, list[_File]] = {}
    for file in files:
        stems.setdefault(file.stem, []).append(file)
    for found in stems.values():
        group = _once(found) if len(found) > 1 else found
        recorded = [file for file in group if file.kind != "json"]
        # A snapshot beside its journal is the same session once more.
        for members in _by_trace_id(recorded) if recorded else [[file] for file in group if not file.segment]:
            yield Entry(members)


def _once(files: list[_File]) -> list[_File]:
    """*files* without packed journals that stand beside the same journal unpacked: one is being made, or was."""
    plain = {file.segment for file in files if file.kind == "jsonl"}
    return [file for file in files if file.kind != "jsonl.gz" or file.segment not in plain]


def _by_trace_id(files: list[_File]) -> list[list[_File]]:
    """Files of one name, taken apart where their headers say that they are different sessions."""
    if len(files) < 2 or len({file.segment for file in files}) < 2:
        return [files]
    parts: dict[int, list[_File]] = {}
    for file in files:
        parts.setdefault(file.segment, []).append(file)
    ids = {segment: _trace_id(members) for segment, members in parts.items()}
    main = ids[min(parts)]
    groups: dict[str, list[_File]] = {}
    for segment in sorted(parts):
        groups.setdefault(ids[segment] or main, []).extend(parts[segment])
    return list(groups.values())


def _trace_id(files: list[_File]) -> str:
    ids = (
        _head(file.path).get("trace_id") for file in sorted(files, key=lambda file: file.kind, reverse=True)
    )
    return next((id for id in ids if type(id) is str and id), "")


def _head(path: str) -> dict[str, Any]:
    """The session header in the first line of a journal or a black box, or a snapshot's own keys; {} if
    none."""
    if path.endswith(".json"):
        try:
            whole = snapshot(path)
        except OSError:
            return {}
        return whole.info if whole else {}
    line, newline, _ = _first_bytes(path).partition(b"\n")
    if not newline:
        line = fetch(path, 0, LIMITS.step_bytes + _HEAD).partition(b"\n")[0]
    return header_in(line)


def _looks_like_ours(path: str) -> bool:
    """Whether a file with a name that is not ours begins as one of ours does."""
    head = _first_bytes(path)
    if path.endswith(".json"):
        return b'"steps"' in head and b'"session_id"' in head
    return head.startswith((b'{"live":', b'{"name":', b'{"name": '))


def _first_bytes(path: str) -> bytes:
    return fetch(path, 0, _HEAD)


def _existing(path: str) -> str:
    """*path*, or with the ending that its writer would have left out."""
    for candidate in (path, *(f"{path}.{kind}" for kind in _KINDS)):
        if os.path.isfile(candidate):
            return candidate
    if os.path.isdir(path):
        raise NotATrace(path, "it is a folder; name one of the files in it")
    if os.path.lexists(path):
        raise NotATrace(path, "it is not a regular file")
    raise NotATrace(path, "there is no such file")


def alone(path: str) -> _File:
    """A file by itself, whatever its name is."""
    name = os.path.basename(path)
    found = _FILE.fullmatch(name)
    stat = os.stat(path)
    return _File(
        path,
        found["stem"] if found else name,
        0,
        found["kind"] if found else "jsonl",
        stat,
    )


def _seconds(digits: str) -> float | None:
    """ "20240301_134022" as seconds since 1970, None where it is no time."""
    day = _day(digits[:8])
    return None if day is None else day + int(digits[9:11]) * 3600 + int(digits[11:13]) * 60 + int(digits[13:15])


@lru_cache(1000)  # of ten thousand sessions many began on the same day
def _day(digits: str) -> float | None:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return float(_days(year, month, day) * 86400) if 1 <= year and 1 <= month <= 12 and 1 <= day <= 31 else None


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (https://howardhinnant.github.io/date_algorithms.html, days_from_civil).

    Not by `calendar`, which imports `datetime`.
    """
    year -= month <= 2
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1  # counted from 1 March
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719468
