"""`ai-trace tail`: the last steps, and then what happens, once each, whatever happens to the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace import alive
from tests.cli_world import START, World, command, environment, line, step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of Unix")
HANGS_AFTER_S = 600  # a test that waits so long has failed; a loaded machine is slow


class Tail:
    """A `tail` in a process of its own; *seen* gathers its output, messages included."""

    def __init__(self, world: World, *words: str) -> None:
        self.process = subprocess.Popen(
            command("--dir", str(world.path), "tail", *words),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.seen: list[str] = []
        self._guard = threading.Timer(HANGS_AFTER_S, self.process.kill)
        self._guard.daemon = True
        self._guard.start()

    def until(self, text: str) -> str:
        """Read on until a line holds *text*; that line."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self.seen.append(raw.decode().rstrip("\n"))
            if text in self.seen[-1]:
                return self.seen[-1]
        raise AssertionError(f"never saw {text!r} in {self.seen}")

    def rest(self) -> list[str]:
        """All lines, when the command has ended by itself or was killed."""
        assert self.process.stdout is not None
        with self.process.stdout:
            self.seen += [raw.decode().rstrip("\n") for raw in self.process.stdout]
        self.process.wait()
        self._guard.cancel()
        return self.seen

    def stop(self) -> list[str]:
        """All lines, after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        rest = self.rest()
        assert 130 == self.process.returncode
        return rest


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def named(n: int) -> dict[str, Any]:
    return step(f"s{n:02}", id=f"{n:016x}", started_at=START + n, context={"n": n})


def titles(lines: list[str]) -> list[str]:
    return [row.split()[1] for row in lines if row[:1] in "✔✘▶"]


@pytest.mark.parametrize("words, first", [([], 10), (["-n", "3"], 27), (["-n", "100"], 0), (["-n", "0"], 30)])
def test_the_last_steps(world: World, words: list[str], first: int) -> None:
    """Twenty steps, or as many as -n says, oldest first."""
    world.session(steps=[named(n) for n in range(30)])
    done = world.call("tail", "--no-follow", *words)
    assert (0, "") == (done.code, done.err)
    assert [f"s{n:02}" for n in range(first, 30)] == titles(done.out.splitlines())


def test_the_last_that_fit(world: World) -> None:
    """-n counts the steps that were asked for, not those that were looked at."""
    rows = [
        named(n) if n % 10 else step("bad", "error", error=f"E: {n}", started_at=START + n) for n in range(60)
    ]
    world.session(steps=rows)
    out = world.call("tail", "--no-follow", "-n", "2", "--errors").out
    assert "E: 40" in out and "E: 50" in out and "E: 30" not in out
    assert ["s59"] == titles(
        world.call("tail", "--no-follow", "--since", "2026-02-25T06:14:18.5Z").out.splitlines()
    )


def test_steps_and_logs_as_they_begin(world: World) -> None:
    """A long call is seen while it runs: its start with what it saw, its logs, its end, each once."""
    path = world.running(steps=[named(1)], open_steps=[])
    tail = Tail(world)
    tail.until("s01")

    call = step(
        "call model", id="c" * 16, started_at=time.time(), context={"question": "why"}, duration_ms=2000
    )
    world.begins(path, call)
    assert "▶" in tail.until("call model")
    tail.until("question=why")
    world.says(path, "c" * 16, message="sent", tokens=12)
    assert "tokens=12" in tail.until("sent")
    logs = [{"_t": START, "message": "sent", "tokens": 12}]
    world.ends(path, {**call, "outcome": "error", "error": "TimeoutError: slow", "logs": logs})
    assert "2.00 s" in tail.until("✘ call model")
    tail.until("TimeoutError: slow")
    world.ends(path, named(2))
    tail.until("s02")

    text = "\n".join(tail.stop())
    assert (1, 1, 1) == (text.count("question=why"), text.count("sent"), text.count("✘ call model"))


def test_json_is_a_line_for_each_event(world: World) -> None:
    """Events for programs: started, log, finished, state, with the session's name."""
    path = world.running(steps=[named(1)], open_steps=[])
    tail = Tail(world, "latest", "--json")
    tail.until("s01")
    world.begins(path, named(2))
    tail.until('"started"')
    world.says(path, named(2)["id"], x=1)
    tail.until('"log"')
    world.ends(path, {**named(2), "logs": [{"_t": START, "x": 1}]})
    tail.until("finished")
    world.end(path)

    rows = [json.loads(row) for row in tail.rest() if row.startswith("{")]
    assert 0 == tail.process.returncode
    found = [(row["event"], row["session"]) for row in rows]
    name = "trader_20260225_061320"
    assert [
        ("finished", name),
        ("state", name),
        ("started", name),
        ("log", name),
        ("finished", name),
        ("state", name),
    ] == found
    assert ["running", "ended"] == [row["state"] for row in rows if row["event"] == "state"]
    assert {
        "event": "log",
        "session": name,
        "id": named(2)["id"],
        "name": "s02",
        "entry": {"_t": START, "x": 1},
    } == rows[3]
    assert "s02" == rows[4]["step"]["name"]


def test_a_named_session_that_ends(world: World) -> None:
    """Following one session ends with it: exit code 0, and a word on standard error."""
    path = world.running(open_steps=[])
    tail = Tail(world, "trader")
    tail.until("decide")
    world.end(path)
    assert "has ended" in tail.rest()[-1]
    assert 0 == tail.process.returncode


def test_a_session_that_dies(world: World) -> None:
    """A process that is gone is told as died, with the step it died in."""
    world.died()
    tail = Tail(world, "trader")
    assert "ai-trace: trader_20260225_061320 has died in wait" == tail.rest()[-1]
    assert 0 == tail.process.returncode
    assert any("wait" in row and "died" in row for row in tail.seen[:-1])


def test_of_nested_steps_it_died_in_the_innermost(world: World) -> None:
    """The steps around it were open when the process died, and are not named at the end."""
    run = step("run", started_at=START, id="1" * 16)
    call = step("call", started_at=START + 1, id="2" * 16, parent="1" * 16)
    world.died(open_steps=[run, call])
    tail = Tail(world, "trader")
    assert "ai-trace: trader_20260225_061320 has died in call" == tail.rest()[-1]
    assert ["run  open when the process died", "call  died in this step"] == [
        "  ".join(row.strip("… ").split("  ")[:2]) for row in tail.seen if row.strip().startswith("…")
    ]


def test_a_session_of_another_machine(world: World) -> None:
    """Whether its process lives cannot be known here; that is said, and what it does is shown as it comes."""
    path = world.died()
    box = path.with_suffix(".live")
    host = json.dumps(alive.identity()["host"])
    box.write_bytes(box.read_bytes().replace(f'"host":{host}'.encode(), b'"host":"elsewhere"'))
    for one in (path, box):
        os.utime(one, (START, START))
    tail = Tail(world, "trader")
    tail.until("whether trader_20260225_061320 still runs is unknown")
    world.ends(path, named(2))
    tail.until("s02")
    tail.stop()


@pytest.mark.parametrize("words", [["-n", "2"], ["-n", "2", "--no-follow"], ["-n", "2", "--errors"]], ids=" ".join)
def test_a_snapshot_has_its_last_steps_and_no_more(world: World, words: list[str]) -> None:
    """Nobody goes on with a file that was saved, ours or the older package's: its steps, and the end."""
    path = world.session(steps=[named(1), step("bad", "error", started_at=START + 9, error="E: 1"), named(2), named(3)])
    world.call("save", "--json")
    path.unlink()
    done = world.call("tail", "latest", *words)
    assert 0 == done.code
    assert (["bad"] if "--errors" in words else ["s03", "bad"]) == titles(done.out.splitlines())
    assert ("has ended" in done.err) == ("--no-follow" not in words)


def test_waiting_for_the_folder_and_the_next_session(world: World) -> None:
    """The folder may come later, and the next session is picked up, from its first step."""
    tail = Tail(world)
    tail.until("waiting for a session")
    path = world.running(steps=[named(1)], open_steps=[])
    tail.until("s01")
    world.end(path)
    tail.until("has ended; waiting for the next")
    world.running("scout", "20260301_000000", steps=[named(2)], open_steps=[], start=START * 1.1)
    tail.until("s02")
    assert ["s01", "s02"] == titles(tail.stop())


def test_several_sessions_at_once(world: World) -> None:
    """Where more than one runs each line says whose it is; where one runs none does."""
    first = world.running(steps=[named(1)], open_steps=[])
    tail = Tail(world)
    assert "trader" not in tail.until("s01")
    world.running("scout", "20260301_000000", steps=[named(2)], open_steps=[], start=START * 1.1)
    assert tail.until("s02").startswith("scout_20260301_000000 ")
    world.ends(first, named(3))
    assert tail.until("s03").startswith("trader_20260225_061320 ")
    tail.stop()


def test_truncated_and_replaced(world: World) -> None:
    """A file that is cut or replaced is read from its start, with a word; half a line waits for the rest."""
    path = world.running(steps=[named(1)], open_steps=[])
    tail = Tail(world)
    tail.until("s01")
    raw = line(named(2))
    with path.open("ab") as file:
        file.write(raw[:100])
        file.flush()
        time.sleep(0.2)  # so that half a line is really met
        file.write(raw[100:])
    tail.until("s02")
    path.write_bytes(line(named(3)))
    tail.until("cut short")
    tail.until("s03")
    other = path.with_name("other.tmp")
    other.write_bytes(line(named(4)) * 3 + line(named(5)))
    other.rename(path)
    tail.until("replaced")
    tail.until("n=5")
    assert ["s01", "s02", "s03", "s04", "s04", "s04", "s05"] == titles(tail.stop())


def test_a_reader_that_leaves_ends_an_idle_tail(world: World) -> None:
    """`ai-trace tail | head -1` ends though nothing more happens."""
    world.running(open_steps=[])
    tail = Tail(world)
    tail.until("decide")
    assert tail.process.stdout is not None
    tail.process.stdout.close()
    tail.process.wait()
    tail._guard.cancel()
    assert 141 == tail.process.returncode


def test_waiting_costs_next_to_nothing(world: World) -> None:
    """An idle tail takes under 1 % of a core, in the best of some stretches of a second."""
    world.running(open_steps=[])
    tail = Tail(world)
    tail.until("decide")
    share, tries = 1.0, 0
    while share > 0.01 and tries < 20:  # in the first ones it still slows down; a loaded machine disturbs others
        spent, at = _cpu_s(tail.process.pid), time.monotonic()
        time.sleep(1.0)
        share = min(share, (_cpu_s(tail.process.pid) - spent) / (time.monotonic() - at))
        tries += 1
    tail.stop()
    assert share <= 0.01


def _cpu_s(pid: int) -> float:
    """Seconds of processor time of all threads of *pid*."""
    try:
        threads = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        threads = []
    if not threads:
        pytest.skip("no /proc here, or one without schedstat")
    return sum(int(fields[0]) for fields in threads) / 1e9


def test_standard_input_cannot_be_followed(world: World) -> None:
    """The message names the command that reads it."""
    done = world.call("tail", "-")
    assert (2, "") == done[:2] and "view -" in done.err


def test_an_old_journal_by_its_path(tmp_path: Path) -> None:
    """A file of the older package ends when its last step was shown: nobody writes it any more."""
    row = {
        "name": "scan",
        "context": {},
        "started_at": 1.0,
        "finished_at": 2.0,
        "duration_ms": 1000.0,
        "outcome": "ok",
        "error": None,
        "logs": [],
    }
    path = tmp_path / "bot_20240301_120000.jsonl"
    path.write_text(json.dumps(row) + "\n")
    os.utime(path, (START, START))  # one written a moment ago could be of a recorder that just begins
    tail = Tail(World(tmp_path), str(path))
    assert any("scan" in row for row in tail.rest())
    assert 0 == tail.process.returncode
