"""At a snapshot's name there is always one whole version, the old or the new, whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from ai_trace import disk, snapshot
from ai_trace.exceptions import UsageError
from ai_trace.session import Session, fold
from tests.faults.crash_states import RecordingDisk, power_cuts
from tests.faults.disk_double import FAULTS, FailingDisk, Fault, open_descriptors, run_failing_each_call
from tests.records import failed, step

INFO = {"agent": "trader", "session_id": "20240301_134022"}


def _session(steps: int, size: int = 10) -> Session:
    return fold([step(n, context={"text": "x" * size}) for n in range(steps)], info=INFO)


def _count(path: str | Path) -> int:
    """How many steps the whole JSON snapshot at *path* holds; anything torn raises."""
    with open(path, "rb") as file:
        return len(json.loads(file.read())["steps"])


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_any_failing_call_leaves_the_old_version_or_the_new(fault: Fault, lasting: bool) -> None:
    """The n-th call on the disk fails, for every n: the name holds a whole version, nothing else is left."""
    # Several writes; but not a million, one byte each.
    old, new = _session(2), _session(5, size=200 if lasting and "short" in fault.name else 200_000)
    before = open_descriptors()

    def scenario(folder: str, double: FailingDisk) -> BaseException | None:
        path = os.path.join(folder, "a.json")
        double.healed = True
        snapshot.write(old, path, "json")
        double.healed, double.calls = False, []
        try:
            snapshot.write(new, path, "json")
        except (OSError, MemoryError, KeyboardInterrupt) as error:
            return error
        return None

    def check(folder: str, double: FailingDisk, error: BaseException | None) -> None:
        assert _count(os.path.join(folder, "a.json")) in ((2, 5) if error else (5,)), double.failed_in
        # Where the disk refuses to remove the temporary file too, the next sweep has to.
        refused = lasting and "unlink" in double.calls
        opened = double.failed_in == "open" and "after" in fault.name
        assert ["a.json"] == os.listdir(folder) or refused, double.failed_in
        assert open_descriptors() == before or opened, double.failed_in

    runs = run_failing_each_call(scenario, check, fault, lasting=lasting)
    assert runs > 6  # mkdir, open, writes, fsync, close, replace, fsync_folder


def test_a_power_cut_at_any_point_shows_a_whole_version(tmp_path: Path) -> None:
    """Every state that unsynced data and names may leave behind: the new name never holds half a file."""
    path = tmp_path / "a.json"
    with RecordingDisk().in_place() as recording:
        snapshot.write(_session(2), path, "json")
        recording.say("first")
        snapshot.write(_session(4), path, "json")
        recording.say("second")
    seen = set()
    for crash in power_cuts(recording.ops):
        content = crash.files.get("a.json")
        seen.add(content is not None)
        if content is None:
            assert not crash.said, crash.story
        else:
            legal = (4,) if "second" in crash.said else (2, 4)
            assert len(json.loads(content)["steps"]) in legal, crash.story
    assert seen == {True, False}


class _NoSync(disk.Disk):
    """The real disk without its slowest call, which no reader can see."""

    fsync = staticmethod(lambda fd: None)


def test_readers_see_only_whole_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone reads the snapshot again and again while it is replaced 500 times."""
    monkeypatch.setattr(disk, "active", _NoSync())
    path = str(tmp_path / "a.json")
    sessions = [_session(count) for count in (1, 3, 9)]
    snapshot.write(sessions[0], path, "json")
    done = threading.Event()
    seen: set[Any] = set()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(_count(path))
            except (OSError, ValueError) as error:  # pragma: no cover
                seen.add(repr(error))

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(500):
        snapshot.write(sessions[turn % 3], path, "json")
    done.set()
    for reader in readers:
        reader.join()
    assert seen <= {1, 3, 9} and seen, seen


def test_the_keys_of_the_older_package_are_there(tmp_path: Path) -> None:
    """Programs that read its snapshots read ours; what we add stands beside."""
    steps = [failed(1, traceback="Traceback", logs=[{"_t": 1.0, "a": 1}]), step(2, 1, open=True)]
    session = fold(steps, info={**INFO, "meta": {"v": 1}}, state="died")
    path = snapshot.write(session, tmp_path / "a.json", "json")
    document = json.loads(Path(path).read_text())

    assert ["agent", "session_id", "saved_at", "meta"] == list(document)[:4]
    assert {"trace_id", "state", "format", "writer", "totals", "damage", "dropped", "steps"} <= set(document)
    assert document["saved_at"].endswith("Z") and {"v": 1} == document["meta"]
    first, second = document["steps"]
    older = ["name", "context", "started_at", "finished_at", "duration_ms", "outcome", "error", "logs"]
    assert older == list(first)[:8]
    assert ("Traceback", True, None) == (first["traceback"], second["open"], second["finished_at"])


def test_streaming_and_the_whole_dict_say_the_same() -> None:
    """`to_dict` and the file have one form."""
    session = fold([step(1), failed(2, 1)], info=INFO, state="ended")

    assert session.to_dict("now") == json.loads("".join(snapshot.to_json(session, "now")))
    assert fold([]).to_dict("now") == json.loads("".join(snapshot.to_json(fold([]), "now")))


def test_a_snapshot_is_strict_json_whatever_an_importer_put_in() -> None:
    """No NaN, no object of Python, no lone surrogate as bytes."""
    loop: list[Any] = []
    loop.append(loop)
    session = fold([step(1, context={"nan": float("nan"), "set": {1}, "loop": loop, "surrogate": "\ud800"})])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = "".join(snapshot.to_json(session))
    assert 1 == len(json.loads(text.encode("ascii"), parse_constant=refuse)["steps"])


def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    """What an agent saw is nobody else's business, whatever the umask says."""
    before = os.umask(0)
    try:
        path = snapshot.write(_session(1), tmp_path / "new" / "a.md", "md")
    finally:
        os.umask(before)
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(os.stat(path).st_mode)
        assert 0o700 == stat.S_IMODE(os.stat(tmp_path / "new").st_mode)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs symbolic links")
def test_a_link_planted_at_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    """The file that the link points to stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.json").symlink_to(victim)
    snapshot.write(_session(1), tmp_path / "a.json", "json")

    assert "precious" == victim.read_text()
    assert not (tmp_path / "a.json").is_symlink() and 1 == _count(tmp_path / "a.json")


def test_what_a_dead_process_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    """Only temporary files of the same snapshot, and only old ones; another save may be at work right now."""
    names = [".a.json.1.ff.tmp", ".a.json.2.ff.tmp", ".b.json.1.ff.tmp", "a.json.tmp"]
    for name in names:
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (1e9, 1e9))
    os.utime(tmp_path / names[1])
    snapshot.write(_session(1), tmp_path / "a.json", "json")

    assert {*names[1:], "a.json"} == set(os.listdir(tmp_path))


class _HeldOpen(disk.Disk):
    """Windows while a viewer holds a file: replacing *name* is refused the first *times* times."""

    def __init__(self, name: str, times: int, winerror: int) -> None:
        self.name, self.left, self.winerror = name, times, winerror

    def replace(self, old: str, new: str) -> None:  # type: ignore[override]
        if os.path.basename(new) == self.name and self.left:
            self.left -= 1
            error = PermissionError(errno.EACCES, "held open", new)
            error.winerror = self.winerror  # type: ignore[attr-defined,unused-ignore]
            raise error
        os.replace(old, new)


@pytest.mark.parametrize("winerror", [5, 32])
@pytest.mark.parametrize("times, name", [(3, "a.json"), (1000, "a.1.json")])
def test_a_file_held_open_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int, times: int, name: str
) -> None:
    """A moment's patience, then a name beside it; the answer says which."""
    waited: list[float] = []
    monkeypatch.setattr(snapshot.time, "sleep", waited.append)
    monkeypatch.setattr(disk, "active", _HeldOpen("a.json", times, winerror))

    assert str(tmp_path / name) == snapshot.write(_session(1), tmp_path / "a.json", "json")
    assert [name] == os.listdir(tmp_path)
    assert 0 < sum(waited) <= 0.5


def test_any_other_refusal_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting does not help against a missing right."""
    monkeypatch.setattr(disk, "active", _HeldOpen("a.json", 1, 1314))

    with pytest.raises(PermissionError):
        snapshot.write(_session(1), tmp_path / "a.json", "json")
    assert [] == os.listdir(tmp_path)


def test_a_name_of_the_longest_kind_can_be_saved(tmp_path: Path) -> None:
    """The temporary file beside it is no longer than the system allows."""
    name = "é" * 120 + ".json"

    assert 1 == _count(snapshot.write(_session(1), tmp_path / name, "json"))


def test_an_unknown_form_is_a_usage_error(tmp_path: Path) -> None:
    """Said in a sentence that names the forms there are."""
    with pytest.raises(UsageError, match="json, md"):
        snapshot.write(_session(1), tmp_path / "a.txt", "txt")
