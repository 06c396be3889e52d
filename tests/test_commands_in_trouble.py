"""Whatever goes wrong around a command, it ends with a sentence and an exit code, never with a traceback.

Nobody reads its output, its disk is full, Ctrl-C strikes, a file cannot be read, the folder vanishes under its hands,
the files are damaged. Trouble in the middle comes from an audit hook: it strikes at the first opening of something
in the folder, then at the second, and so on until a run meets no trouble, so that no moment is forgotten.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace.cli import COMMANDS
from tests.children import ROOT, run
from tests.cli_world import START, World, call, command, environment, spawn, step
from tests.faults.interrupts import Interrupter, interrupt_each, interrupting

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and limits of Unix")
DAMAGED = Path(ROOT) / "tests" / "data" / "damaged"

# What to ask of each command; OUT is a new file beside the folder.
WORDS = {
    "list": [], "view": ["latest"], "at": ["plan", "latest"], "diff": ["@-1", "latest"],
    "report": ["latest", "-o", "-"], "tail": ["latest", "--no-follow"], "stats": [], "grep": ["plan"], "save": ["latest", "--md", "-o", "-"],
    "export": ["latest", "--csv", "-"], "verify": [], "repair": ["latest", "--dry-run"], "doctor": [],
    "completion": ["bash"], "prune": ["--keep", "1"], "scan": ["--json"],
}  # fmt: skip
OTHERS = {
    "run": "the streams and the end of the program are its own",
    "serve": "it waits, and is tried in test_serve.py",
}
WRITING = {
    "save": ["latest"], "report": ["latest"], "report -o": ["latest", "-o", "OUT"], "repair": ["latest"],
    "save -o": ["latest", "--json", "-o", "OUT"], "prune": ["--compress", "--older", "1d", "--yes"],
    "export --otlp": ["latest", "--otlp", "OUT"], "export --csv": ["latest", "--csv", "OUT"],
    "export --perfetto": ["latest", "--perfetto", "OUT"], "export --atif": ["latest", "--atif", "OUT"],
    "export --sqlite": ["latest", "--sqlite", "OUT"],
}  # fmt: skip
each = pytest.mark.parametrize("name", WORDS)


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    """A run that ended, one that failed, and one that died in a step and left half a line."""
    world = World(tmp_path / "traces")
    rows = [step("plan", context={"signal": 0.87}), step("decide", context={"signal": 0.87, "text": "x" * 2000})]
    world.session("scout", "20260225_061320", rows)
    world.session("trader", "20260225_061321", [*rows, step("buy", "error", error="E: no")], start=START + 1)
    with world.died("trader", "20260226_061320", rows, start=START + 86400).open("ab") as file:
        file.write(b'{"name":"torn')
    for path in world.path.iterdir():
        os.utime(path, (START, START))
    yield world
    world.release()


def test_no_command_is_forgotten() -> None:
    """A new command is tried here, or its reason stands above."""
    assert sorted([*WORDS, *OTHERS]) == sorted(COMMANDS)


@unix
@each
def test_a_reader_that_leaves_is_no_trouble_to_any_command(world: World, name: str) -> None:
    """`ai-trace … | head -1`: exit code 141, and no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    done = spawn("--dir", str(world.path), name, *WORDS[name], stdout=writing)
    os.close(writing)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


@unix
@each
def test_a_closed_standard_output_is_a_sentence(world: World, name: str) -> None:
    """`ai-trace … >&-`: exit code 1, and the sentence stands last."""
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *command("--dir", str(world.path), name, *WORDS[name])]
    done = subprocess.run(words, capture_output=True, env=environment(), timeout=120)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, b"ai-trace: standard output is closed")
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@each
def test_a_full_disk_is_a_sentence(world: World, name: str) -> None:
    """`ai-trace … > file` on a full disk: exit code 1, and the system's own reason."""
    with open("/dev/full", "wb") as full:
        done = spawn("--dir", str(world.path), name, *WORDS[name], stdout=full)
    says = b"ai-trace: cannot write to standard output: No space left on device"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, says)
    assert b"Traceback" not in done.stderr


# No file may grow any more: as on a full disk, without being root. Standard output is a pipe, which has no size.
NO_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
from ai_trace.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@unix
@pytest.mark.parametrize("name", WRITING)
def test_a_file_that_cannot_be_written_is_a_sentence_and_leaves_nothing(
    world: World, name: str, tmp_path: Path
) -> None:
    """Exit code 1; no half file, no temporary file; the session is as it was."""
    before = {path.name: path.read_bytes() for path in world.path.iterdir()}
    words = [str(tmp_path / "out") if word == "OUT" else word for word in WRITING[name]]
    done = subprocess.run(
        [sys.executable, "-B", "-c", NO_ROOM, "--dir", str(world.path), name.split()[0], *words],
        capture_output=True, env=environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith(b"ai-trace: "), done
    assert b"Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in world.path.iterdir()} == before
    assert sorted(os.listdir(tmp_path)) == ["traces"]


# argv: the folder as it should be, the folder to use, the trouble, the command. Prints "runs, codes, what is wrong".
STRIKE = """
import errno, json, os, shutil, signal, sys
from tests.cli_world import call
whole, folder, trouble, *words = sys.argv[1:]
left = 0
def strike(path):
    if trouble == "Ctrl-C": signal.raise_signal(signal.SIGINT)
    elif trouble == "unreadable": raise PermissionError(errno.EACCES, "Permission denied", path)
    elif trouble == "input/output error": raise OSError(errno.EIO, "Input/output error", path)
    else: shutil.rmtree(folder, ignore_errors=True)
def hook(event, args):
    global left
    if left and event in ("open", "os.listdir", "os.scandir") and str(args[0]).startswith(folder):
        left -= 1
        if left == 0: strike(args[0])
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(hook)
codes, wrong = set(), []
for nth in range(1, 200):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    left = nth
    try:
        done = call("--dir", folder, *words)
    except BaseException as error:
        wrong.append(f"{nth}: {error!r}")
        left = 0
        continue
    struck, left = left == 0, 0
    codes.add(done.code)
    if "Traceback" in done.out + done.err: wrong.append(f"{nth}: {done.err}")
    if trouble == "Ctrl-C" and struck and done.code != 130: wrong.append(f"{nth}: exit code {done.code}")
    if done.code == 1 and not done.err and not done.out: wrong.append(f"{nth}: exit code 1 without a word")
    if not struck: break
else:
    wrong.append("it opens no end of files")
print(json.dumps([nth, sorted(codes), wrong]))
"""


def _struck(world: World, trouble: str, name: str, words: list[str]) -> tuple[int, list[int]]:
    """How many runs it took until none was struck, and the exit codes; what is wrong fails the test."""
    place = world.path.parent / "struck"
    done = run(STRIKE, str(world.path), str(place), trouble, name, *words, cwd=ROOT)
    runs, codes, wrong = json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(place, ignore_errors=True)
    assert wrong == [], "\n".join(wrong)
    return runs, codes


@unix
@each
def test_ctrl_c_ends_each_command_with_130(world: World, name: str) -> None:
    """Whatever it was about to open: exit code 130, no traceback."""
    runs, _ = _struck(world, "Ctrl-C", name, WORDS[name])
    assert runs > 1 or name == "completion"


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or a coverage tool holds the trace function")
@pytest.mark.parametrize("name", ["list", "view", "stats", "verify"])
def test_ctrl_c_at_any_line_of_a_command_ends_it_with_130(world: World, name: str) -> None:
    """While it reads, while it writes, while it tells another trouble: no traceback, never another exit code."""

    def strike(interrupter: Interrupter) -> None:
        with interrupting(interrupter):
            done = world.call(name, *WORDS[name])
        assert not interrupter.met or done.code == 130, f"{done.code} at {interrupter.where}"
        assert "Traceback" not in done.err, interrupter.where

    gc.collect()
    gc.disable()  # a finalizer of an earlier test inside ours would be struck instead
    try:
        every = int(os.environ.get("INTERRUPT_EVERY", "31"))
        assert interrupt_each(strike, every=every, first=2) > 5  # the first is before the first `try` there is
    finally:
        gc.enable()


@each
@pytest.mark.parametrize("trouble", ["unreadable", "input/output error"])
def test_what_cannot_be_read_is_a_sentence(world: World, trouble: str, name: str) -> None:
    """A file or the folder that the system refuses: skipped with a word, or the end with a sentence."""
    _, codes = _struck(world, trouble, name, WORDS[name])
    assert set(codes) <= {0, 1}


LOOKING = (
    ["list"], ["list", "--where", "signal > 0.8"], ["stats"], ["stats", "--where", "signal > 0.8"], ["grep", "plan"],
    ["verify"], ["tail", "--no-follow"], ["scan"],
)  # fmt: skip


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_one_unreadable_session_hides_no_other(world: World, words: list[str]) -> None:
    """It is named with the reason, exit code 1, and everything else is shown as ever."""
    world.session("broken", "20260301_000000", start=START + 9e5)
    code = (
        "import sys\n"
        "from tests.cli_world import call\n"
        "def hook(event, args):\n"
        "    if event == 'open' and 'broken_' in str(args[0]):\n"
        "        raise PermissionError(13, 'Permission denied', args[0])\n"
        "sys.addaudithook(hook)\n"
        "done = call(*sys.argv[1:])\n"
        "print(done.code, done.out, done.err)\n"
    )
    said = run(code, "--dir", str(world.path), *words, cwd=ROOT).stdout
    assert said.startswith("1 ") and "it cannot be read (Permission denied)" in said, said
    assert "broken_20260301_000000.jsonl" in said
    other = {"list": "20260225_061321", "stats": "plan", "grep": "scout_2026", "verify": "trader_20260225_061321"}
    assert other.get(words[0], "") in said, said


@each
def test_a_folder_that_vanishes_meanwhile_is_a_sentence(world: World, name: str) -> None:
    """Somebody removes the whole folder between two looks of the command."""
    _, codes = _struck(world, "gone", name, WORDS[name])
    assert set(codes) <= {0, 1}


@pytest.mark.parametrize("name", sorted({*WORDS} - {"completion", "diff", "doctor", "prune", "repair"}))
def test_each_command_answers_each_damaged_file(name: str, tmp_path: Path) -> None:
    """Torn, binary, of another shape, with times that are none: shown as far as it goes, or a sentence."""
    for path in sorted(DAMAGED.glob("*.jsonl")):
        folder = tmp_path / path.stem
        folder.mkdir()
        shutil.copy(path, folder / "agent_20260225_061320.jsonl")
        os.utime(folder / "agent_20260225_061320.jsonl", (START, START))  # a young file may be being written
        words = [word.replace("plan", "last") for word in WORDS[name]]
        done = call("--dir", str(folder), name, *words)
        assert done.code in (0, 1) and "Traceback" not in done.err, (path.name, done)
        nothing_in_it = path.stem in ("empty", "white_space")
        assert done.out or done.err or (name == "tail" and nothing_in_it), path.name
