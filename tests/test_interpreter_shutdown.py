"""However the process ends, what was acknowledged is on disk, and the end neither hangs nor complains.

Nothing is buffered in user space and no thread is ours, so there is nothing to wait for.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ai_trace
from tests.children import ROOT, environment, run

HEAD = (
    "import atexit, os, signal, sys, threading, weakref\n"
    "import ai_trace\n"
    "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
    "with tracer.step('finished'): pass\n"
    "left = tracer.step('open', a=1).start().log('said')\n"
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SUDDEN = {
    "os._exit": ("os._exit(3)", 3),
    "a segfault": ("import faulthandler; faulthandler._sigsegv()", -signal.SIGSEGV),
    "an abort": ("os.abort()", -signal.SIGABRT),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGKILL": ("os.kill(os.getpid(), 9)", -9),
    "a full stop in a thread": ("threading.Thread(target=os._exit, args=(4,)).start(); threading.Event().wait()", 4),
}


@posix
@pytest.mark.parametrize("way", SUDDEN)
def test_a_sudden_end_loses_nothing_that_was_acknowledged(way: str, tmp_path: Path) -> None:
    """No `atexit`, no `finally`: the finished step is there, the open one is shown with its log."""
    code, expected = SUDDEN[way]
    command = [sys.executable, "-c", HEAD + code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True)
    assert done.returncode == expected, done.stderr
    (entry,) = ai_trace.sessions(tmp_path)
    session = entry.load()
    assert session.state == "died"
    assert sorted((step.name, step.open) for step in session.steps) == [("finished", False), ("open", True)]
    assert [log["message"] for log in session.unfinished[0].logs] == ["said"]


ORDERLY = {
    "the last line": "",
    "sys.exit": "sys.exit()",
    "an unclosed tracer in a cycle": "tracer.me = tracer; del tracer, left",
    "a daemon thread that holds it for ever": (
        "def hold(mine): threading.Event().wait()\n"
        "threading.Thread(target=hold, args=(tracer,), daemon=True).start()"
    ),
    "a daemon thread that waits for ever": "threading.Thread(target=threading.Event().wait, daemon=True).start()",
}


@pytest.mark.parametrize("way", ORDERLY)
def test_an_orderly_end_closes_what_is_open(way: str, tmp_path: Path) -> None:
    """The open step is recorded as cancelled with its log, the black box goes, nobody says a word."""
    done = run(HEAD + ORDERLY[way], str(tmp_path), cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")
    (entry,) = ai_trace.sessions(tmp_path)
    session = entry.load()
    assert session.state == "ended" and session.unfinished == []
    assert sorted((step.name, step.outcome) for step in session.steps) == [
        ("finished", "ok"),
        ("open", "cancelled"),
    ]


LATE = {
    "atexit": "atexit.register(late)",
    "an earlier atexit": "pass",
    "a finalizer of a global": "class Last:\n    def __del__(self): late()\nlast = Last()\n",
    "a finalizer in a cycle": "class Last:\n    def __del__(self): late()\nlast = Last(); last.me = last\n",
    "weakref.finalize": "class Thing: pass\nthing = Thing(); weakref.finalize(thing, late)\n",
    "a module's teardown": (
        "import types\nclass Last:\n    def __del__(self): late()\n"
        "sys.modules['zz'] = types.ModuleType('zz'); sys.modules['zz'].last = Last()\n"
    ),
}


@pytest.mark.parametrize("way", LATE)
def test_a_step_recorded_while_the_interpreter_ends_is_kept_and_nothing_is_said(way: str, tmp_path: Path) -> None:
    """From `atexit`, a `__del__`, a finalizer: the step is on disk; no NameError, no traceback."""
    late = (
        "def late(tracer=None):\n"
        "    with (tracer or the_tracer).step('late') as step: step.log('at the end')\n"
    )
    early = "import atexit, sys\natexit.register(lambda: late())\n" if way == "an earlier atexit" else ""
    done = run(early + HEAD + "the_tracer = tracer\n" + late + LATE[way], str(tmp_path), cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")
    steps = {step.name: step for entry in ai_trace.sessions(tmp_path) for step in entry.load().steps}
    assert set(steps) == {"finished", "open", "late"}
    assert steps["late"].outcome == "ok" and [log["message"] for log in steps["late"].logs] == ["at the end"]


def test_daemon_threads_that_record_while_the_interpreter_ends_do_not_delay_or_crash_it(tmp_path: Path) -> None:
    """Threads are stopped in the middle of a call; each line they left is whole or a counted piece."""
    code = HEAD + (
        "def work():\n"
        "    while True:\n"
        "        with tracer.step('busy') as step: step.log('x' * 1000)\n"
        "for _ in range(4): threading.Thread(target=work, daemon=True).start()\n"
        "import time\n"
        "while tracer.summary()['steps'] < 20: time.sleep(0.01)\n"
    )
    done = run(code, str(tmp_path), cwd=ROOT, timeout=600)
    assert "Traceback" not in done.stderr and "Fatal" not in done.stderr, done.stderr
    session = ai_trace.load(next(iter(ai_trace.sessions(tmp_path))))
    assert {"finished", "busy"} <= {step.name for step in session.steps}
    assert len(session.damage) <= 1


def test_an_executor_that_shuts_down_at_exit_records_to_its_end(tmp_path: Path) -> None:
    """`ThreadPoolExecutor` joins its threads before `atexit` runs: all their steps are there."""
    code = HEAD + (
        "import concurrent.futures\n"
        "pool = concurrent.futures.ThreadPoolExecutor(4)\n"
        "def work(n):\n"
        "    with tracer.step('pooled', n=n): pass\n"
        "for n in range(200): pool.submit(work, n)\n"
    )
    done = run(code, str(tmp_path), cwd=ROOT, timeout=600)
    assert (done.stdout, done.stderr) == ("", "")
    steps = [step for entry in ai_trace.sessions(tmp_path) for step in entry.load().steps]
    assert sum(step.name == "pooled" for step in steps) == 200
