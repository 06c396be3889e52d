"""Nothing leaves the machine: the interpreter's own audit events prove that recording, reading and every command
open no socket and start no process (the pager of a terminal is the one exception, and is none here)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ai_trace.cli import COMMANDS
from tests.children import environment, run

HOOK = """
import os, sys
FAMILIES = ("socket", "subprocess", "urllib", "http", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "ssl")
PROCESSES = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "pty.spawn")
seen = []
def hook(event, args):
    if event.split(".")[0] in FAMILIES or event in PROCESSES:
        seen.append(f"{event} {args!r:.200}")
sys.addaudithook(hook)
"""
END = """
print("\\nseen:", seen)
"""
RECORD = """
import ai_trace
for agent, options in (("good", {}), ("bad", {"seal": True, "sync": "step"}), ("odd", {"seal": b"key"})):
    with ai_trace.Tracer(agent, sys.argv[1], meta={"model": "m"}, **options) as tracer:
        with tracer.step("plan", url="https://example.org/", host="localhost", port=80) as step:
            step.log("price", price=1.5, model="some-model", input_tokens=3)
            try:
                with step.step("fetch"):
                    raise ConnectionError("no route to host")
            except ConnectionError:
                pass
        @tracer.traced
        def act(x):
            return x
        act("http://127.0.0.1:1/")
        tracer.save()
        tracer.save_markdown()
for entry in ai_trace.sessions(sys.argv[1]):
    session = ai_trace.load(entry)
    assert session.steps and session.summary()
    assert list(ai_trace.read(entry.path))
    events = ai_trace.follow(entry.path)
    next(iter(events))
    events.close()
with open(ai_trace.sessions(sys.argv[1])[0].path, "ab") as file:
    file.write(b"torn")
"""
PROGRAM = "import ai_trace\nwith ai_trace.Tracer('run').step('x'): print('hello')\n"
# What to ask of each command; PROGRAM is a file with the program above.
WORDS: dict[str, list[list[str]]] = {
    "list": [[], ["--json"]],
    "view": [["latest"], ["latest", "--full"], ["latest", "--json"], ["latest", "--md"]],
    "tail": [["latest", "--no-follow"]],
    "stats": [[], ["--json"]],
    "grep": [["plan"], ["price", "--json"], ["--where", "price > 1", ""]],
    "at": [["act", "latest"], ["plan", "latest", "--json"]],
    "report": [["latest"], ["@-1", "--diff", "latest"]],
    "run": [["PROGRAM"]],
    "save": [["latest"]],
    "doctor": [[], ["--json"]],
    "completion": [["bash"], ["zsh"], ["fish"]],
    "prune": [["--keep", "1"], ["--compress", "--yes", "--keep", "1"], ["--older", "1d", "--yes"]],
    "diff": [["@-1", "latest"]],
    "export": [["latest", "--otlp", "-"], ["latest", "--csv", "-"], ["latest", "--perfetto", "-"]],
    "verify": [[], ["--json"], ["--head"]],
    "repair": [["latest", "--force"]],
    "scan": [[], ["--json"]],
}
ASKED_FOR = {"serve": "its purpose is a socket of this machine"}
COMMAND = """
from ai_trace.cli import main
code = main(["--dir", sys.argv[1], *sys.argv[2:]])
assert code in (0, 1), code
"""


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions, recorded and read in a process that is listened to."""
    folder = tmp_path_factory.mktemp("traces")
    done = run(HOOK + RECORD + END, str(folder))
    assert "seen: []" == done.stdout.strip().splitlines()[-1]
    return folder


def test_recording_and_reading(folder: Path) -> None:
    """Steps that name hosts and addresses, errors of the network, snapshots, seals, following: no socket."""
    assert any(folder.glob("*.jsonl"))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_opens_a_socket_or_starts_a_process(folder: Path, name: str, tmp_path: Path) -> None:
    """Each command as people use it; what it prints goes to a pipe, so not even a pager is started."""
    if name in ASKED_FOR:
        pytest.skip(f"{name}: {ASKED_FOR[name]}")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    for asked in WORDS[name]:
        words = [str(program) if word == "PROGRAM" else word for word in asked]
        done = run(HOOK + COMMAND + END, str(folder), name, *words, env=environment(), cwd=tmp_path)
        assert "seen: []" == done.stdout.strip().splitlines()[-1], f"{name} {words}"


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of Unix")
@pytest.mark.parametrize("act", ["import socket; socket.socket().close()", "import os; os.system('true')",
                                 "import subprocess; subprocess.run(['true'])"])  # fmt: skip
def test_the_hook_hears_what_it_is_there_for(act: str) -> None:
    """A deaf hook would prove anything."""
    assert "seen: []" not in run(f"{HOOK}\n{act}\n{END}").stdout
