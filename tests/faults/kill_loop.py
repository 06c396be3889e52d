"""A recording process killed at random moments: `python -m tests.faults.kill_loop [--rounds 200]`.

The child records steps and logs of 10 bytes to 8 MB, in one or several threads, nested and ending out of
order, and says over a pipe what each call that returned had been given. The parent kills it with SIGKILL
after a random delay, reads the folder as a person would, and compares. Four children in turn use one
folder, so that each new one starts beside what its dead forerunners left.

What must hold: no finished step that was acknowledged is lost; every step whose start returned is there,
finished or unfinished, with its context and every log whose call returned; nothing is there twice; the dead
are called dead. `SEED` in the environment repeats a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

from tests.children import ROOT, environment

_PER_FOLDER = 4
_BIG = 8_000_000
_STEP_LOGS = 10_000_000  # bytes of one step's texts, below the 16 MiB at which a step is cut


# --- the child
# ------------------------------------------------------------------------------------------------


def _size(rng: random.Random) -> int:
    """10 bytes to 8 MB, as many small as large; only one in twelve is over 64 KB."""
    top = _BIG if rng.random() < 0.08 else 65_536
    return int(10 * (top / 10) ** rng.random())


def text_of(tag: str, size: int) -> str:
    """The text that goes with *tag*: any mix of two of them shows."""
    return (f"{tag} " * (size // (len(tag) + 1) + 1))[:size]


class _Worker:
    """One thread of the child: records without end and acknowledges each call that returned."""

    def __init__(self, tracer: Any, rng: random.Random, number: int, pipe: int) -> None:
        self.tracer, self.rng, self.number, self.pipe = tracer, rng, number, pipe
        self.count = 0

    def say(self, *words: object) -> None:
        os.write(self.pipe, (" ".join(map(str, words)) + "\n").encode())  # shorter than PIPE_BUF: not mixed

    def start(self, parent: Any = None) -> Any:
        self.count += 1
        tag, size = f"s{self.number}.{self.count}", _size(self.rng)
        step = (parent or self.tracer).step(tag, size=size, text=text_of(tag, size)).start()
        self.say("start", step.id, tag, size)
        return step

    def log(self, step: Any, turn: int) -> None:
        size = _size(self.rng) if self.rng.random() < 0.5 else 10
        step.log(turn=turn, size=size, text=text_of(f"{step.name}/{turn}", size))
        self.say("log", step.id, turn, size)

    def finish(self, step: Any) -> None:
        step.finish()
        self.say("finish", step.id)

    def run(self) -> None:
        while True:
            steps = [self.start()]
            for _ in range(self.rng.randrange(4)):
                steps.append(self.start(self.rng.choice([None, *steps])))
            for turn in range(self.rng.randrange(6)):
                self.log(self.rng.choice(steps), turn)
            self.rng.shuffle(steps)
            for step in steps:
                self.finish(step)


def _child(folder: str, seed: int, threads: int, pipe: int) -> None:
    from ai_trace import Tracer

    tracer = Tracer("victim", folder)
    workers = [_Worker(tracer, random.Random(seed + n), n, pipe) for n in range(threads)]
    os.write(pipe, b"ready\n")
    for worker in workers[1:]:
        threading.Thread(target=worker.run, daemon=True).start()
    workers[0].run()


# --- the parent
# -----------------------------------------------------------------------------------------------


class Said:
    """What children acknowledged: started `id -> (tag, size)`, logs `id -> {turn: size}`, finished ids."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[str, int]] = {}
        self.logs: dict[str, dict[int, int]] = {}
        self.finished: set[str] = set()

    def hear(self, raw: bytes) -> None:
        for line in raw.decode().split("\n")[:-1]:  # a half line was not acknowledged
            match line.split():
                case ["start", id, tag, size]:
                    self.started[id] = (tag, int(size))
                case ["log", id, turn, size]:
                    self.logs.setdefault(id, {})[int(turn)] = int(size)
                case ["finish", id]:
                    self.finished.add(id)


def _run_and_kill(folder: str, seed: int, rng: random.Random, longest: float) -> bytes:
    """One child from start to SIGKILL; answers all that it acknowledged."""
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "tests.faults.kill_loop", "--child", folder]
    command += ["--seed", str(seed), "--threads", str(rng.choice([1, 1, 3])), "--pipe", str(theirs)]
    child = subprocess.Popen(command, pass_fds=[theirs], cwd=ROOT, env=environment())
    os.close(theirs)
    try:
        heard = [os.read(ours, 6)]
        assert heard[0] == b"ready\n", "the child did not come up"
        timer = threading.Timer(rng.uniform(0, longest), child.kill)
        timer.start()
        while piece := os.read(ours, 65_536):
            heard.append(piece)
        timer.join()
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    assert child.returncode == -9, f"the child ended by itself with {child.returncode}"
    return b"".join(heard[1:])


def compare(folder: str, said: Said) -> Counter[str]:
    """Read *folder* as its owner would and compare with what was *said*; a Counter of losses and of
    what was met.
    """
    from ai_trace import NotATrace, sessions

    seen: Counter[str] = Counter()
    found: dict[str, Any] = {}
    for entry in sessions(folder):
        try:
            session = entry.load()
        except NotATrace:  # killed between making the file and writing to it: nothing had been acknowledged
            seen["empty"] += 1
            continue
        seen["sessions"] += 1
        seen["not called died"] += session.state != "died"
        for record in session.steps:
            seen["doubled"] += record.id in found
            found[record.id] = record
    for id, (tag, size) in said.started.items():
        record = found.get(id)
        if record is None:
            seen["finished lost" if id in said.finished else "started lost"] += 1
            continue
        seen["finished lost"] += id in said.finished and record.open
        seen["unfinished"] += record.open
        seen["context wrong"] += record.context != {"size": size, "text": text_of(tag, size)}
        logs = {log["turn"]: log["text"] for log in record.logs}
        seen["logs doubled"] += len(record.logs) - len(logs)
        for turn, length in said.logs.get(id, {}).items():
            seen["logs lost"] += logs.get(turn) != text_of(f"{tag}/{turn}", length)
    return seen


LOSSES = (
    "finished lost",
    "started lost",
    "logs lost",
    "context wrong",
    "doubled",
    "logs doubled",
    "not called died",
)


def run(rounds: int, seed: int, longest: float = 0.25, keep: str | None = None) -> Counter[str]:
    """Kill *rounds* children; a Counter of what was acknowledged, of what was lost, and of what was torn.

    A folder in which something was lost is copied into the folder *keep*, with what had been acknowledged.
    """
    rng = random.Random(seed)
    total: Counter[str] = Counter(dict.fromkeys(LOSSES, 0))
    done = 0
    while done < rounds:
        with tempfile.TemporaryDirectory() as folder:
            said = Said()
            seen: Counter[str] = Counter()
            for _ in range(min(_PER_FOLDER, rounds - done)):
                said.hear(_run_and_kill(folder, rng.randrange(2**32), rng, longest))
                seen = compare(folder, said)  # after each: the dead beside the dead
                done += 1
                bad = {what: seen[what] for what in LOSSES if seen[what]}
                if bad:
                    print(f"seed {seed}, round {done}: {bad}", file=sys.stderr)
                    if keep is not None:
                        _keep(folder, os.path.join(keep, f"{seed}-{done}"), said)
            total.update(seen)
            total.update(kills=0, started=len(said.started), finished=len(said.finished))
            total["logs"] += sum(map(len, said.logs.values()))
    total["kills"] = done
    return total


def _keep(folder: str, place: str, said: Said) -> None:
    shutil.copytree(folder, place)
    with open(os.path.join(place, "said.json"), "w", encoding="utf-8") as file:
        json.dump({"started": said.started, "logs": said.logs, "finished": sorted(said.finished)}, file)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill_loop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "200")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", str(time.time_ns() % 2**32))))
    parser.add_argument(
        "--keep", metavar="FOLDER", help="keep the files of a round that lost something there"
    )
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--pipe", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        _child(args.child, args.seed, args.threads, args.pipe)
    total = run(args.rounds, args.seed, keep=args.keep)
    print(f"seed {args.seed}, Python {sys.version.split()[0]}")
    for what in ("kills", "sessions", "empty", "started", "logs", "finished", "unfinished"):
        print(f"{what:<18}{total[what]:>9,}")
    for what in LOSSES:
        print(f"{what:<18}{total[what]:>9,}")
    return 1 if any(total[what] for what in LOSSES) else 0


if __name__ == "__main__":
    raise SystemExit(main())
