"""`Tracer(rotate=…)`: past a size or an age a session goes on in a new file, and stays one session."""

from __future__ import annotations

from pathlib import Path

import pytest

import ai_trace
from ai_trace import clock


class Steps(clock.Clock):
    """Every look at the wall clock finds it a quarter of a second later."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000 * 10**9

    def wall_ns(self) -> int:  # type: ignore[override]
        self.now += 250_000_000
        return self.now


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "active", Steps())


@pytest.mark.parametrize("rotate", ["2KB", "10s"])
def test_one_session_in_several_files(tmp_path: Path, rotate: str) -> None:
    """Every step is in one of the files, the reader sees one session, and the open root moved along."""
    with ai_trace.Tracer("agent", tmp_path, rotate=rotate) as tracer:
        with tracer.step("root") as root:
            root.log("before any of it")
            for number in range(40):
                with tracer.step("work", number=number):
                    pass
            running = ai_trace.load(tracer.path)
            assert ["root"] == [step.name for step in running.unfinished]
            assert ["before any of it"] == [log["message"] for log in running.unfinished[0].logs]
    session = ai_trace.load(tracer.path)
    assert len(list(tmp_path.glob("*.jsonl"))) > 2
    assert [] == list(tmp_path.glob("*.live"))
    assert list(range(40)) == [step.context["number"] for step in session.steps if step.name == "work"]
    assert ("ended", 41, [], 1) == (session.state, len(session.steps), session.damage, len(ai_trace.sessions(tmp_path)))


@pytest.mark.parametrize("rotate", ["", "10", "0MB", "10 parsecs", 5, True])
def test_what_means_nothing_is_refused(tmp_path: Path, rotate: object) -> None:
    """A size or an age, or a sentence that says so."""
    with pytest.raises(ai_trace.UsageError, match="rotate must be a size"):
        ai_trace.Tracer("agent", tmp_path, rotate=rotate)  # type: ignore[arg-type]
