"""A snapshot is whole whoever interferes: the process killed in the middle, threads that go on recording."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ai_trace
from tests.children import ROOT, environment

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("SEED", str(int.from_bytes(os.urandom(4), "big"))))

SAVING = """
import os, sys
import ai_trace
tracer = ai_trace.Tracer("agent", sys.argv[1])
for n in range(200):
    with tracer.step("step", n=n, text="x" * 2000): pass
os.write(1, b"ready\\n")
while True:
    tracer.save(); tracer.save_markdown(); tracer.save_html()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_while_saving_no_half_snapshot_is_ever_seen(tmp_path: Path) -> None:
    """Whatever instant: the names hold whole files; what was being written is no session to anyone."""
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, env=environment()
        )
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        threading.Event().wait(rng.uniform(0.0, 0.15))
        child.kill()
        child.wait()
        child.stdout.close()
        for path in tmp_path.glob("*.json"):
            assert len(json.loads(path.read_text())["steps"]) == 200
        for path in tmp_path.glob("*.md"):
            assert path.read_text().endswith("\n")
        for path in tmp_path.glob("*.html"):
            assert path.read_text().rstrip().endswith("</html>")
        entries = ai_trace.sessions(tmp_path)
        assert all(entry.agent == "agent" and len(entry.load().steps) == 200 for entry in entries)
    assert len(entries) == KILLS


def test_a_snapshot_taken_while_threads_record_is_a_prefix_that_agrees_with_itself(tmp_path: Path) -> None:
    """Each save holds every step that had ended before it, each once, and no half of one."""
    stop = threading.Event()
    ended: list[str] = []

    def work() -> None:
        while not stop.wait(0.002):  # else the journal grows faster than it can be read back
            with tracer.step("step", text="x" * 100) as step:
                step.log("said")
            ended.append(step.id)

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with tracer.step("first"):
            pass
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                before = set(ended)
                with open(tracer.save(), encoding="utf-8") as file:
                    saved = json.load(file)
                ids = [step["id"] for step in saved["steps"]]
                assert len(ids) == len(set(ids)) and before <= set(ids)
                assert all(step["logs"] for step in saved["steps"] if step["outcome"] == "ok" and step["id"] in before)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
