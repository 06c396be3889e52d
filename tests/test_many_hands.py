"""Many threads, tasks and processes record at once: nothing is lost, mixed or doubled, and parents are
right.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import disk
from tests.children import ROOT, environment, run
from tests.journals import lines

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

THREADS, TASKS, PER_HAND = 8, 1_000, 150


def _check(records: list[dict[str, Any]], hands: int, per_hand: int) -> None:
    """Each hand's steps are all there, once, each with its own child, context and logs."""
    by_id = {record["id"]: record for record in records}
    assert len(by_id) == len(records), "an id twice"
    outer = [record for record in records if record["name"] == "outer"]
    inner = [record for record in records if record["name"] == "inner"]
    expected = Counter({(hand, turn): 1 for hand in range(hands) for turn in range(per_hand)})
    for group in (outer, inner):
        assert Counter((r["context"]["hand"], r["context"]["turn"]) for r in group) == expected
    for record in inner:
        around = by_id[record["parent"]]
        assert around["name"] == "outer" and around["context"] == record["context"]
    for record in outer:
        said = [(log["hand"], log["turn"], log["at"]) for log in record["logs"]]
        assert said == [
            (record["context"]["hand"], record["context"]["turn"], at) for at in ("before", "after")
        ]


def test_eight_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    """One tracer, eight threads that begin together."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def work(hand: int) -> None:
        try:
            barrier.wait()
            for turn in range(PER_HAND):
                with tracer.step("outer", hand=hand, turn=turn) as step:
                    ai_trace.log(hand=hand, turn=turn, at="before")
                    with tracer.step("inner", hand=hand, turn=turn):
                        pass
                    step.log(hand=hand, turn=turn, at="after")
        except BaseException as error:
            errors.append(error)

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        threads = [threading.Thread(target=work, args=(hand,)) for hand in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    _check(lines(tmp_path), THREADS, PER_HAND)


def test_a_thousand_tasks_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Each task's child finds its own parent, though all of them are open at once."""
    with ai_trace.Tracer("agent", tmp_path) as tracer:

        async def work(hand: int, gate: asyncio.Event) -> None:
            async with tracer.step("outer", hand=hand, turn=0) as step:
                ai_trace.log(hand=hand, turn=0, at="before")
                await gate.wait()
                async with tracer.step("inner", hand=hand, turn=0):
                    await asyncio.sleep(0)
                step.log(hand=hand, turn=0, at="after")

        async def main() -> None:
            gate = asyncio.Event()
            tasks = [asyncio.ensure_future(work(hand, gate)) for hand in range(TASKS)]
            await asyncio.sleep(0)  # each runs up to the gate
            gate.set()
            await asyncio.gather(*tasks)

        asyncio.run(main())
    _check(lines(tmp_path), TASKS, 1)


RECORD = """
import os, sys
import ai_trace
def work(hand, turns):
    for turn in range(turns):
        with tracer.step("outer", hand=hand, turn=turn) as step:
            step.log(hand=hand, turn=turn, at="before")
            with tracer.step("inner", hand=hand, turn=turn):
                pass
            step.log(hand=hand, turn=turn, at="after")
"""


@forks
def test_four_forked_processes_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Each child opens a segment of its own; the reader makes one session of all."""
    code = RECORD + (
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('first'): pass\n"
        "children = []\n"
        "for hand in range(4):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        work(hand, 100); os._exit(0)\n"
        "    children.append(pid)\n"
        "work(4, 100)\n"
        "assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)\n"
        "tracer.close()\n"
    )
    run(code, str(tmp_path))
    records = [r for r in lines(tmp_path) if r["name"] != "first"]
    _check(records, 5, 100)
    (entry,) = ai_trace.sessions(tmp_path)
    session = entry.load()
    assert len(session.steps) == 5 * 100 * 2 + 1
    assert session.damage == [] and len(list(tmp_path.glob("*.jsonl"))) == 5


@forks
def test_a_step_inherited_open_is_finished_by_the_parent_alone(tmp_path: Path) -> None:
    """In the child it becomes, at its first use, a new step whose parent is the inherited one."""
    code = (
        "import os, sys, ai_trace\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('root', n=1) as root:\n"
        "    root.log(who='parent')\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        try:\n"
        "            with tracer.step('child of the fork'): pass\n"
        "            root.log(who='child')\n"
        "            root.finish()\n"
        "        finally:\n"
        "            os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    root.log(who='parent again')\n"
        "tracer.close()\n"
        "print(root.id)\n"
    )
    root_id = run(code, str(tmp_path)).stdout.strip()
    records = lines(tmp_path)
    (root,) = [r for r in records if r["id"] == root_id]
    assert [log["who"] for log in root["logs"]] == ["parent", "parent again"]
    (child,) = [r for r in records if r["name"] == "child of the fork"]
    assert child["parent"] == root_id
    (handed,) = [r for r in records if r["parent"] == root_id and r["name"] == "root"]
    assert [log["who"] for log in handed["logs"]] == ["child"]


@forks
def test_a_fork_while_another_thread_records_never_hangs(tmp_path: Path) -> None:
    """A lock that another thread held at the fork is nobody's in the child."""
    code = RECORD + (
        "import threading, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "stop = threading.Event()\n"
        "def busy():\n"
        "    while not stop.is_set(): work(9, 1)\n"
        "thread = threading.Thread(target=busy); thread.start()\n"
        "for hand in range(30):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        work(hand, 1); os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "stop.set(); thread.join(); tracer.close()\n"
    )
    run(code, str(tmp_path), timeout=600)
    hands = Counter(
        r["context"]["hand"] for r in lines(tmp_path) if r["name"] == "inner" and r["context"]["hand"] < 9
    )
    assert hands == Counter(dict.fromkeys(range(9), 1))


def test_sixteen_processes_starting_in_the_same_second_share_a_folder(tmp_path: Path) -> None:
    """One agent's name, one folder, one second: sixteen sessions, each with its own files."""
    code = RECORD + (
        "sys.stdin.readline()\n"  # all wait for one sign
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "work(int(sys.argv[2]), 20)\n"
        "tracer.close()\n"
    )
    ours, theirs = os.pipe()
    command = [sys.executable, "-c", code, str(tmp_path)]
    children = [
        subprocess.Popen(
            [*command, str(hand)], stdin=ours, cwd=ROOT, env=environment(), stderr=subprocess.PIPE
        )
        for hand in range(16)
    ]
    os.close(ours)
    os.close(theirs)  # the sign: the end of the file
    for child in children:
        _, errors = child.communicate()
        assert (child.returncode, errors) == (0, b"")
    _check(lines(tmp_path), 16, 20)
    entries = ai_trace.sessions(tmp_path)
    assert len(entries) == len({entry.name for entry in entries}) == 16
    assert all(len(entry.load().steps) == 40 for entry in entries)


@forks
def test_ids_are_unique_over_forks_with_a_frozen_clock_and_one_seed(tmp_path: Path) -> None:
    """Identity comes from the system's randomness: a seeded agent on a stopped clock repeats no id."""
    code = (
        "import os, random, sys, time\n"
        "random.seed(0)\n"
        "import ai_trace\n"
        "from ai_trace import clock\n"
        "class Frozen(clock.Clock):\n"
        "    wall_ns = staticmethod(lambda: 1_709_300_422_000_000_000)\n"
        "    steady_ns = staticmethod(lambda: 77)\n"
        "clock.active = Frozen()\n"
        "inherited = ai_trace.Tracer('inherited', sys.argv[1])\n"
        "inherited.step('before').start().finish()\n"
        "for child in range(64):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        random.seed(0)\n"
        "        own = ai_trace.Tracer('own', sys.argv[1])\n"
        "        for tracer in (own, inherited):\n"
        "            for _ in range(4):\n"
        "                with tracer.step('step'): pass\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "inherited.close()\n"
    )
    run(code, str(tmp_path))
    records = lines(tmp_path)
    assert len(records) == 64 * 8 + 1
    assert len({record["id"] for record in records}) == len(records)
    traces = Counter(record["session"]["trace_id"] for record in records if "session" in record)
    assert len(traces) == 65  # one for each own tracer, one for the inherited with all its segments


class _Waiting(disk.Disk):
    """Calls *at_rewrite* when the black box is about to be written anew, *at_line* before each line."""

    def __init__(self, at_rewrite: Callable[[], None], at_line: Callable[[], None]) -> None:
        self.at_rewrite, self.at_line = at_rewrite, at_line

    def open(self, path: str, flags: int) -> int:
        if path.endswith(".new"):
            self.at_rewrite()
        return super().open(path, flags)

    def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
        self.at_line()
        return os.write(fd, data)


def test_a_step_that_ends_while_the_black_box_is_written_anew_is_in_one_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its line is in the journal, a step is in the black box, whatever another thread does there."""
    waiting, seen = threading.Event(), []

    def at_rewrite() -> None:
        ender.start()
        waiting.wait()
        while ender.is_alive() and not _blocked(ender):  # it has begun to end the step, and waits for its turn
            pass

    def at_line() -> None:
        (entry,) = ai_trace.sessions(tmp_path)
        seen.append(sorted(step.name for step in entry.load().steps))

    def end() -> None:
        waiting.set()
        ending.finish()

    monkeypatch.setattr(disk, "active", _Waiting(at_rewrite, at_line))
    tracer = ai_trace.Tracer("agent", tmp_path)
    kept = tracer.step("kept", text="k" * 1000).start()
    ending = tracer.step("ending", text="e" * 1000).start()
    ender = threading.Thread(target=end)
    kept.log("x" * 2_000_000)
    kept.log("this one makes room")
    ender.join()
    assert seen == [["ending", "kept"]]
    (entry,) = ai_trace.sessions(tmp_path)
    session = entry.load()
    assert session.state == "running"
    (open_step,) = session.unfinished
    assert open_step.context == {"text": "k" * 1000}
    assert [len(log["message"]) for log in open_step.logs] == [2_000_000, len("this one makes room")]
    tracer.close()


def test_a_step_that_waits_to_be_ended_keeps_its_place_in_the_black_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread has said `finish` and waits for its turn; another ends the step above and begins one in that place."""

    class Between(disk.Disk):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            if b'"name":"above"' in data:
                enders[-1].start()
                while enders[-1].is_alive() and not _blocked(enders[-1]):
                    pass
                later.append(tracer.step("later", text="l" * 500).start())  # put off until the one above has ended
            return os.write(fd, data)

        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            written = os.pwrite(fd, data, offset)
            if b'"name":"later"' in data:
                (entry,) = ai_trace.sessions(tmp_path)
                seen.append({step.id for step in entry.load().steps})
            return written

    enders: list[threading.Thread] = []
    later: list[Any] = []
    seen: list[set[str]] = []
    monkeypatch.setattr(disk, "active", Between())
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        for _ in range(20):
            waiting, above = tracer.step("waiting").start(), tracer.step("above").start()
            enders.append(threading.Thread(target=waiting.finish))
            above.finish()
            enders[-1].join()
            assert waiting.id in seen[-1]
            later[-1].finish()
    assert len(seen) == 20


def _blocked(thread: threading.Thread) -> bool:
    """Does *thread* stand where the recorder waits for its lock?"""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_filename.endswith("recorder.py")
