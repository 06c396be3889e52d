"""Everything at once, for as long as asked: `python -m tests.faults.soak --minutes 10`.

An agent with threads and forks records under a storm of signals on a small disk that is filled and freed,
while somebody damages older files in its folder, and now and then it is killed. Then the folder is read as
its owner would, and compared with what the agent had been told over a pipe: P1 nothing reached the agent,
P2 what was acknowledged is there, P4 damage costs its own lines, P5 every snapshot is whole, P6 the drops
that were told are those that happened. `SEED` in the environment repeats a run.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

from tests.children import ROOT, environment
from tests.faults import IN_MEMORY
from tests.faults.refusals import small_file_system

__all__ = ["LOSSES", "one_round", "run"]

LOSSES = (
    "errors in the agent", "acknowledged lost", "doubled", "unexplained drops", "snapshots torn",
    "good lines lost", "hung",
)  # fmt: skip
LONGEST_SILENCE = 2.5  # seconds; four threads and a handler of the agent all need the lock, and a start takes one


# --- the agent


def _agent(folder: str, seed: int, pipe: int) -> None:
    from ai_trace import Tracer

    rng = random.Random(seed)
    tracer = Tracer("soaked", folder, sync=rng.choice(["never", "never", "step"]))

    def say(*words: object) -> None:
        os.write(pipe, (" ".join(map(str, words)) + "\n").encode())

    def one(rng: random.Random, depth: int = 0) -> None:
        step = tracer.step("work", n=rng.random(), text="x" * int(10 ** rng.uniform(1, 3.5))).start()
        step.log("said", value=object())
        if depth < 3 and rng.random() < 0.5:
            one(rng, depth + 1)
        before = sum(tracer.dropped.values())
        step.finish()
        # With threads another's drop may be counted meanwhile: then this step is claimed by neither side.
        say("kept" if sum(tracer.dropped.values()) == before else "maybe", step.id)

    def handle(*_: Any) -> None:
        with tracer.step("in a handler"):
            pass

    def work(seed: int) -> None:
        own = random.Random(seed)
        try:
            while True:
                one(own)
        except BaseException as err:
            say("error", type(err).__name__, repr(err).replace(" ", "_")[:200])

    def child(seed: int) -> None:
        try:
            own = random.Random(seed)
            for _ in range(20):
                one(own)
            say("dropped", os.getpid(), sum(tracer.dropped.values()))
        except BaseException as err:
            say("error", type(err).__name__, repr(err).replace(" ", "_")[:200])
        finally:
            os._exit(0)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    for n in range(2):
        threading.Thread(target=work, args=(seed + n,), daemon=True).start()
    try:
        while True:
            for _ in range(10):
                one(rng)
            if rng.random() < 0.2:
                tracer.save() if rng.random() < 0.5 else tracer.save_markdown()
            if rng.random() < 0.3:
                pid = os.fork()
                if not pid:
                    child(rng.randrange(2**32))
                os.waitpid(pid, 0)
                say("forked", pid)
    except BaseException as err:
        say("error", type(err).__name__, repr(err).replace(" ", "_")[:200])


# --- the world around it


def _plague(disk: str, folder: str, rng: random.Random, stop: threading.Event, ours: str, filled: bool) -> None:
    """Fill and free the disk, and damage the files of others, until told to stop."""
    ballast = os.path.join(disk, "ballast")
    while not stop.wait(rng.uniform(0.01, 0.1)):
        try:
            if filled and rng.random() < 0.5:
                with open(ballast, "ab", buffering=0) as file:
                    while not stop.is_set() and file.write(b"b" * 8192):
                        pass
            elif os.path.exists(ballast):
                os.unlink(ballast)
            else:
                with open(ours, "ab", buffering=0) as file:
                    file.write(rng.randbytes(rng.randrange(200)).replace(b"\n", b"?"))
        except OSError:
            continue
    if os.path.exists(ballast):
        os.unlink(ballast)


GOOD = b'{"name":"good","outcome":"ok","started_at":1.5,"duration_ms":1.0,"id":"%016x","parent":null,"error":null,"context":{},"logs":[]}\n'


def one_round(
    disk: str, seed: int, seconds: float, filled: bool, *, words: int = 0, forks: int = 0,
    patience: float = LONGEST_SILENCE,
) -> Counter[str]:
    """An agent of *seconds* and of at least so many *words* acknowledged and *forks*, killed in the middle, and what is
    left of it.

    With *filled* the folder *disk* is filled and freed meanwhile. After *patience* seconds of silence it is hung.
    """
    rng = random.Random(seed)
    folder = os.path.join(disk, f"traces-{seed}")
    os.makedirs(folder)
    other = os.path.join(folder, "other_20200101_000000.jsonl")
    with open(other, "wb") as file:
        file.write(b"".join(GOOD % n for n in range(1, 11)) + b'{"name":"torn\n')
        file.write(b"".join(GOOD % n for n in range(11, 21)))
    ours, theirs = os.pipe()
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.soak", "--agent", folder, "--seed", str(seed)]
    command += ["--pipe", str(theirs)]
    agent = subprocess.Popen(
        command, pass_fds=[theirs], cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(theirs)
    stop = threading.Event()
    plague = threading.Thread(target=_plague, args=(disk, folder, rng, stop, other, filled))
    plague.start()
    heard, silence = b"", 0.0
    began = last = time.monotonic()
    try:
        while silence <= patience and (
            time.monotonic() - began < seconds
            # A busy machine gets more time: its main thread forks, and shares the lock with three others.
            or (heard.count(b"\n") < words or heard.count(b"forked") < forks) and time.monotonic() - began < 3 * patience
        ):
            if select.select([ours], [], [], 0.05)[0]:
                heard += os.read(ours, 65_536)
                last = time.monotonic()
            elif heard:  # it takes a while to come up
                silence = time.monotonic() - last
            if agent.poll() is not None:
                break
        os.killpg(agent.pid, signal.SIGKILL)
        while piece := os.read(ours, 65_536):
            heard += piece
    finally:
        agent.wait()
        stop.set()
        plague.join()
        os.close(ours)
    seen = _compare(folder, heard)
    seen["hung"] += agent.returncode != -9 or silence > patience
    return seen


def _compare(folder: str, heard: bytes) -> Counter[str]:
    from ai_trace import NotATrace, sessions

    seen: Counter[str] = Counter(rounds=1)
    words = [line.split() for line in heard.decode().split("\n")[:-1]]
    kept = {word[1] for word in words if word[0] == "kept"}
    seen["kept"], seen["maybe"] = len(kept), sum(word[0] == "maybe" for word in words)
    seen["forks"] = sum(word[0] == "forked" for word in words)
    seen["errors in the agent"] += sum(word[0] == "error" for word in words)
    for word in words:
        if word[0] == "error":
            print("the agent:", *word[1:], file=sys.stderr)
    found: Counter[str] = Counter()
    good = 0
    for entry in sessions(folder):
        try:
            session = entry.load()
        except NotATrace:
            continue
        seen["damages"] += len(session.damage)
        good += sum(step.name == "good" for step in session.steps)
        if entry.agent == "soaked":
            found.update(step.id for step in session.steps if not step.open)
            seen["told drops"] += sum(session.dropped.values())
            seen["unfinished"] += len(session.unfinished)
    seen["acknowledged lost"] += len(kept - set(found))
    seen["doubled"] += sum(count > 1 for count in found.values())
    seen["good lines lost"] += 20 - good
    seen["unexplained drops"] += len([word for word in words if word[0] == "maybe" and word[1] not in found]) > 0 and (
        seen["told drops"] == 0 and seen["unfinished"] == 0
    )
    for path in glob.glob(os.path.join(folder, "*.json")) + glob.glob(os.path.join(folder, "*.md")):
        seen["snapshots"] += 1
        seen["snapshots torn"] += not _whole(path)
    return seen


def _whole(path: str) -> bool:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".md"):
        return text.endswith("\n")
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def run(minutes: float, seed: int) -> Counter[str]:
    """Rounds of a few seconds until *minutes* are over; a Counter of what was met, and of what was lost."""
    rng = random.Random(seed)
    total: Counter[str] = Counter(dict.fromkeys(LOSSES, 0))
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place, ExitStack() as stack:
            disk, filled = os.path.join(place, "disk"), True
            try:
                stack.enter_context(small_file_system(disk, "size=3m"))
            except PermissionError:  # without root the disk stays as large as it is
                filled = False
            seen = one_round(disk, rng.randrange(2**32), rng.uniform(3, 8), filled)
        bad = {what: seen[what] for what in LOSSES if seen[what]}
        if bad:
            print(f"seed {seed}, round {total['rounds'] + 1}: {bad}", file=sys.stderr)
        total.update(seen)
    return total


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", str(time.time_ns() % 2**32))))
    parser.add_argument("--agent", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--pipe", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.agent:
        _agent(args.agent, args.seed, args.pipe)
        return 0
    total = run(args.minutes, args.seed)
    print(f"seed {args.seed}, Python {sys.version.split()[0]}, {args.minutes} minutes")
    for what in ("rounds", "kept", "maybe", "forks", "told drops", "unfinished", "damages", "snapshots", *LOSSES):
        print(f"{what:<22}{total[what]:>10,}")
    return 1 if any(total[what] for what in LOSSES) else 0


if __name__ == "__main__":
    raise SystemExit(main())
