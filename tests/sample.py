"""Sample journals in exact format 1, made without the writer, so that reading is proved on its own."""

from __future__ import annotations

import json
from typing import Any

T0 = 1709300422.0
SESSION: dict[str, Any] = {
    "agent": "agent", "session_id": "20240301_134022", "trace_id": "0123456789abcdef" * 2, "meta": {},
    "pid": 4242, "host": "somewhere", "started_at": T0, "format": 1, "writer": "1.0.0",
}  # fmt: skip


def dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def step_id(n: int) -> str:
    return f"{n:016x}"


def line(
    name: str = "step",
    *,
    n: int = 1,
    outcome: str | None = "ok",
    parent: str | None = None,
    error: str | None = None,
    usage: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    logs: list[Any] | None = None,
    started_at: float | None = None,
    duration_ms: float = 1.5,
    **more: Any,
) -> bytes:
    """One journal line with a right `len`; *n* makes its id and its time; *more* comes behind `logs`."""
    started = round(T0 + n if started_at is None else started_at, 6)
    fixed = {
        "name": name, "outcome": outcome, "started_at": started, "duration_ms": duration_ms,
        "id": step_id(n), "parent": parent, "error": error, "len": 0,
    }  # fmt: skip
    if usage:
        fixed["usage"] = usage
    finished = round(started + duration_ms / 1000, 6)
    rest = {"context": context or {}, "logs": logs or [], "finished_at": finished, **more}
    for _ in range(4):  # the digits of the length are part of the length
        text = dumps({**fixed, **rest}) + "\n"
        if fixed["len"] == len(text):
            break
        fixed["len"] = len(text)
    return text.encode("ascii")


def journal(count: int, *, session: dict[str, Any] | None = SESSION) -> bytes:
    """*count* different lines; the first carries the session's header."""
    first = {"session": session} if session else {}
    return b"".join(
        line(
            f"step {n}", n=n, outcome="error" if n % 5 == 0 else "ok", parent=step_id(1) if n > 1 else None,
            error="ValueError: \u00e9 boom" if n % 5 == 0 else None,
            context={"i": n, "q": "x" * (n % 7), "d": {"name": "in"}},
            logs=[{"_t": T0 + n, "message": "hello {\"name\": \"quoted\"}"}] * (n % 3), **(first if n == 1 else {}),
        )
        for n in range(1, count + 1)
    )  # fmt: skip


def box(*records: dict[str, Any], session: dict[str, Any] | None = SESSION, **header: Any) -> bytes:
    """A black box: its header line and *records*, numbered from 1 as they stand unless they bring their
    `n`."""
    head = {
        "live": 1,
        "session": session,
        "at": 0,
        "pid": 1,
        "start": "",
        "host": "elsewhere",
        "boot": "b",
        **header,
    }
    lines = [dumps(head)]
    for number, record in enumerate(records, 1):
        lines.append(dumps({"n": number, "at": 0, **record, "z": record.get("n", number)}))
    return "".join(text + "\n" for text in lines).encode("ascii")


def start(
    step: int,
    name: str = "open",
    *,
    parent: str | None = None,
    context: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The black box's record of a step that begins."""
    return {
        "start": step_id(step), "name": name, "parent": parent, "started_at": T0 + step, "context": context or {},
        **more,
    }  # fmt: skip


def log(step: int, **entry: Any) -> dict[str, Any]:
    """The black box's record of a log of step *step*."""
    return {"log": step_id(step), "entry": {"_t": T0 + step, **entry}}
