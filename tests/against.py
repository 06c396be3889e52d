"""The faults that any recorder can be put to, on ours and on others: `python -m tests.gauntlet --against`.

Each contender of `tests/benchmarks/contenders.py` records as its users would, in a child process, with the
settings it has when nothing is set. What it wrote is read as whole JSON lines and no more, which is what `jq`
or a log shipper would see. A step counts as acknowledged when its call returned without an exception, and as
kept when one of its lines is whole: those who write several for a step have several chances.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from tests.benchmarks.contenders import CONTENDERS, available
from tests.children import ROOT, environment
from tests.faults import IN_MEMORY

__all__ = ["compare"]

HEAD = """
import json, os, sys
from tests.benchmarks.contenders import CONTENDERS
folder = sys.argv[2]
os.makedirs(folder, exist_ok=True)
made = CONTENDERS[sys.argv[1]](folder)
def record(mark, **fields):
    made.step({"mark": mark}, {"fields": 1, **fields})
"""

KILLED = HEAD + """
n = 0
while True:
    n += 1
    record(f"{sys.argv[3]}-{n}", text="x" * (n * 977 % 60000))
    os.write(1, f"{sys.argv[3]}-{n}\\n".encode())
"""

# Where the app opens the file itself, it does so as one that comes back after a crash would: to append.
FEW = """
import builtins
create = open
builtins.open = lambda path, mode="r", *more, **named: create(path, mode.replace("w", "a"), *more, **named)
""" + HEAD + """
for n in range(20):
    record(f"{sys.argv[3]}-{n}")
    print(f"{sys.argv[3]}-{n}", flush=True)
"""

FULL = HEAD + """
import resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
said, raised = [], 0
def some(name, count):
    global raised
    for n in range(count):
        try:
            record(f"{name}-{n}", text="x" * 300)
            said.append(f"{name}-{n}")
        except Exception:
            raised += 1
for cycle in range(5):
    some(f"good{cycle}", 5)
    largest = max(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 500, hard))
    some(f"full{cycle}", 5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    some(f"freed{cycle}", 5)
print(json.dumps({"said": said, "raised": raised}))
"""

HOSTILE = HEAD + """
import resource, signal
from tests.hostile import HOSTILE
class Hangs(BaseException):
    pass
def ring(*_):
    raise Hangs
signal.signal(signal.SIGPROF, ring)  # seconds of the processor: a busy machine makes nobody hang
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
raised, hung = 0, 0
for name, make in HOSTILE:
    value = make()
    signal.setitimer(signal.ITIMER_PROF, 6)
    try:
        record("hostile", value=value)
    except Exception:
        raised += 1
    except Hangs:
        hung += 1
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
print("\\n" + json.dumps({"raised": raised, "hung": hung, "of": len(HOSTILE)}))
"""

FORK = HEAD + """
record("first")
children = []
for hand in range(4):
    pid = os.fork()
    if not pid:
        for n in range(50): record(f"{hand}-{n}", text="x" * 20000)
        os._exit(0)
    children.append(pid)
for n in range(50): record(f"4-{n}", text="x" * 20000)
for pid in children: os.waitpid(pid, 0)
"""


class World:
    """One contender, and where its children find it."""

    def __init__(self, name: str, older: str | None) -> None:
        self.name = name
        path = f"{older}{os.pathsep}{ROOT}" if name == "ai-decision-tracer" else ROOT
        self.environment = {**environment(), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}

    def run(self, code: str, *args: str, seconds: float = 30) -> str:
        """What the child printed; "" where it hung or crashed."""
        command = [sys.executable, "-c", code, self.name, *args]
        try:
            done = subprocess.run(
                command, env=self.environment, cwd=os.path.dirname(ROOT), capture_output=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.decode()

    def kill(self, folder: str, mark: str, after: float) -> list[str]:
        """Record until killed; the marks whose calls had returned."""
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, self.name, folder, mark],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment, cwd=os.path.dirname(ROOT),
        )  # fmt: skip
        assert child.stdout is not None
        heard = child.stdout.readline()
        timer = threading.Timer(after, child.kill)
        timer.start()
        heard += child.stdout.read()
        timer.join()
        child.wait()
        child.stdout.close()
        return heard.decode().split("\n")[:-1]


def _readable(folder: str) -> set[str]:
    """The marks in whole JSON lines of the files in *folder*."""
    found: set[str] = set()
    for name in os.listdir(folder):
        if name.endswith(".live"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            for line in file.read().split(b"\n"):
                try:
                    _marks(json.loads(line), found)
                except ValueError:
                    continue
    return found


def _marks(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "mark":
                found.add(str(item))
            _marks(item, found)
    elif isinstance(value, list):
        for item in value:
            _marks(item, found)


def killed(world: World, rounds: int, rng: random.Random) -> str:
    """SIGKILL at a random moment."""
    said, lost = 0, 0
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        for turn in range(rounds):
            folder = os.path.join(place, str(turn))
            marks = world.kill(folder, f"r{turn}", rng.uniform(0, 0.15))
            said += len(marks)
            lost += len(set(marks) - _readable(folder))
    return f"{lost:,} of {said:,} lost"


def torn(world: World, rounds: int, rng: random.Random) -> str:
    """The last line is cut in the middle, as by a kill or a power cut; then the next process records."""
    lost = said = 0
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            world.run(FEW, folder, "before")
            (name, *_) = [name for name in sorted(os.listdir(folder)) if name.endswith(".jsonl")]
            os.truncate(os.path.join(folder, name), os.path.getsize(os.path.join(folder, name)) - rng.randrange(2, 60))
            whole = _readable(folder)
            marks = set(world.run(FEW, folder, "after").split("\n")[:-1])
            said += len(marks) + len(whole)
            lost += len((marks | whole) - _readable(folder))
    return f"{lost} of {said} lost"


def full(world: World, rounds: int, rng: random.Random) -> str:
    """The disk is filled and freed five times."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        text = world.run(FULL, folder)
        if not text:
            return "the agent died"
        answer = json.loads(text)
        found = _readable(folder)
        lost = set(answer["said"]) - found
        afterwards = sum(mark.startswith(("freed", "good")) for mark in lost)
        told = 0
        if world.name == "ai_trace":
            told = _told(folder)
        silent = max(0, len(lost) - told)
        return f"{answer['raised']} exceptions, {silent} lost and not counted, {afterwards} of them with room again"


def _told(folder: str) -> int:
    from ai_trace import sessions

    return sum(sum(entry.load().dropped.values()) for entry in sessions(folder))


def hostile(world: World, rounds: int, rng: random.Random) -> str:
    """Values that raise, recurse, lie about their type, hold themselves or are no JSON."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        last = world.run(HOSTILE, folder, seconds=600).rstrip("\n").rpartition("\n")[2]
        if not last.startswith('{"raised"'):
            return "the agent died or hung"
        answer = json.loads(last)
        return f"{answer['raised']} exceptions, {answer['hung']} hung, of {answer['of']} values"


def fork(world: World, rounds: int, rng: random.Random) -> str:
    """Four forked children and their parent record at once."""
    expected = {"first", *(f"{hand}-{n}" for hand in range(5) for n in range(50))}
    lost, mixed = 0, 0
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        for turn in range(max(1, rounds // 4)):
            folder = os.path.join(place, str(turn))
            world.run(FORK, folder)
            lost += len(expected - _readable(folder))
            mixed += len(expected)
    return f"{lost} of {mixed} lost"


PARTS: dict[str, Callable[[World, int, random.Random], str]] = {
    "kill -9": killed, "torn tail, then append": torn, "disk full, freed": full, "hostile values": hostile,
    "fork": fork,
}  # fmt: skip


def compare(older: str | None, rounds: int, seed: int) -> list[str]:
    """A Markdown table: a row for each fault, a column for each contender that is there, with its version."""
    names = [name for name in CONTENDERS if name != "floor" and available(name, older)]
    heads = [f"`{name}` {_version(name)}" for name in names]
    rows = ["| fault | " + " | ".join(heads) + " |", "|---|" + "---|" * len(names)]
    for part, act in PARTS.items():
        cells = []
        for name in names:
            cells.append(act(World(name, older), rounds, random.Random(seed)))
            print(f"{part}, {name}: {cells[-1]}", file=sys.stderr, flush=True)  # some hang for a while
        rows.append(f"| {part} | " + " | ".join(cells) + " |")
    return rows


def _version(name: str) -> str:
    if name == "ai_trace":
        from ai_trace.record import VERSION

        return VERSION
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "0.2.0" if name == "ai-decision-tracer" else ""
