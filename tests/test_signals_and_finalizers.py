"""Code that runs where nobody expects it: signal handlers, finalizers, Ctrl-C in the middle of a call.

No line is torn, no lock stays held, nothing that was acknowledged is lost.
"""

from __future__ import annotations

import contextvars
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import disk
from tests.faults import IN_MEMORY
from tests.faults.interrupts import Interrupter, interrupt_each, interrupting, storm
from tests.journals import lines

timers = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
main_thread = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals need the main thread"
)
SECONDS = float(os.environ.get("STORM_SECONDS", "0.5"))


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; an interrupted write may have left an empty one, or a piece, behind."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


@timers
@main_thread
def test_a_signal_handler_that_traces_tears_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """Handler and agent record with one tracer; every step of both is a whole line, each exactly once."""
    said: list[str] = []
    handled: list[str] = []

    def handle() -> None:
        with tracer.step("in the handler") as step:
            step.log(n=len(said))
        handled.append(step.id)

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with storm(handle):
            until = time.monotonic() + SECONDS
            while time.monotonic() < until or len(handled) <= 10:
                with tracer.step("outer") as outer:
                    outer.log("x" * 200)
                    with tracer.step("inner"):
                        pass
                said.append(outer.id)
        ids = [record["id"] for record in lines(tmp_path)]
    assert len(ids) == len(set(ids))
    assert {*said, *handled} <= set(ids)
    assert tracer.dropped == {}


@timers
@main_thread
def test_ctrl_c_at_any_moment_costs_at_most_the_call_it_struck(tmp_path: Path) -> None:
    """A handler that raises, hundreds of times a second: what had returned is kept, recording goes on."""
    kept: list[str] = []
    struck = 0

    def strike() -> None:
        raise KeyboardInterrupt

    tracer = ai_trace.Tracer("agent", tmp_path)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or struck <= 10:
        try:
            with storm(strike, 2e-4):
                while True:
                    step = tracer.step("step").start()
                    step.log("said")
                    step.finish()
                    kept.append(step.id)
        except KeyboardInterrupt:
            struck += 1
    with tracer.step("after") as after:
        pass
    records = _whole_lines(tracer.path)
    ids = [record["id"] for record in records]
    assert len(ids) == len(set(ids))
    assert set(kept) <= set(ids) and after.id in ids
    tracer.close()


def _interrupted(interrupter: Interrupter, *, opened: bool) -> None:
    """Start, log, finish, nested, with the interrupt, in files that are *opened* already; then all that must hold."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        tracer = ai_trace.Tracer("agent", folder)
        if opened:
            tracer.step("before").start().finish()
        kept: list[str] = []
        try:
            with interrupting(interrupter):
                with tracer.step("outer", a=1) as outer:
                    outer.log("x", y=2)
                    with tracer.step("inner", value=object()) as inner:
                        pass
                    kept.append(inner.id)
                kept.append(outer.id)
        except KeyboardInterrupt:
            pass
        elsewhere = threading.Thread(target=lambda: tracer.step("elsewhere").start().finish())
        elsewhere.start()
        elsewhere.join(600)
        assert not elsewhere.is_alive(), f"the lock is held for ever ({interrupter.where})"
        with tracer.step("after") as after:
            after.log("still here")
        records = _whole_lines(tracer.path)
        ids = [record["id"] for record in records]
        names = [record["name"] for record in records]
        expected = {"elsewhere", "after"} | ({"before"} if opened else set())
        assert expected <= set(names), interrupter.where
        assert set(kept) <= set(ids), f"an acknowledged step is lost ({interrupter.where})"
        assert len(ids) == len(set(ids)), f"a step is there twice ({interrupter.where})"
        shown = ai_trace.load(tracer.path)
        assert shown.damage == [] and set(ids) <= {step.id for step in shown.steps}, interrupter.where
        tracer.close()


@main_thread
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="reads CPython's bytecode")
@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or a coverage tool holds the trace function")
@pytest.mark.parametrize("opened", [True, False], ids=["later", "in the first step"])
def test_ctrl_c_at_any_line_of_ours_leaves_a_readable_journal_and_a_working_tracer(opened: bool) -> None:
    """The k-th line of our code raises KeyboardInterrupt; sampled here, every k in the gauntlet."""
    gc.collect()
    gc.disable()  # a finalizer of an earlier test inside ours would be struck instead
    try:
        every = int(os.environ.get("INTERRUPT_EVERY", "7"))
        opcodes = bool(os.environ.get("INTERRUPT_OPCODES"))
        runs = interrupt_each(
            lambda it: contextvars.copy_context().run(_interrupted, it, opened=opened), every=every, opcodes=opcodes
        )
    finally:
        gc.enable()
    print(f"{runs} interrupts")
    assert runs > 500 // every


def test_a_step_whose_end_was_interrupted_is_still_told_at_the_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its start and its logs had been acknowledged: they are read back, though `finish` never returned."""

    class Struck(disk.Disk):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            if b'"name":"struck"' in data and not strikes:
                strikes.append(1)
                raise KeyboardInterrupt
            return os.write(fd, data)

    strikes: list[int] = []
    monkeypatch.setattr(disk, "active", Struck())
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        step = tracer.step("struck", a=1).start().log("said")
        with pytest.raises(KeyboardInterrupt):
            step.finish()
    (record,) = ai_trace.load(tracer.path).steps
    assert record.name == "struck" and [log["message"] for log in record.logs] == ["said"]


class _Tells:
    """Cyclic garbage that traces when it is collected."""

    def __init__(self, tracer: Any, said: list[str]) -> None:
        self.me, self.tracer, self.said = self, tracer, said

    def __del__(self) -> None:
        with self.tracer.step("from a finalizer") as step:
            step.log("collected")
        self.said.append(step.id)


class _Collecting(disk.Disk):
    """Runs the collector inside each write, where the recorder's lock is held."""

    def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
        gc.collect()
        return os.write(fd, data)


def test_a_finalizer_that_traces_inside_our_own_write_is_recorded_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector strikes while a line is being written: no deadlock, no torn line, nothing lost."""
    monkeypatch.setattr(disk, "active", _Collecting())
    said: list[str] = []
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        for _ in range(50):
            _Tells(tracer, said)
            with tracer.step("step") as step:
                pass
            said.append(step.id)
        gc.collect()
    ids = [record["id"] for record in lines(tmp_path)]
    assert sorted(ids) == sorted(said) and len(said) == 100


def test_a_step_that_begins_inside_the_start_or_the_log_of_another_is_seen_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler strikes while the black box is being written: both stand there, whole, as long as they are open."""

    class Striking(disk.Disk):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            if b"outer" in data and not striking:
                striking.append(1)
                begun.append(tracer.step(f"inner {len(begun)}").start().log("said inside"))
                striking.clear()
            return os.pwrite(fd, data, offset)

    striking: list[int] = []
    begun: list[Any] = []
    monkeypatch.setattr(disk, "active", Striking())
    tracer = ai_trace.Tracer("agent", tmp_path)
    with tracer.step("outer") as outer:
        outer.log("the outer one")
        outer.log("the outer one, again")
        seen = {step.name: len(step.logs) for step in ai_trace.load(tracer.path.with_suffix(".live")).unfinished}
    assert seen == {"outer": 2, **{step.name: 1 for step in begun}} and len(begun) == 3
    for step in begun:
        step.finish()
    tracer.close()


def test_a_repr_that_traces_is_a_step_of_its_own(tmp_path: Path) -> None:
    """A value whose text is asked for records meanwhile; both records are there."""

    class Chatty:
        def __repr__(self) -> str:
            with tracer.step("from a repr"):
                return "<chatty>"

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with tracer.step("step", value=Chatty()) as step:
            step.log(value=Chatty())
    names = [record["name"] for record in lines(tmp_path)]
    assert sorted(names) == ["from a repr", "from a repr", "step"]


def test_a_weakref_callback_that_traces_while_the_lock_is_held_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is let go inside a call of ours may call back; its step is written right after."""
    import weakref

    class Thing:
        pass

    class Dropping(disk.Disk):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            things.clear()
            return os.write(fd, data)

    monkeypatch.setattr(disk, "active", Dropping())
    things = [Thing()]
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        watch = weakref.ref(things[0], lambda _: tracer.step("called back").start().finish())
        with tracer.step("step"):
            pass
    assert watch() is None
    assert [record["name"] for record in lines(tmp_path)] == ["step", "called back"]
