"""Tracing trouble is told to the logger `ai_trace` as well, where the app uses `logging`: once for each kind, never
under a lock, and never a second time on stderr.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ai_trace
from ai_trace import disk
from tests.children import run


QUIET = """
import logging, sys
import ai_trace
from ai_trace import disk

class Refusing(disk.Disk):
    def write(self, fd, data):
        raise OSError(28, "No space left on device")

disk.active = Refusing()
tracer = ai_trace.Tracer("agent", sys.argv[1])
tracer.step("decide").start().finish()
"""


class Refusing(disk.Disk):
    """Takes no line."""

    def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
        raise OSError(28, "No space left on device")


@pytest.fixture
def heard() -> Iterator[list[logging.LogRecord]]:
    """What the logger `ai_trace` is told meanwhile."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger("ai_trace")
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def test_what_could_not_be_kept_is_a_warning_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[logging.LogRecord]
) -> None:
    """Three steps that a full disk refuses: one warning, which names the file and the reason."""
    monkeypatch.setattr(disk, "active", Refusing())
    tracer = ai_trace.Tracer("agent", tmp_path)
    for _ in range(3):
        with tracer.step("decide"):
            pass
    tracer.close()

    assert tracer.dropped == {"ENOSPC": 3}
    assert [record.levelname for record in heard] == ["WARNING"]
    assert str(tracer.path) in heard[0].getMessage() and "No space left" in heard[0].getMessage()


def test_a_handler_may_wait_for_a_thread_that_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's handler hands the warning to another thread and waits, and that thread records a step."""
    monkeypatch.setattr(disk, "active", Refusing())
    tracer = ai_trace.Tracer("agent", tmp_path)
    waited: list[bool] = []

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            other = threading.Thread(target=lambda: tracer.step("elsewhere").start().finish(), daemon=True)
            other.start()
            other.join(60)
            waited.append(not other.is_alive())

    handler = Waiting()
    logger = logging.getLogger("ai_trace")
    logger.addHandler(handler)
    try:
        with tracer.step("decide"):
            pass
    finally:
        logger.removeHandler(handler)
    tracer.close()

    assert waited == [True]


def test_without_handlers_stderr_gets_its_one_line(tmp_path: Path) -> None:
    """An app that imports `logging` and sets nothing up sees the sentence once, not twice."""
    done = run(QUIET, str(tmp_path))

    assert [line[:9] for line in done.stderr.splitlines()] == ["ai_trace:"]
