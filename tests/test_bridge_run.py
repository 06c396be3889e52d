"""`ai-trace run`: the program is what it would be without us, and its run is in the trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from tests.children import environment

PROGRAM = '''
import sys, os, threading
import ai_trace
print("args", sys.argv, __name__, os.path.basename(__file__), sys.path[0], sys.stdout.errors)
ai_trace.log("hello")
what = sys.argv[1] if len(sys.argv) > 1 else ""
class Thing: pass
def fail():
    raise OSError(5, "boom")
if what == "fail": fail()
elif what == "text": sys.exit("bad")
elif what == "three": sys.exit(3)
elif what == "close": sys.stdout.close()
elif what == "ctrl-c": raise KeyboardInterrupt
elif what == "thread": threading.Timer(0.05, lambda: print(sys.modules["__main__"].Thing.__name__)).start()
elif what == "own":
    with ai_trace.Tracer("own", sys.argv[2]).step("mine"): pass
elif what == "web":
    import urllib.request
    try: urllib.request.urlopen("http://user:pw@127.0.0.1:9/x?token=abc&q=1", timeout=5)
    except OSError as error: print("no server")
'''


@pytest.fixture(name="program")
def fixture_program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "agent.py").write_text(PROGRAM)
    return folder / "agent.py"


def run(*words: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment(**extra), capture_output=True, text=True)


def traced(program: Path, *words: str, options: tuple[str, ...] = ()) -> Any:
    """The finished process and the session it left."""
    traces = program.parent.parent / "traces"
    before = set(traces.glob("agent_*.jsonl")) if traces.exists() else set()
    done = run("-m", "ai_trace", "--dir", str(traces), "run", *options, *words, cwd=program.parent)
    (path,) = set(traces.glob("agent_*.jsonl")) - before
    return done, ai_trace.load(path)


@pytest.mark.parametrize("what", ["", "fail", "text", "three", "close", "ctrl-c", "thread"])
def test_output_exit_code_and_traceback_are_the_programs_own(program: Path, what: str) -> None:
    """Both streams are the same to the byte as under Python; so is the exit code, Ctrl-C as a shell sees it."""
    plain = run("agent.py", what, cwd=program.parent)
    done, session = traced(program, "agent.py", what)
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    assert done.returncode == (130 if what == "ctrl-c" else plain.returncode)
    (step,) = session.steps
    assert step.name == "run agent.py"
    assert step.logs[0]["message"] == "hello"
    assert step.outcome == {"fail": "error", "text": "error", "three": "error", "ctrl-c": "cancelled"}.get(what, "ok")
    assert step.error == {"fail": "OSError: [Errno 5] boom", "text": "exit code 1", "three": "exit code 3",
                          "ctrl-c": "KeyboardInterrupt"}.get(what)  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_behind_its_output_ends_it_as_under_python(program: Path) -> None:
    """Python's own complaint and its own exit code."""
    ended = []
    for words in (["agent.py"], ["-m", "ai_trace", "run", "agent.py"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, *words], cwd=program.parent, env=environment(PYTHONUNBUFFERED=""), stdout=full, stderr=subprocess.PIPE
            )
        ended.append((done.returncode, done.stderr))
    assert ended[0] == ended[1]


def test_options_after_the_program_are_the_programs(program: Path) -> None:
    """Even those that we have, too."""
    done, session = traced(program, "agent.py", "--dir", "x", "-m", "--help")
    assert "['agent.py', '--dir', 'x', '-m', '--help']" in done.stdout
    assert session.steps[0].context["argv"] == ["agent.py", "--dir", "x", "-m", "--help"]


def test_a_module_runs_as_with_python_m(program: Path) -> None:
    """Its arguments follow its name; its path is the first of `sys.argv`."""
    plain = run("-m", "agent", "x", "--dir", cwd=program.parent)
    done, session = traced(program, "agent", "x", "--dir", options=("-m",))
    assert (done.stdout, done.returncode) == (plain.stdout, 0)
    assert session.steps[0].name == "run agent"


def test_a_syntax_error_is_shown_as_python_shows_it(program: Path) -> None:
    """Without a line of ours."""
    program.write_text("def broken(:\n")
    plain = run("agent.py", cwd=program.parent)
    done, session = traced(program, "agent.py")
    assert (done.stderr, done.returncode) == (plain.stderr, 1)
    assert session.steps[0].error.startswith("SyntaxError")


def test_a_tracer_of_the_programs_own_joins_the_trace(program: Path, tmp_path: Path) -> None:
    """Its root steps are children of the run, in the same trace."""
    done, session = traced(program, "agent.py", "own", str(tmp_path / "own"))
    (path,) = (tmp_path / "own").glob("*.jsonl")
    own = ai_trace.load(path)
    assert own.trace_id == session.trace_id
    assert own.steps[0].parent == session.steps[0].id


def test_what_the_program_imports_is_instrumented(program: Path) -> None:
    """A request of the program is a step below the run; its password and its secrets are not in the trace."""
    done, session = traced(program, "agent.py", "web")
    assert "no server" in done.stdout
    root, call = session.steps
    assert (call.name, call.parent, call.outcome) == ("GET 127.0.0.1", root.id, "error")
    assert call.context["url.full"] == "http://127.0.0.1:9/x"
    assert call.context["url.query"] == {"token": "[redacted]", "q": "1"}
    with open(session.paths[0]) as file:
        assert "user:pw" not in file.read().replace(os.sep, "/")


@pytest.mark.parametrize("words", [(), ("nowhere.py",), ("-m",)])
def test_nothing_to_run_is_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A sentence and exit code 2, and no session."""
    done = run("-m", "ai_trace", "run", *words, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
