"""The disk fills up and is freed, five times: the agent goes on, the drops are counted, recording resumes.

On a real file system: a small tmpfs with ballast where the tests run as root, and a limit on the size of
files (RLIMIT_FSIZE, which also writes short first) where they do not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.children import run
from tests.journals import strict_json

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mount or RLIMIT_FSIZE")

# Calls `full()` and `free()`, which are put in at the comment; prints what happened as JSON.
RECORD = """
import json, os, sys
import ai_trace
folder = sys.argv[1]
tracer = ai_trace.Tracer("agent", os.path.join(folder, "traces"))
kept, dropped = [], []
def record(count, size):
    for i in range(count):
        before = sum(tracer.dropped.values())
        with tracer.step("step", text="x" * (size + 37 * i)) as step:
            step.log(turn=i)
        (kept if sum(tracer.dropped.values()) == before else dropped).append(step.id)
# FULL AND FREE
resumed = []
record(3, 100)
for cycle in range(5):
    full()
    record(12, 150)
    free()
    before = len(dropped)
    record(4, 100)
    resumed.append(len(dropped) == before)
tracer.close()
counted = sum(tracer.dropped.values())
print(json.dumps({"kept": kept, "dropped": dropped, "counted": counted, "resumed": resumed}))
"""

BALLAST = """
def full():
    with open(os.path.join(folder, "ballast"), "ab", buffering=0) as file:
        try:
            while file.write(b"b" * 4096): pass
        except OSError: pass
def free():
    os.unlink(os.path.join(folder, "ballast"))
"""

FILE_LIMIT = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
def full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(tracer.path) + 700, hard))
def free():
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 128 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this system does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _check(done: Any, folder: Path) -> None:
    import ai_trace

    answer = json.loads(done.stdout)
    assert len(answer["dropped"]) >= 5, "the disk was never full"
    assert answer["resumed"] == [True] * 5, "recording did not resume by itself"
    assert answer["counted"] == len(answer["dropped"])
    records, told, notices = [], 0, 0
    for entry in ai_trace.sessions(folder / "traces"):
        session = entry.load()
        records += [step.id for step in session.steps]
        told += sum(session.dropped.values())
        notices += len(session.notices)
    assert sorted(records) == sorted(answer["kept"]), (
        "kept is readable, dropped is not, and nothing is there twice"
    )
    assert told == answer["counted"], "the journal tells what it lost"
    assert sorted(_alone(folder / "traces")) == sorted(answer["kept"]), "a piece stands on a line of its own, for jq too"
    said = [line for line in done.stderr.splitlines() if line]
    assert 1 <= len(said) <= 3, f"one line on stderr for each kind of trouble:\n{done.stderr}"
    assert "Traceback" not in done.stderr


def _alone(folder: Path) -> list[str]:
    """The ids of the steps that have a line of JSON to themselves."""
    found = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            try:
                found.append(strict_json(line)["id"])
            except ValueError:
                continue
    return found


def test_a_full_disk_freed_five_times_loses_only_what_is_counted(small_disk: Path) -> None:
    """ENOSPC on a real file system, with the short write that comes before it."""
    _check(run(RECORD.replace("# FULL AND FREE", BALLAST), str(small_disk)), small_disk)


def test_a_limit_on_file_size_lifted_five_times_loses_only_what_is_counted(tmp_path: Path) -> None:
    """EFBIG with a short write before it: as a full disk, without being root."""
    _check(run(RECORD.replace("# FULL AND FREE", FILE_LIMIT), str(tmp_path)), tmp_path)
