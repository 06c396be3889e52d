"""However many tracers and steps there were, nothing of them stays: no descriptor, thread, frame or memory."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import tracemalloc
import weakref
from pathlib import Path

import pytest

import ai_trace
from tests.faults import IN_MEMORY
from tests.faults.disk_double import open_descriptors

TRACERS = int(os.environ.get("TRACERS", "300"))
STEPS = int(os.environ.get("STEPS", "20000"))


def test_a_closed_or_forgotten_tracer_leaves_no_descriptor_and_no_thread() -> None:
    """Half of them are closed, half are dropped; before and after, the process has the same open."""
    before, threads = open_descriptors(), threading.active_count()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        for n in range(TRACERS):
            tracer = ai_trace.Tracer(f"agent {n}", folder)
            with tracer.step("step"):
                pass
            if n % 2:
                tracer.close()
            del tracer
            if n % 500 == 0:
                gc.collect()
        gc.collect()
        left = [name for name in os.listdir(folder) if name.endswith(".live")]
    assert open_descriptors() <= before
    assert threading.active_count() == threads
    assert left == [], "a dropped tracer lets go of its black box"


def test_a_recorded_exception_keeps_no_frame_alive(tmp_path: Path) -> None:
    """What was local where it was raised is let go with the exception, in steps and in the tracer's last ones."""

    class Thing:
        pass

    def fail() -> weakref.ref[Thing]:
        thing = Thing()
        seen.append(weakref.ref(thing))
        with tracer.step("fails", thing=thing):
            raise ValueError("boom")

    seen: list[weakref.ref[Thing]] = []
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        for _ in range(20):
            with pytest.raises(ValueError):
                fail()
        assert len(tracer.steps) == 20
        if sys.implementation.name != "cpython":
            gc.collect()
        assert [ref() for ref in seen] == [None] * 20


def test_memory_is_bounded_by_what_is_open_not_by_how_long_the_run_is(tmp_path: Path) -> None:
    """Thousands of steps later the process holds no more than after the first thousand."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder, ai_trace.Tracer("agent", folder) as tracer:

        def record(count: int) -> None:
            for n in range(count):
                with tracer.step("step", n=n) as step:
                    step.log("said", n=n)

        record(1_000)
        gc.collect()
        tracemalloc.start()
        try:
            record(1_000)
            gc.collect()
            first = tracemalloc.get_traced_memory()[0]
            record(STEPS // 10)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - first
        finally:
            tracemalloc.stop()
    assert grown < 50_000, f"{grown} bytes more after {STEPS // 10} steps"


def test_a_step_that_logs_for_ever_grows_neither_memory_nor_files(tmp_path: Path) -> None:
    """The middle of its logs is cut at the stated limit, visibly."""
    limits = ai_trace.Limits(logs=100)
    with ai_trace.Tracer("agent", tmp_path, limits=limits) as tracer:
        with tracer.step("root") as root:
            for n in range(STEPS // 4):
                root.log(n=n)
            assert len(root.logs) <= 101
            assert os.path.getsize(tracer.path.with_suffix(".live")) < 4_000_000
    (record,) = ai_trace.load(tracer.path).steps
    assert any("$cut" in log for log in record.logs) and record.logs[-1]["n"] == STEPS // 4 - 1
