"""A small world for the tests of the commands: trace folders written by hand, and commands run on them.

`World` makes sessions that ended, died, run or are damaged, byte for byte as a recorder would leave them,
with no help from the writing side. `call` runs a command in this process, `spawn` in one of its own.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zlib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from ai_trace import alive
from ai_trace.cli import main

ROOT = str(Path(__file__).resolve().parent.parent)
START = 1_772_000_000.0  # 2026-02-25T06:13:20Z
NOBODY = 2**22 + 1  # above the largest pid of Linux, so never a process


class Done(NamedTuple):
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str


class World:
    """A trace folder at *path*, made when the first session is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: list[int] = []
        self._number = 1000  # of the records added to a box; those that it began with have lower ones

    def session(
        self,
        agent: str = "trader",
        id: str = "20260225_061320",
        steps: list[dict[str, Any]] | None = None,
        *,
        start: float = START,
        meta: dict[str, Any] | None = None,
    ) -> Path:
        """A session that ended: its journal alone. The first line carries the session's header."""
        self.path.mkdir(exist_ok=True)
        head = self.header(agent, id, start, meta)
        rows = steps if steps is not None else [step("decide", started_at=start)]
        lines = [line({**row, "session": head} if n == 0 else row) for n, row in enumerate(rows)]
        path = self.path / f"{agent}_{id}.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    def died(
        self,
        agent: str = "trader",
        id: str = "20260225_061320",
        steps: list[dict[str, Any]] | None = None,
        open_steps: list[dict[str, Any]] | None = None,
        *,
        start: float = START,
    ) -> Path:
        """A session whose process is gone, with steps still open in its black box."""
        path = self.session(agent, id, steps, start=start)
        who = {**alive.identity(), "pid": NOBODY, "start": "1"}
        path.with_suffix(".live").write_bytes(self._box(agent, id, start, who, open_steps))
        return path

    def running(
        self,
        agent: str = "trader",
        id: str = "20260225_061320",
        steps: list[dict[str, Any]] | None = None,
        open_steps: list[dict[str, Any]] | None = None,
        *,
        start: float = START,
    ) -> Path:
        """A session of this very process, which holds its black box until `end`."""
        self.path.mkdir(exist_ok=True)
        box = self.path / f"{agent}_{id}.live"
        fd = os.open(box, os.O_RDWR | os.O_CREAT, 0o600)
        assert alive.hold(fd)
        self._held.append(fd)
        os.write(fd, self._box(agent, id, start, alive.identity(), open_steps))
        return self.session(agent, id, steps, start=start)

    def ends(self, path: Path, row: dict[str, Any]) -> None:
        """A step of the session of journal *path* ends: its line is appended."""
        with path.open("ab") as file:
            file.write(line(row))

    def begins(self, path: Path, one: dict[str, Any]) -> None:
        """A step of the session begins: its record is appended to the black box."""
        self._note(
            {
                "start": one["id"],
                "name": one["name"],
                "parent": one["parent"],
                "started_at": one["started_at"],
                "context": one["context"],
            }
        )

    def says(self, path: Path, id: str, **entry: Any) -> None:
        """The open step *id* logs *entry*."""
        self._note({"log": id, "entry": {"_t": START, **entry}})

    def _note(self, record: dict[str, Any]) -> None:
        self._number += 1
        row = {"n": self._number, "at": 0, **record, "z": self._number}
        os.write(self._held[-1], json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def end(self, path: Path) -> None:
        """The running session of the journal *path* comes to its end."""
        path.with_suffix(".live").unlink()
        self.release()

    def release(self) -> None:
        """Let go of all black boxes."""
        while self._held:
            os.close(self._held.pop())

    def header(self, agent: str, id: str, start: float, meta: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            "agent": agent,
            "session_id": id,
            "trace_id": f"{zlib.crc32((agent + id).encode()):032x}",
            "meta": meta or {},
            "pid": NOBODY,
            "host": "here",
            "started_at": start,
            "format": 1,
            "writer": "1.0.0",
        }

    def _box(
        self, agent: str, id: str, start: float, who: dict[str, Any], open_steps: list[dict[str, Any]] | None
    ) -> bytes:
        rows: list[dict[str, Any]] = [{"live": 1, "session": self.header(agent, id, start), "at": 0, **who}]
        number = 0
        for one in (
            open_steps if open_steps is not None else [step("wait", started_at=start + 5, id="f" * 16)]
        ):
            number += 1
            rows.append(
                {
                    "n": number,
                    "at": 0,
                    "start": one["id"],
                    "name": one["name"],
                    "parent": one["parent"],
                    "started_at": one["started_at"],
                    "context": one["context"],
                    "z": number,
                }
            )
            for entry in one["logs"]:
                number += 1
                rows.append({"n": number, "at": 0, "log": one["id"], "entry": entry, "z": number})
        return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)

    def call(self, *words: str, stdin: bytes = b"", **variables: str) -> Done:
        """Run a command on this folder, in this process."""
        return call("--dir", str(self.path), *words, stdin=stdin, **variables)


def step(
    name: str,
    outcome: str = "ok",
    *,
    started_at: float = START,
    duration_ms: float = 100.0,
    id: str | None = None,
    parent: str | None = None,
    error: str | None = None,
    context: dict[str, Any] | None = None,
    logs: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A finished step as plain data; without an *id*, one made of its name and time."""
    made = f"{zlib.crc32(repr((name, started_at, duration_ms)).encode()):08x}" + f"{int(duration_ms):08x}"
    usage = {"usage": more.pop("usage")} if "usage" in more else {}
    return {
        "name": name,
        "outcome": outcome,
        "started_at": started_at,
        "duration_ms": duration_ms,
        "id": id or made,
        "parent": parent,
        "error": error,
        "len": 0,
        **usage,
        "context": context or {},
        "logs": logs or [],
        "finished_at": started_at + duration_ms / 1000,
        **more,
    }


def line(row: dict[str, Any]) -> bytes:
    """*row* as a journal line that says its own length."""
    size = 0
    for _ in range(4):
        raw = json.dumps({**row, "len": size}, separators=(",", ":")).encode() + b"\n"
        size = len(raw)
    return raw


class _Terminal(io.TextIOWrapper):
    """A stream of bytes in memory, as `sys.stdout` is one over a file."""


def call(*words: str, stdin: bytes = b"", **variables: str) -> Done:
    """Run a command in this process, both streams captured, with the environment *variables*."""
    out, err = _stream(), _stream()
    before, was_stdin = dict(os.environ), sys.stdin
    for name in ("AI_TRACE_DIR", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "PAGER"):
        os.environ.pop(name, None)
    os.environ.update(variables)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(words))
    finally:
        sys.stdin = was_stdin
        os.environ.clear()
        os.environ.update(before)
    return Done(code, _text(out), _text(err))


def _stream() -> _Terminal:
    return _Terminal(io.BytesIO(), encoding="utf-8", newline="\n")


def _text(stream: _Terminal) -> str:
    stream.flush()
    return bytes(stream.buffer.getvalue()).decode()  # type: ignore[attr-defined]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would change the commands, and *variables*."""
    ours = (
        "AI_TRACE",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "PAGER",
        "LESS",
        "PYTHONIOENCODING",
        "PYTHONUTF8",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": ROOT, **variables}


def command(*words: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The command line that runs *words* in a process of its own."""
    return [sys.executable, *flags, "-m", "ai_trace", *words]


def spawn(
    *words: str, flags: tuple[str, ...] = (), variables: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own and wait for it."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        command(*words, flags=flags), env=environment(**(variables or {})), timeout=600, **options
    )
