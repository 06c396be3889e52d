"""Somebody deletes, moves, replaces or cuts the files while the agent records, or the agent moves itself.

Recording goes on, in new files where need be, and the next line says what was done and what it cost.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import recorder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody take away an open file")


@pytest.fixture(autouse=True)
def look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's place is looked at for each step, not ten times a second."""
    monkeypatch.setattr(recorder, "CHECK_EVERY_NS", 0)


def _steps(folder: Path) -> dict[str, Any]:
    return {step.name: step for entry in ai_trace.sessions(folder) for step in entry.load().steps}


def _notices(folder: Path) -> str:
    return " ".join(str(note) for entry in ai_trace.sessions(folder) for note in entry.load().notices)


def _record(tracer: Any, *names: str) -> None:
    for name in names:
        with tracer.step(name) as step:
            step.log("said")


def test_a_removed_folder_is_made_anew_and_what_went_with_it_is_counted(tmp_path: Path) -> None:
    """`rm -r traces` between two steps: the next one is on disk again, and tells how many were lost."""
    folder = tmp_path / "traces"
    tracer = ai_trace.Tracer("agent", folder)
    _record(tracer, "one", "two")
    shutil.rmtree(folder)
    _record(tracer, "three", "four")
    assert sorted(_steps(folder)) == ["four", "three"]
    assert "deleted" in _notices(folder)
    assert sum(tracer.dropped.values()) >= 1, "what is gone is counted"
    (entry,) = ai_trace.sessions(folder)
    assert entry.load().dropped == tracer.dropped
    tracer.close()


def test_a_renamed_folder_keeps_what_it_had_and_recording_goes_on_in_a_new_one(tmp_path: Path) -> None:
    """`mv traces old`: nothing is lost, nothing more goes into the old folder."""
    folder, old = tmp_path / "traces", tmp_path / "old"
    tracer = ai_trace.Tracer("agent", folder)
    _record(tracer, "one")
    os.rename(folder, old)
    _record(tracer, "two")
    assert [name for name, step in _steps(old).items() if not step.open] == ["one"]
    assert sorted(_steps(folder)) == ["two"]
    assert "moved" in _notices(folder)
    assert tracer.dropped == {}
    tracer.close()


def test_a_step_open_while_the_folder_goes_is_seen_in_the_new_one(tmp_path: Path) -> None:
    """Its context and its logs move with it: it is whole where it ends."""
    folder = tmp_path / "traces"
    tracer = ai_trace.Tracer("agent", folder)
    root = tracer.step("root", a=1).start()
    root.log("before")
    shutil.rmtree(folder)
    _record(tracer, "child")
    (entry,) = ai_trace.sessions(folder)
    (open_step,) = entry.load().unfinished
    assert open_step.name == "root" and open_step.context == {"a": 1} and len(open_step.logs) == 1
    root.log("after")
    root.finish()
    assert [log["message"] for log in _steps(folder)["root"].logs] == ["before", "after"]
    tracer.close()


def test_a_step_open_while_the_folder_is_renamed_is_open_in_the_new_one_alone(tmp_path: Path) -> None:
    """What was moved away does not show it as open, or died in, for ever."""
    folder, old = tmp_path / "traces", tmp_path / "old"
    tracer = ai_trace.Tracer("agent", folder)
    root = tracer.step("root", a=1).start().log("before")
    _record(tracer, "one")
    os.rename(folder, old)
    _record(tracer, "two")
    assert {name for name, step in _steps(folder).items() if step.open} == {"root"}
    assert sorted(_steps(old)) == ["one"]
    root.finish()
    tracer.close()
    assert sorted(_steps(folder)) == ["root", "two"]


def test_a_deleted_journal_is_begun_anew(tmp_path: Path) -> None:
    """`rm` of the one file: the steps in it are gone and counted, the later ones are there."""
    tracer = ai_trace.Tracer("agent", tmp_path)
    _record(tracer, "one")
    os.unlink(tracer.path)
    _record(tracer, "two", "three")
    assert sorted(_steps(tmp_path)) == ["three", "two"]
    assert sum(tracer.dropped.values()) >= 1
    tracer.close()


def test_a_journal_rotated_by_rename_keeps_its_steps_and_another_is_begun(tmp_path: Path) -> None:
    """logrotate with `create`: the renamed file is whole, the file put in its place is left to whoever made it."""
    tracer = ai_trace.Tracer("agent", tmp_path)
    _record(tracer, "one")
    path = tracer.path
    rotated = tmp_path / (path.name + ".1")
    os.rename(path, rotated)
    path.touch()
    _record(tracer, "two")
    assert path.stat().st_size == 0
    assert [record.name for record in ai_trace.read(rotated)] == ["one"]
    assert "two" in {record.name for file in tmp_path.glob("*.jsonl") for record in _read(file)}
    assert tracer.dropped == {}
    tracer.close()


def _read(file: Path) -> list[Any]:
    return list(ai_trace.read(file)) if file.stat().st_size else []


def test_a_journal_copied_and_truncated_goes_on_at_its_new_end(tmp_path: Path) -> None:
    """logrotate with `copytruncate`: no hole of zeros, no half line, and the next line says so."""
    tracer = ai_trace.Tracer("agent", tmp_path)
    _record(tracer, "one", "two")
    copy = tmp_path / "copy.jsonl"
    shutil.copy(tracer.path, copy)
    os.truncate(tracer.path, 0)
    _record(tracer, "three")
    assert b"\0" not in tracer.path.read_bytes()
    assert [record.name for record in ai_trace.read(tracer.path)] == ["three"]
    assert [record.name for record in ai_trace.read(copy)] == ["one", "two"]
    session = ai_trace.load(tracer.path)
    assert any("truncated" in str(note) for note in session.notices)
    tracer.close()


def test_a_journal_cut_inside_a_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    """Half a line stays half a line; what is appended begins on a line of its own."""
    tracer = ai_trace.Tracer("agent", tmp_path)
    _record(tracer, "one", "two")
    os.truncate(tracer.path, os.path.getsize(tracer.path) - 30)
    _record(tracer, "three")
    session = ai_trace.load(tracer.path)
    assert [step.name for step in session.steps] == ["one", "three"]
    assert len(session.damage) == 1
    tracer.close()


def test_the_black_box_taken_away_costs_no_finished_step(tmp_path: Path) -> None:
    """Somebody cleans up `*.live`: the journal knows nothing of it."""
    tracer = ai_trace.Tracer("agent", tmp_path)
    root = tracer.step("root").start()
    tracer.path.with_suffix(".live").unlink()
    _record(tracer, "one")
    root.log("said").finish()
    assert sorted(_steps(tmp_path)) == ["one", "root"]
    tracer.close()


def test_a_folder_taken_again_and_again_never_reaches_the_agent(tmp_path: Path) -> None:
    """Forty rounds of removal, in every phase of a step: no exception, and the last steps are there."""
    folder = tmp_path / "traces"
    tracer = ai_trace.Tracer("agent", folder)
    for turn in range(40):
        step = tracer.step(f"s{turn}").start()
        if turn % 3 == 0:
            shutil.rmtree(folder)
        step.log("said")
        if turn % 3 == 1:
            shutil.rmtree(folder)
        step.finish()
    _record(tracer, "last")
    assert "last" in _steps(folder)
    tracer.close()


def test_a_change_of_the_working_folder_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative trace folder is settled at construction, and one deleted under our feet is no trouble."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    tracer = ai_trace.Tracer("agent", "traces")
    _record(tracer, "one")
    monkeypatch.chdir(tmp_path / "elsewhere")
    os.rmdir(tmp_path / "elsewhere")
    _record(tracer, "two")
    assert sorted(_steps(tmp_path / "traces")) == ["one", "two"]
    assert sorted(os.listdir(tmp_path)) == ["traces"]
    tracer.close()
