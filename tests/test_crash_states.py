"""After a crash at any point, every state that the disk may be in is one that reads as promised.

The disk's calls are written down once; every legal state is laid out in a folder and read. The negative
controls at the end show that the machinery tells a wrong protocol from a right one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import disk
from tests.faults.crash_states import Crash, Op, RecordingDisk, check_each, deaths, power_cuts


def _record(folder: str, sync: str, *, save: bool = False) -> list[Op]:
    """A short run with nesting, ends out of order and one long log; what was acknowledged is said to
    the disk.
    """
    os.mkdir(folder)
    with RecordingDisk().in_place() as double:
        tracer = ai_trace.Tracer("agent", folder, sync=sync)

        def start(name: str, parent: Any = tracer) -> Any:
            step = parent.step(name, text=name * 5).start()
            double.say(("started", step.id))
            return step

        def log(step: Any, turn: int, size: int = 10) -> None:
            step.log(turn=turn, text="x" * size)
            double.say(("log", step.id, turn))

        def finish(step: Any) -> None:
            step.finish()
            double.say(("finished", step.id))

        root = start("root")
        log(root, 0)
        one, two = start("one", root), start("two", root)
        log(two, 0, 900)
        log(one, 0)
        finish(one)
        log(two, 1)
        three = start("three")
        finish(three)
        finish(two)
        log(root, 1)
        if save:
            tracer.save()
            double.say(("saved",))
            tracer.save_markdown()
        finish(root)
        if save:
            tracer.save()
        tracer.close()
    return double.ops


def _steps(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in ai_trace.sessions(folder):
        try:
            session = entry.load()
        except ai_trace.NotATrace:  # the answer to a file that has a name and nothing in it yet
            continue
        assert session.state != "running", "nobody records here"
        for step in session.steps:
            assert step.id not in found, "a step is there twice"
            found[step.id] = step
    return found


def _finished_are_there(folder: str, crash: Crash) -> None:
    found = _steps(folder)
    for what, *words in crash.said:
        if what == "finished":
            assert words[0] in found and not found[words[0]].open, f"finished step {words[0]} is lost"


def _everything_is_there(folder: str, crash: Crash) -> None:
    _finished_are_there(folder, crash)
    found = _steps(folder)
    for what, *words in crash.said:
        if what == "started":
            assert words[0] in found, f"step {words[0]} began and is not shown"
            assert found[words[0]].context == {"text": found[words[0]].name * 5}
        if what == "log":
            assert words[1] in [log.get("turn") for log in found[words[0]].logs], f"log {words} is lost"


def _nothing_raises(folder: str, crash: Crash) -> None:
    _steps(folder)


def test_killed_at_any_byte_of_any_write_every_acknowledged_call_is_readable(tmp_path: Path) -> None:
    """Death of the process, default settings: finished, started and logged, all there, at every byte."""
    ops = _record(str(tmp_path / "traces"), "never")
    assert check_each(deaths(ops, every_byte=True), _everything_is_there) > 1_000


@pytest.mark.parametrize("sync", ["step", "always"])
def test_after_a_power_cut_every_acknowledged_step_is_readable(sync: str, tmp_path: Path) -> None:
    """With sync "step" or "always", a finished step survives every legal state of the disk."""
    ops = _record(str(tmp_path / "traces"), sync)
    check_each(power_cuts(ops), _finished_are_there)


def test_after_a_power_cut_sync_always_shows_steps_and_logs_still_open(tmp_path: Path) -> None:
    """With sync "always", each record is on the platter before its call returns, those of open steps, too."""
    ops = _record(str(tmp_path / "traces"), "always")
    check_each(power_cuts(ops), _everything_is_there)


def test_after_a_power_cut_without_sync_the_reader_still_answers(tmp_path: Path) -> None:
    """With sync "never" records may be gone; what is left reads without an error, and no step shows twice."""
    ops = _record(str(tmp_path / "traces"), "never")
    check_each(power_cuts(ops), _nothing_raises)


def _snapshots_are_whole(folder: str, crash: Crash) -> None:
    for name, content in crash.files.items():
        if name.endswith(".json"):
            assert json.loads(content)["agent"] == "agent"
        if name.endswith(".md"):
            assert content.endswith(b"\n") and b"\0" not in content
    if ("saved",) in crash.said:
        assert any(name.endswith(".json") for name in crash.files), "a snapshot whose save() returned is gone"


def test_a_snapshot_is_whole_or_absent_after_any_crash(tmp_path: Path) -> None:
    """At its final name there is one complete version, the old or the new, after a kill and after a
    power cut.
    """
    ops = _record(str(tmp_path / "traces"), "never", save=True)
    check_each(deaths(ops), _snapshots_are_whole)
    check_each(power_cuts(ops), _snapshots_are_whole)


def test_the_machinery_finds_a_journal_that_was_not_synced(tmp_path: Path) -> None:
    """Negative control: without sync, some legal state of the disk must have lost an acknowledged step."""
    ops = _record(str(tmp_path / "traces"), "never")
    with pytest.raises(AssertionError, match="is lost"):
        check_each(power_cuts(ops), _finished_are_there)


def test_the_machinery_finds_a_snapshot_that_was_not_synced(tmp_path: Path) -> None:
    """Negative control: written, renamed, never synced; some legal state must be broken."""
    with RecordingDisk().in_place() as double:
        for turn in range(2):
            fd = double.open(str(tmp_path / "new"), disk.OVERWRITE | disk.NEW)
            double.write(fd, b'{"agent":"agent","turn":%d}' % turn)
            double.close(fd)
            double.replace(str(tmp_path / "new"), str(tmp_path / "snapshot.json"))
    with pytest.raises(AssertionError, match="power cut"):
        check_each(power_cuts(double.ops), _snapshots_are_whole)
    check_each(deaths(double.ops), _snapshots_are_whole)  # a mere death of the process does not need the sync
