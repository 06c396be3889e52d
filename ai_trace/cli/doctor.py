"""`ai-trace doctor`: can this machine record here, what does it cost, and what is wrong in one line."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Final, NamedTuple

from .. import alive, disk, folder, safe, settings
from ..exceptions import UsageError
from ..record import FORMAT, VERSION
from ..render import words
from .output import Output

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Say whether this machine can record into the folder, what each step costs there, and what is wrong."
EXAMPLES = """
examples:
  ai-trace doctor
  ai-trace doctor --dir /var/lib/agent/traces --json

exits 1 where something is wrong"""

_LOW: Final = 100 * 1024 * 1024  # bytes free: a day of a busy agent
_TRIES: Final = 30
_LINE: Final = b"x" * 399 + b"\n"  # the size of a common step
_KNOWN: Final = (
    "openai", "anthropic", "google-genai", "litellm", "langchain-core", "langgraph", "openai-agents", "mcp", "httpx",
    "requests", "opentelemetry-sdk",
)  # fmt: skip
_SETTINGS: Final = ("AI_TRACE_DIR", "AI_TRACE_DISABLED", "AI_TRACE_ON_ERROR", "TRACEPARENT")


class _Finding(NamedTuple):
    what: str
    found: str
    wrong: str = ""  # a sentence, where this is a trouble


def arguments(parser: ArgumentParser) -> None:
    """The options of `doctor`."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Look, print, and return 1 where something is wrong."""
    findings = list(_look(os.path.abspath(args.dir)))
    wrong = [finding.wrong for finding in findings if finding.wrong]
    if args.json:
        out.one_json({"findings": [finding._asdict() for finding in findings], "wrong": wrong})
        return 1 if wrong else 0
    width = max(len(finding.what) for finding in findings)
    for what, found, trouble in findings:
        out.line(f"{what:<{width}}  {out.paint(safe.one_line(found), 'red') if trouble else safe.one_line(found)}")
    out.line()
    out.line(out.paint(safe.one_line(wrong[0]), "red") if wrong else "All is well.")
    return 1 if wrong else 0


def _look(place: str) -> Iterator[_Finding]:
    yield _Finding("ai_trace", f"{VERSION}, format {FORMAT}, from {os.path.dirname(os.path.dirname(__file__))}", _rival())
    system = f"{platform.system()} {platform.release()} {platform.machine()}"  # `platform.platform()` starts a process
    yield _Finding("python", f"{platform.python_implementation()} {platform.python_version()} on {system}")
    switched_off = os.environ.get("AI_TRACE_DISABLED", "")
    said = ", ".join(f"{name}={os.environ[name]}" for name in _SETTINGS if name in os.environ)
    off = "tracing is switched off by AI_TRACE_DISABLED" if switched_off not in ("", "0") else ""
    yield _Finding("environment", said or "nothing set", off or _ignored())
    yield from _look_at_folder(place)
    yield _Finding("libraries", ", ".join(_installed()) or "none of those that can be instrumented")


def _rival() -> str:
    """The older package has our import name: whoever was installed last is what runs."""
    try:
        metadata.version("ai-decision-tracer")
    except metadata.PackageNotFoundError:
        return ""
    return "ai-decision-tracer is installed, too; both are called ai_trace, so uninstall one of them"


def _ignored() -> str:
    """What is set and has no effect."""
    if os.environ.get("AI_TRACE_ON_ERROR", "") not in ("", "warn"):
        return 'AI_TRACE_ON_ERROR has no effect: it can only be "warn"'
    try:
        settings.remote_parent(os.environ.get("TRACEPARENT") or None)
    except UsageError:
        return "TRACEPARENT has no effect: it is no W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)"
    return ""


def _look_at_folder(place: str) -> Iterator[_Finding]:
    there = place
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        yield _Finding("folder", place, f"{there} is not a folder: choose another with --dir or AI_TRACE_DIR")
        return
    try:
        settings.check_folder(place)  # what a tracer would say
    except UsageError as err:
        yield _Finding("folder", place, str(err))
        return
    yield _Finding("folder", place if there == place else f"{place} (made when the first step starts)", _modes(place))
    free = shutil.disk_usage(there).free
    yield _Finding("disk", f"{free / 1e9:.1f} GB free", "" if free > _LOW else f"less than 100 MB are free at {there}")
    try:
        with tempfile.TemporaryDirectory(prefix=".ai-trace-doctor-", dir=there) as test:
            yield _costs(test)
            yield _locks(test)
    except OSError as err:
        yield _Finding("writing", str(err.strerror), f"nothing can be written in {there}: {err.strerror}")
    yield _stored(place)


def _modes(place: str) -> str:
    if not hasattr(os, "getuid") or not os.path.isdir(place):
        return ""
    mode = os.stat(place).st_mode
    return f"{place} may be written by everybody: chmod 700 it" if mode & 0o002 and not mode & 0o1000 else ""


def _costs(test: str) -> _Finding:
    """Median costs of a write, and of a write that survives a power cut, measured here and now."""
    fd = os.open(os.path.join(test, "journal"), disk.APPEND | disk.NEW, 0o600)
    try:
        plain = statistics.median(_timed(lambda: os.write(fd, _LINE)) for _ in range(_TRIES))
        synced = statistics.median(_timed(lambda: _write_and_sync(fd)) for _ in range(_TRIES))
    finally:
        os.close(fd)
    return _Finding("cost of a write", f'{plain * 1e6:.1f} µs to the kernel, {synced * 1e6:.0f} µs with sync="step"')


def _write_and_sync(fd: int) -> None:
    os.write(fd, _LINE)
    disk.active.fdatasync(fd)


def _timed(act: object) -> float:
    assert callable(act)
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _locks(test: str) -> _Finding:
    fd = os.open(os.path.join(test, "box"), disk.OVERWRITE | disk.NEW, 0o600)
    try:
        works = alive.hold(fd)
    finally:
        os.close(fd)
    return _Finding("file locks", "work" if works else "do not work here: a died run is shown as unknown")


def _stored(place: str) -> _Finding:
    entries = folder.sessions(place) if os.path.isdir(place) else []
    size = sum(entry.size for entry in entries)
    index = next((name for name in sorted(os.listdir(place)) if "sqlite" in name), "") if entries else ""
    return _Finding("stored", f"{words.plural(len(entries), 'session')}, {size / 1e6:.1f} MB, {f'index {index}' if index else 'no index yet'}")


def _installed() -> Iterator[str]:
    for name in _KNOWN:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
