"""The words of the format: field names, limits, and the types that the reading side speaks. No I/O.

A journal holds one JSON object per finished step; its keys, in the order of `LINE_KEYS`, are the format.
`Record` is such a step as it was read, whole or still open; `Damage` is a stretch of bytes that is no step.
"""

# No `from __future__ import annotations` here: NamedTuple would compile each text, and the first compile() costs 2 ms.

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

from .parse import parse

__all__ = ["FORMAT", "VERSION", "LINE_KEYS", "USAGE_NAMES", "Limits", "LIMITS", "Damage", "Record", "number"]

FORMAT: Final = 1
VERSION: Final = "1.0.0"

LINE_KEYS: Final = (
    # The fixed part: small, first, and readable without parsing what the agent saw.
    "name", "outcome", "started_at", "duration_ms", "id", "parent", "error", "len", "usage",
    "context", "logs",
    # Where they apply:
    "finished_at", "traceback", "thread", "task", "session", "notice", "dropped", "redacted", "seal",
)  # fmt: skip

USAGE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model": "model",
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "cached_tokens": "cached_tokens",
        "cache_read_input_tokens": "cached_tokens",
        "reasoning_tokens": "reasoning_tokens",
        "cost_usd": "cost_usd",
        # OpenTelemetry semantic conventions for generative AI, 1.41.
        "gen_ai.request.model": "model",
        "gen_ai.response.model": "model",
        "gen_ai.usage.input_tokens": "input_tokens",
        "gen_ai.usage.output_tokens": "output_tokens",
        "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
        "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    }
)
"""Top-level names in a step's context or logs -> the word under `usage` in its line. `model` is the last one
said; the numbers are summed over the step's context and logs, as they were logged."""


class Limits(NamedTuple):
    """How much of one value, and of one step, is kept. What is cut leaves a visible mark."""

    depth: int = 60  # json.loads in a thread with a 64 KiB stack crashes from depth 400
    items: int = 100_000  # of one dict, list, set or array
    text: int = 16 * 1024 * 1024  # characters of one str, bytes of one bytes
    logs: int = 10_000  # of one step
    step_bytes: int = 16 * 1024 * 1024  # of one step's context and logs, as JSON text


LIMITS: Final = Limits()


class Damage(NamedTuple):
    """A stretch of a file that is not a step: where it lies and what is wrong with it."""

    path: str
    offset: int  # bytes from the start of the file
    length: int  # bytes
    reason: str  # a short sentence without the damaged bytes themselves
    line: int | None = None  # 1-based, where it is known


class Record:
    """One step as it was read from a file.

    The fixed part is at hand at once; `context`, `logs` and the rest are parsed from the line when they are
    first asked for. Values from a file are never trusted: a field of a wrong type reads as its absent form
    (`None`, `{}`, `[]`, for `name` the text of what was there), and the original stays in `data`.

    Attributes:
        name: what the step was called; always a str.
        outcome: "ok", "error", "cancelled" or the app's own word; None while the step is open.
        started_at: seconds since 1970 (UTC, wall clock), or None.
        duration_ms: milliseconds from the monotonic clock, or None.
        id: 16 hex digits; for lines of the older package, made from the line's place, "line-000012".
        parent: id of the step around it, or None.
        error: one line, or None.
        usage: model, tokens and cost as logged ({} where nothing was); of a line of the older package, which has
            no such field, from what it logged.
        open: True for a step that began and has not ended, as far as the files say.
        path, offset, length: where its line lies.
    """

    __slots__ = (
        "name", "outcome", "started_at", "duration_ms", "id", "parent", "error", "usage",
        "open", "path", "offset", "length", "_raw", "_data", "_small",
    )  # fmt: skip

    fetch: ClassVar[Callable[[str, int, int], bytes] | None] = None
    """(path, offset, length) -> the bytes there. Put here by the reader, so that this room does no I/O;
    while it is None, `shed` keeps what it has."""

    def __init__(
        self,
        *,
        name: str,
        id: str,
        outcome: str | None = None,
        started_at: float | None = None,
        duration_ms: float | None = None,
        parent: str | None = None,
        error: str | None = None,
        usage: dict[str, Any] | None = None,
        open: bool = False,
        path: str = "",
        offset: int = 0,
        length: int = 0,
        raw: bytes | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.id = id
        self.outcome = outcome
        self.started_at = started_at
        self.duration_ms = duration_ms
        self.parent = parent
        self.error = error
        self.usage = usage if usage is not None else {}
        self.open = open
        self.path = path
        self.offset = offset
        self.length = length
        self._raw = raw
        self._data = data
        self._small: dict[str, Any] | None = None

    @classmethod
    def from_data(
        cls,
        data: dict[str, Any],
        *,
        id: str,
        path: str = "",
        offset: int = 0,
        length: int = 0,
        raw: bytes | None = None,
        open: bool = False,
    ) -> "Record":
        """The step that *data*, a parsed JSON object, describes; *id* is used where it has none of its
        own."""
        get, own = data.get, data.get("id")
        return cls(
            name=_name(get("name")),
            id=own if type(own) is str and own else id,
            outcome=_text(get("outcome")),
            started_at=number(get("started_at")),
            duration_ms=number(get("duration_ms")),
            parent=_text(get("parent")),
            error=_text(get("error")),
            usage=_mapping(get("usage")) if open or "id" in data or "usage" in data else _logged_usage(data),
            open=open,
            path=path,
            offset=offset,
            length=length,
            raw=raw,
            data=data,
        )

    @property
    def data(self) -> dict[str, Any]:
        """The whole parsed object, keys unknown to this version included. {} where the line is not JSON
        after all."""
        if self._data is None:
            self._data = self._parse()
        return self._data

    @property
    def context(self) -> dict[str, Any]:
        """What the step was given when it began."""
        return _mapping(self.data.get("context"))

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What the step said, in order: `{"_t": seconds since 1970, …}`; an entry that is no object, as a
        message."""
        logs = self.data.get("logs")
        if type(logs) is not list:
            return []
        return [entry if type(entry) is dict else {"message": entry} for entry in logs]

    @property
    def traceback(self) -> str | None:
        """The whole traceback of the exception that ended the step."""
        return _text(self.data.get("traceback"))

    @property
    def finished_at(self) -> float | None:
        """Seconds since 1970 (UTC, wall clock) when the step ended, or None."""
        return number(self._at_hand("finished_at"))

    @property
    def thread(self) -> str | None:
        """Name of the thread the step began in, where it was not the main one."""
        return _text(self._at_hand("thread"))

    @property
    def task(self) -> str | None:
        """Name of the asyncio task the step began in."""
        return _text(self._at_hand("task"))

    @property
    def session(self) -> dict[str, Any]:
        """The session's header, on the lines that carry one; else {}."""
        return _mapping(self._at_hand("session"))

    @property
    def notice(self) -> list[str]:
        """What the recorder had to say about itself: files begun anew, clocks that jumped."""
        notice = self._at_hand("notice")
        if type(notice) is str:
            return [notice]
        return [text for text in notice if type(text) is str] if type(notice) is list else []

    @property
    def dropped(self) -> dict[str, int]:
        """What could not be written before this line: reason -> how many."""
        dropped = _mapping(self._at_hand("dropped"))
        return {reason: count for reason, count in dropped.items() if type(count) is int and count > 0}

    @property
    def redacted(self) -> int:
        """How many values in this line were masked."""
        count = self._at_hand("redacted")
        return count if type(count) is int and count > 0 else 0

    def shed(self) -> None:
        """Let go of the line's bytes; they are read again from the file when asked for.

        The small fields stay. A step that has no place in a file (it is open, or comes from a snapshot)
        keeps all.
        """
        if self.open or not (self.path and self.length) or Record.fetch is None:
            return
        if self._data is not None:
            self._small = {key: self._data[key] for key in _SMALL_KEYS if key in self._data}
        self._raw = self._data = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the older package's eight keys first, then ours where they apply."""
        plain: dict[str, Any] = {
            "name": self.name,
            "context": self.context,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "duration_ms": self.duration_ms,
            "outcome": self.outcome,
            "error": self.error,
            "logs": self.logs,
            "id": self.id,
            "parent": self.parent,
        }
        extra = {"usage": self.usage, "open": self.open, "traceback": self.traceback, "thread": self.thread}
        extra.update(task=self.task, notice=self.notice, dropped=self.dropped, redacted=self.redacted)
        plain.update((key, value) for key, value in extra.items() if value)
        return plain

    def __repr__(self) -> str:
        state = "open" if self.open else self.outcome
        return f"<Record {self.name!r} {state} id={self.id}>"

    def _at_hand(self, key: str) -> Any:
        if self._data is None and self._small is not None:
            return self._small.get(key)
        if self._data is None and self._raw is not None and f'"{key}"'.encode("ascii") not in self._raw:
            return None  # most lines carry none of these keys, and to look costs a hundredth of parsing
        return self.data.get(key)

    def _parse(self) -> dict[str, Any]:
        """The object in the line's bytes, read again where they were shed; the file may have changed
        since."""
        raw = self._raw
        if raw is None:
            if Record.fetch is None or not self.length:
                return {}
            raw = Record.fetch(self.path, self.offset, self.length)
        try:
            data = parse(raw)
        except ValueError:
            data = None
        if type(data) is not dict or _name(data.get("name")) != self.name:
            return {"notice": ["this step's line cannot be read: the file was changed or is damaged there"]}
        return data


_MOST: Final = 10**15  # tokens or dollars; a larger number is no count
_SMALL_KEYS: Final = ("finished_at", "thread", "task", "session", "notice", "dropped", "redacted")


def _logged_usage(data: dict[str, Any]) -> dict[str, Any]:
    """Model, tokens and cost out of the context and the logs of *data*, as a recorder would have noted them."""
    usage: dict[str, Any] = {}
    logs = data.get("logs")
    for said in (data.get("context"), *(logs if type(logs) is list else ())):
        if type(said) is not dict or USAGE_NAMES.keys().isdisjoint(said):
            continue
        for name, value in said.items():
            word = USAGE_NAMES.get(name)
            if word == "model":
                usage.update({word: value} if type(value) is str else {})
            elif word is not None and type(value) in (int, float) and abs(value) < _MOST:
                usage[word] = usage.get(word, 0) + value
    return usage


def number(value: Any) -> float | None:
    """*value* as a finite float where it is a number, else None; a bool is no number."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _name(value: Any) -> str:
    if type(value) is str:
        return value
    return "(unnamed)" if value is None else str(value)[:200]
