"""Every way by which Python makes another process: own files, right parents, nothing lost, no hang."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from tests.children import environment

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# A file, not `-c`: spawn and forkserver import the main module again.
PROGRAM = """
import concurrent.futures, multiprocessing, os, sys, warnings
import ai_trace
warnings.simplefilter("ignore")
tracer = ai_trace.Tracer("agent", sys.argv[1])

def work(n, traceparent=None):
    mine = tracer if traceparent is None else ai_trace.Tracer("agent", sys.argv[1], traceparent=traceparent)
    with mine.step("worked", n=n) as step:
        step.log(pid=os.getpid())
    return os.getpid()

def main(kind, method):
    context = multiprocessing.get_context(method)
    with tracer.step("root") as root:
        carried = root.traceparent if method != "fork" else None
        if kind == "process":
            children = [context.Process(target=work, args=(n, carried)) for n in range(4)]
            for child in children: child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
        elif kind == "pool":
            with context.Pool(2) as pool:
                pool.starmap(work, [(n, carried) for n in range(4)])
                pool.close(); pool.join()
        else:
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                list(pool.map(work, range(4), [carried] * 4))
    tracer.close()

if __name__ == "__main__":
    main(*sys.argv[2:])
"""


@forks
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["process", "pool", "executor"])
def test_work_done_in_other_processes_is_recorded_under_its_parent(
    kind: str, method: str, tmp_path: Path
) -> None:
    """Forked workers go on in segments of the session; spawned ones join it by `traceparent`."""
    program, folder = tmp_path / "program.py", tmp_path / "traces"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(folder), kind, method]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    loaded = [entry.load() for entry in ai_trace.sessions(folder)]
    steps = [step for session in loaded for step in session.steps]
    (root,) = [step for step in steps if step.name == "root"]
    worked = [step for step in steps if step.name == "worked"]
    assert sorted(step.context["n"] for step in worked) == [0, 1, 2, 3]
    assert {step.parent for step in worked} == {root.id}
    assert [damage for session in loaded for damage in session.damage] == []
    assert {session.trace_id for session in loaded} == {loaded[0].trace_id}
    if method == "fork":
        assert len(loaded) == 1, "segments are one session"
    assert all(session.state == "ended" for session in loaded)


def _run(code: str, folder: Path) -> list[Any]:
    head = "import os, sys, threading, warnings\nwarnings.simplefilter('ignore')\nimport ai_trace\n"
    command = [sys.executable, "-c", head + code, str(folder)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [step for entry in ai_trace.sessions(folder) for step in entry.load().steps]


@forks
def test_a_fork_inside_a_fork_inside_a_step(tmp_path: Path) -> None:
    """Grandchildren have segments of their own, and parents up to the first process."""
    code = (
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "def down(depth):\n"
        "    with tracer.step(f'depth {depth}'):\n"
        "        if depth == 4: return\n"
        "        pid = os.fork()\n"
        "        if not pid:\n"
        "            try: down(depth + 1)\n"
        "            finally: os._exit(0)\n"
        "        os.waitpid(pid, 0)\n"
        "down(0)\n"
        "tracer.close()\n"
    )
    steps = {step.name: step for step in _run(code, tmp_path) if not step.open}
    assert sorted(steps) == [f"depth {n}" for n in range(5)]
    for depth in range(1, 5):
        assert steps[f"depth {depth}"].parent == steps[f"depth {depth - 1}"].id
    assert len(list(tmp_path.glob("*.jsonl"))) == 5


@forks
def test_a_fork_from_inside_a_call_of_ours_does_not_hang_the_child(tmp_path: Path) -> None:
    """A handler, or a `__repr__`, may fork while our own lock is held by that very thread."""
    code = (
        "from ai_trace import disk\n"
        "class Forking(disk.Disk):\n"
        "    def write(self, fd, data):\n"
        "        if b'\"name\":\"fork here\"' in data and not pids:\n"
        "            pids.append(os.fork())\n"
        "            if not pids[0]:\n"
        "                with tracer.step('in the child'): pass\n"
        "                os._exit(0)\n"
        "            os.waitpid(pids[0], 0)\n"
        "        return os.write(fd, data)\n"
        "pids = []\n"
        "disk.active = Forking()\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('fork here'): pass\n"
        "tracer.close()\n"
    )
    assert sorted(step.name for step in _run(code, tmp_path)) == ["fork here", "in the child"]


@forks
def test_the_same_descriptor_in_many_processes_is_never_written_by_two(tmp_path: Path) -> None:
    """Each process writes files of its own, so no line can be mixed with another's."""
    code = (
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('first'): pass\n"
        "children = []\n"
        "for n in range(6):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        for turn in range(50):\n"
        "            with tracer.step('step', n=n, text='x' * (turn * 100)): pass\n"
        "        os._exit(0)\n"
        "    children.append(pid)\n"
        "for pid in children: assert os.waitpid(pid, 0)[1] == 0\n"
        "tracer.close()\n"
    )
    steps = _run(code, tmp_path)
    assert Counter(step.context.get("n") for step in steps) == {None: 1, **dict.fromkeys(range(6), 50)}
    pids = [{record.data["session"]["pid"] for record in ai_trace.read(file) if "session" in record.data}
            for file in tmp_path.glob("*.jsonl")]  # fmt: skip
    assert all(len(found) == 1 for found in pids) and len(set.union(*pids)) == 7


def test_a_copy_of_a_tracer_or_step_records_to_the_same_session(tmp_path: Path) -> None:
    """`copy` and `deepcopy` of an agent's state give the tracer itself; pickling a tracer says what to do."""
    import copy
    import pickle

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        assert copy.copy(tracer) is tracer and copy.deepcopy({"t": [tracer]})["t"][0] is tracer
        with pytest.raises(TypeError, match="traceparent"):
            pickle.dumps(tracer)
        with tracer.step("step") as step:
            assert copy.copy(step) is step and copy.deepcopy([step])[0] is step
            with pytest.raises(TypeError, match="traceparent"):
                pickle.dumps(step)
    assert [record.name for record in ai_trace.load(tracer.path).steps] == ["step"]
