"""Clocks jump, stop and lie: a duration is never negative, nothing raises, and every line is still JSON."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import clock
from tests.children import run
from tests.journals import lines

NOW = 1_709_300_422_123_456_789
SECOND = 1_000_000_000

WALLS: dict[str, Callable[[], Iterator[int]]] = {
    "goes back ten seconds": lambda: itertools.count(NOW, -10 * SECOND),
    "jumps a year at each look": lambda: itertools.count(NOW, 365 * 86_400 * SECOND),
    "stands still": lambda: itertools.repeat(NOW),
    "says zero": lambda: itertools.repeat(0),
    "is before 1970": lambda: itertools.count(-NOW, -SECOND),
    "is in the first second of 1970": lambda: itertools.count(1, 1_000),
    "is far in the future": lambda: itertools.repeat(2**38 * SECOND),
    "swings": lambda: itertools.cycle([NOW, NOW - 3_600 * SECOND, NOW + 3_600 * SECOND]),
}


def _clock(wall: Iterator[int], steady: Iterator[int]) -> clock.Clock:
    class Scripted(clock.Clock):
        wall_ns = staticmethod(lambda: next(wall))
        steady_ns = staticmethod(lambda: next(steady))

    return Scripted()


def _record(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    tracer = ai_trace.Tracer("agent", folder)
    with tracer.step("root") as root:
        root.log("first")
        with tracer.step("child"):
            root.log("second")
    tracer.step("by hand").start().finish("odd")
    return tracer, lines(folder)


@pytest.mark.parametrize("wall", list(WALLS.values()), ids=list(WALLS))
def test_a_wall_clock_that_lies_breaks_nothing(
    wall: Callable[[], Iterator[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durations come from the steady clock; times are told as they were given; everything can be read
    and shown.
    """
    monkeypatch.setattr(clock, "active", _clock(wall(), itertools.count(77, 2_000_000)))
    tracer, records = _record(tmp_path)
    assert len(records) == 3
    assert all(record["duration_ms"] > 0 for record in records)
    assert os.path.exists(tracer.save())
    assert os.path.exists(tracer.save_markdown())
    assert tracer.summary()["steps"] == 3
    tracer.close()
    session = ai_trace.load(tracer.path)
    assert sorted(step.name for step in session.steps) == ["by hand", "child", "root"]
    assert session.damage == []
    assert len(ai_trace.sessions(tmp_path)) == 1


@pytest.mark.parametrize(
    "steady",
    [itertools.repeat(5), itertools.count(10**18, -10_000_000), itertools.cycle([9_000_000, 3_000_000])],
    ids=["stuck", "back", "swing"],
)
def test_a_duration_is_never_negative(
    steady: Iterator[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the system's steady clock is not."""
    monkeypatch.setattr(clock, "active", _clock(itertools.repeat(NOW), steady))
    tracer, records = _record(tmp_path)
    tracer.close()
    assert all(record["duration_ms"] >= 0 for record in records)
    assert "-" not in "".join(str(record["duration_ms"]) for record in records), "-0.0 is no duration"


def test_times_keep_their_microseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock said stands in the line, to the microsecond."""
    monkeypatch.setattr(clock, "active", _clock(itertools.count(NOW, 1_000), itertools.count(0, 1_500)))
    tracer, records = _record(tmp_path)
    tracer.close()
    for record in records:
        times = [record["started_at"], *(log["_t"] for log in record["logs"]), record["finished_at"]]
        assert times == sorted(times)
        assert all(abs(t - 1_709_300_422.1234) < 0.001 for t in times)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has no tzset")
@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "XXX-25:30", "nonsense"]
)
def test_the_local_time_zone_is_not_in_the_files(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of files and times in them are UTC wherever the agent runs."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    monkeypatch.setattr(clock, "active", _clock(itertools.repeat(NOW), itertools.count()))
    try:
        tracer, records = _record(tmp_path)
        tracer.close()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert tracer.session_id == "20240301_134022"
    assert records[0]["started_at"] == 1709300422.123456


def test_the_real_clocks_agree_with_the_system(tmp_path: Path) -> None:
    """No double here: an hour is not mistaken for a second."""
    before, began = time.time(), time.perf_counter()
    tracer, records = _record(tmp_path)
    tracer.close()
    after, took = time.time(), time.perf_counter() - began
    for record in records:
        assert before - 1 <= record["started_at"] <= record["finished_at"] + 1 <= after + 2  # it may be set meanwhile
        assert record["duration_ms"] <= took * 1000 + 1


def test_a_step_in_a_process_that_sleeps_shows_a_true_duration(tmp_path: Path) -> None:
    """Durations are the steady clock's milliseconds."""
    code = (
        "import sys, time, ai_trace\n"
        "with ai_trace.Tracer('agent', sys.argv[1]) as tracer:\n"
        "    with tracer.step('step'):\n"
        "        began = time.perf_counter()\n"
        "        while time.perf_counter() - began < 0.05: pass\n"
    )
    run(code, str(tmp_path))
    (record,) = lines(tmp_path)
    assert record["duration_ms"] >= 50
