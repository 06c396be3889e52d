"""Real errors of a real system: EIO from the kernel, a sync that fails, no descriptors left, a disk read only.

Nothing reaches the agent; what could not be kept is counted and told, and recording goes on by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import disk
from tests.children import ROOT, run
from tests.faults.refusals import seccomp_works, small_file_system
from tests.journals import lines

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX errors")


@pytest.fixture(scope="module")
def filters() -> None:
    if not seccomp_works():
        pytest.skip("this system does not let a process filter its own calls")


@pytest.fixture
def little(tmp_path: Path) -> Iterator[Path]:
    """A folder on a tmpfs of its own."""
    try:
        with small_file_system(str(tmp_path / "disk"), "size=1m,nr_inodes=8") as place:
            yield Path(place)
    except PermissionError as err:
        pytest.skip(str(err))


# Low descriptors are freed before the fault, so that files made anew get other numbers than the bad one.
BAD_FILE = """
import errno, json, os, sys
import ai_trace
from tests.faults.refusals import refuse_calls
spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
tracer = ai_trace.Tracer("agent", sys.argv[1], sync=sys.argv[2])
def step(name):
    before = sum(tracer.dropped.values())
    with tracer.step(name) as made:
        made.log("said")
    (kept if sum(tracer.dropped.values()) == before else lost).append(made.id)
kept, lost = [], []
step("good")
(fd,) = [int(n) for n in os.listdir("/proc/self/fd")
         if os.path.exists(f"/proc/self/fd/{n}") and os.readlink(f"/proc/self/fd/{n}") == str(tracer.path)]
for number in spare:
    os.close(number)
refuse_calls(errno.EIO, sys.argv[3], fd=fd)
for n in range(8):
    step(f"later {n}")
tracer.close()
print(json.dumps({"kept": kept, "lost": lost, "dropped": tracer.dropped, "path": str(tracer.path)}))
"""


def _bad_file(folder: Path, sync: str, call: str) -> tuple[dict[str, Any], Any, str]:
    done = run(BAD_FILE, str(folder), sync, call, cwd=ROOT)
    answer = json.loads(done.stdout)
    return answer, ai_trace.load(answer["path"]), done.stderr


def test_after_three_errors_of_the_disk_another_file_is_begun(filters: None, tmp_path: Path) -> None:
    """A file on bad blocks is not tried for ever: three lines are lost, counted and told, then a new segment."""
    answer, session, said = _bad_file(tmp_path, "never", "write")
    assert answer["dropped"] == {"EIO": 3} and len(answer["lost"]) == 3
    assert sorted(step.id for step in session.steps) == sorted(answer["kept"])
    assert session.dropped == {"EIO": 3}
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert len(said.splitlines()) == 1 and "Traceback" not in said


def test_a_failed_sync_is_never_tried_again_on_the_same_file(filters: None, tmp_path: Path) -> None:
    """The kernel forgets what it could not write, so a second sync would lie: a new segment, and a notice."""
    answer, session, said = _bad_file(tmp_path, "step", "fdatasync")
    assert answer["dropped"] == {}, "the line is in the file"
    assert len(session.steps) == 9
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert [notice for notice in session.notices if "not synced" in str(notice)]
    assert "Traceback" not in said


def test_without_a_free_descriptor_steps_are_counted_and_recording_begins_when_there_is_one(
    tmp_path: Path,
) -> None:
    """EMFILE at the first step: the agent sees nothing, and the first line tells what was lost."""
    code = (
        "import json, os, resource, sys\n"
        "import ai_trace\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))\n"
        "for _ in range(3):\n"
        "    with tracer.step('lost') as step: step.log('said')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "with tracer.step('kept'): pass\n"
        "tracer.close()\n"
        "print(json.dumps(tracer.dropped))\n"
    )
    dropped = json.loads(run(code, str(tmp_path)).stdout)
    (record,) = lines(tmp_path)
    assert record["name"] == "kept"
    assert dropped == record["dropped"] == {"EMFILE": 3}


def test_without_a_free_inode_steps_are_counted(little: Path) -> None:
    """ENOSPC when the files are made, on a file system that has room but no names left."""
    folder = little / "traces"
    folder.mkdir()
    tracer = ai_trace.Tracer("agent", folder)
    fillers = []
    try:
        while True:
            fillers.append(little / f"filler{len(fillers)}")
            fillers[-1].touch()
    except OSError:
        fillers.pop()
    with tracer.step("lost"):
        pass
    for filler in fillers:
        filler.unlink()
    with tracer.step("kept"):
        pass
    tracer.close()
    (record,) = lines(folder)
    assert record["dropped"] == tracer.dropped == {"ENOSPC": 1}


def test_a_disk_that_became_read_only_costs_steps_that_are_counted(little: Path) -> None:
    """EROFS between construction and the first step; when it is writable again, recording begins."""
    tracer = ai_trace.Tracer("agent", little / "traces")
    subprocess.run(["mount", "-o", "remount,ro", str(little)], check=True)
    with tracer.step("lost"):
        pass
    subprocess.run(["mount", "-o", "remount,rw", str(little)], check=True)
    with tracer.step("kept"):
        pass
    tracer.close()
    (record,) = lines(little / "traces")
    assert record["dropped"] == tracer.dropped == {"EROFS": 1}


def test_construction_names_the_path_and_the_remedy(tmp_path: Path) -> None:
    """A file in place of the folder, or above it, is refused there and then, in a sentence."""
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        with pytest.raises(ai_trace.UsageError, match="file.*another trace_dir"):
            ai_trace.Tracer("agent", place)


def test_a_folder_that_can_never_be_is_refused_at_construction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long a name (below a missing folder, too), links in a circle: a sentence, or counted drops where asked."""
    (tmp_path / "circle").symlink_to("circle")
    long, deep = "x" * 300, "/".join(["y" * 200] * 30)
    hopeless = {"name is too long": (long, f"missing/{long}/more", deep), "circle": ("circle", "circle/below")}
    for says, places in hopeless.items():
        for place in places:
            with pytest.raises(ai_trace.UsageError, match=f"{says}.*another trace_dir"):
                ai_trace.Tracer("agent", tmp_path / place)
    with pytest.raises(ai_trace.UsageError, match="must be a path"):
        ai_trace.Tracer("agent", "half a character: \ud800")
    monkeypatch.setenv("AI_TRACE_ON_ERROR", "warn")
    for place in (long, "circle"):
        tracer = ai_trace.Tracer("agent", tmp_path / place)
        with tracer.step("lost"):
            pass
        tracer.close()
        assert list(tracer.dropped.values()) == [1], tracer.dropped
    assert os.listdir(tmp_path) == ["circle"]


def test_a_folder_of_somebody_else_is_refused_or_counted(tmp_path: Path) -> None:
    """Without the right to write, construction says so; with AI_TRACE_ON_ERROR=warn the steps are counted."""
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else needs root")
    code = (
        "import os, sys, ai_trace\n"
        "os.setuid(65534)\n"
        "try: ai_trace.Tracer('agent', sys.argv[1])\n"
        "except ai_trace.UsageError as err: assert 'permission' in str(err), err\n"
        "else: raise SystemExit('not refused')\n"
        "os.environ['AI_TRACE_ON_ERROR'] = 'warn'\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('lost'): pass\n"
        "assert tracer.dropped == {'EACCES': 1}, tracer.dropped\n"
    )
    folder = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/") / f"not-yours-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        run(code, str(folder))
    finally:
        folder.rmdir()


def test_a_slow_disk_delays_its_own_step_and_the_end_of_the_process_waits_no_longer_than_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that hangs holds the lock; `close` gives up while it hangs and leaves the files."""
    import threading

    from ai_trace import recorder

    inside, go_on = threading.Event(), threading.Event()

    class Hanging(disk.Disk):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            inside.set()
            go_on.wait()
            return os.write(fd, data)

    assert recorder.LONGEST_WAIT == 2.0  # what the README says
    monkeypatch.setattr(recorder, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(disk, "active", Hanging())
    tracer = ai_trace.Tracer("agent", tmp_path)
    thread = threading.Thread(target=lambda: tracer.step("slow").start().finish())
    thread.start()
    inside.wait()
    guard = threading.Timer(600, go_on.set)  # else a `close` that never gives up would hang the tests
    guard.start()
    tracer.close()
    assert thread.is_alive() and not go_on.is_set(), "it waited until the disk had answered"
    guard.cancel()
    go_on.set()
    thread.join()
    tracer.close()
    assert [record["name"] for record in lines(tmp_path)] == ["slow"]
