"""`export --otlp URL --follow`: a live session arrives, each span once, whatever stops in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace.exporters.forward import Forwarder, state_path
from ai_trace.exporters.post import Collector as Sender
from ai_trace.exporters.post import Refused
from tests.cli_world import START, World, command, environment, line, step
from tests.exporting import Collector, attributes, collector


@pytest.fixture(name="server")
def fixture_server() -> Iterator[Collector]:
    with collector() as server:
        yield server


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def names(server: Collector) -> list[str]:
    return [span["name"] for span in server.taken]


def forward(path: Path, url: str, said: list[str] | None = None) -> Forwarder:
    """Forward to the end, without pauses."""
    told = said if said is not None else []
    way = Forwarder(str(path), Sender(url, wait=lambda _: None), wait=lambda _: None, say=told.append)
    way.run()
    return way


def rows(*numbers: int) -> list[dict[str, object]]:
    return [step(f"step {n}", started_at=START + n, id=f"{n:016x}") for n in numbers]


def test_a_session_that_runs_arrives_as_it_happens(world: World, server: Collector) -> None:
    """What has ended is there before the session is over, the rest when it ends; exit code 0."""
    path = world.running(steps=rows(1, 2), open_steps=[])
    words = ("--dir", str(world.path), "export", "latest", "--otlp", server.url, "--follow")
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.PIPE)
    server.wait_for(2)
    world.ends(path, rows(3)[0])
    server.wait_for(3)
    world.end(path)
    _, told = process.communicate(timeout=600)

    assert (0, ["step 1", "step 2", "step 3"]) == (process.returncode, names(server))
    assert b"3 spans to" in told


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_forwarder_that_was_killed_goes_on_where_it_stood(world: World, server: Collector) -> None:
    """`kill -9` after two spans, a third step meanwhile, a new forwarder: each span once."""
    path = world.running(steps=rows(1, 2), open_steps=[])
    words = ("--dir", str(world.path), "export", "latest", "--otlp", server.url, "--follow")
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.DEVNULL)
    server.wait_for(2)
    world.ends(path, rows(3)[0])
    server.wait_for(3)  # the second batch came, so the first one's state was written
    process.send_signal(signal.SIGKILL)
    process.wait(600)
    sent = json.loads(Path(state_path(str(path))).read_text())
    world.ends(path, rows(4)[0])
    world.end(path)
    forward(path, server.url)

    assert sent
    found = names(server)
    assert ["step 1", "step 2", "step 3", "step 4"] == sorted(set(found))
    assert found.count("step 1") == found.count("step 2") == found.count("step 4") == 1
    assert found.count("step 3") <= 2  # killed between the answer and the note of it


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_what_an_agent_left_open_when_it_was_killed_arrives(tmp_path: Path, server: Collector) -> None:
    """The real recorder in a killed process: its finished step, then the open ones, marked."""
    code = (
        "import sys, time\n"
        "from ai_trace import Tracer\n"
        "with Tracer('bot', sys.argv[1]) as t, t.step('run'):\n"
        "    t.step('plan').start().finish()\n"
        "    with t.step('act', n=1) as s:\n"
        "        s.log('going')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment(), stdout=subprocess.PIPE
    )
    assert agent.stdout is not None and agent.stdout.readline()
    words = ("--dir", str(tmp_path), "export", "latest", "--otlp", server.url, "--follow")
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.DEVNULL)
    server.wait_for(1)
    agent.kill()
    agent.communicate()

    assert 0 == process.wait(600)
    found = {span["name"]: span for span in server.taken}
    assert (3, {"run", "plan", "act"}) == (len(server.taken), set(found))
    assert found["run"]["spanId"] == found["plan"]["parentSpanId"] == found["act"]["parentSpanId"]
    assert attributes(found["act"])["ai_trace.unfinished"] is True
    assert ["going"] == [event["name"] for event in found["act"]["events"]]


def test_a_second_run_sends_nothing_again(world: World, server: Collector) -> None:
    """Not the steps, nor those that were left open; another collector gets all of them."""
    path = world.died(steps=rows(1, 2), open_steps=[step("wait", id="f" * 16, started_at=START + 5)])
    forward(path, server.url)
    way = forward(path, server.url)
    with collector() as other:
        forward(path, other.url)
        there = names(other)

    assert (["step 1", "step 2", "wait"], 0) == (names(server), way.sent)
    assert names(server) == there
    (wait,) = (span for span in server.taken if span["name"] == "wait")
    assert attributes(wait)["ai_trace.unfinished"] is True


def test_a_batch_that_was_not_taken_is_not_forgotten(world: World, server: Collector) -> None:
    """A collector that is away for longer than all tries is tried again until it is back."""
    path = world.session(steps=rows(1, 2))
    server.answers = [(503, {}, b"")] * 8
    said: list[str] = []
    way = forward(path, server.url, said)

    assert (["step 1", "step 2"], 2) == (names(server), way.sent)
    assert 1 == len(said)
    assert "trying again" in said[0]


def test_spans_that_are_refused_for_good_are_counted_and_passed_over(world: World, server: Collector) -> None:
    """A 400 is about these spans: the next ones are sent all the same, and the sentence is told."""
    path = world.session(steps=rows(1))
    server.answers = [(400, {}, b"no")]
    said: list[str] = []
    way = forward(path, server.url, said)
    world.ends(path, rows(2)[0])
    forward(path, server.url)

    assert (0, 1, ["step 2"]) == (way.sent, way.refused, names(server))
    assert "400" in said[0]


def test_a_wrong_key_ends_it_and_the_next_run_sends_everything(world: World, server: Collector) -> None:
    """A 401 is about all that will come: nothing is passed over."""
    path = world.session(steps=rows(1))
    server.answers = [(401, {}, b"who?")]
    with pytest.raises(Refused):
        forward(path, server.url)
    forward(path, server.url)

    assert ["step 1"] == names(server)


def test_a_refusing_endpoint_never_touches_the_journal(world: World, server: Collector) -> None:
    """Whatever a collector answers, the journal's bytes are what they were."""
    path = world.session(steps=rows(1, 2))
    before = path.read_bytes()
    server.answers = [(401, {}, b"")]
    world.call("export", "latest", "--otlp", server.url, "--follow")
    world.call("export", "latest", "--otlp", server.url)

    assert before == path.read_bytes()


def test_a_journal_that_became_shorter_is_sent_from_its_start(world: World, server: Collector) -> None:
    """Another journal under the same name is not skipped by the old one's place."""
    path = world.session(steps=rows(1, 2, 3))
    forward(path, server.url)
    path.write_bytes(line({**rows(9)[0], "session": world.header("trader", "20260225_061320", START)}))
    said: list[str] = []
    forward(path, server.url, said)

    assert ["step 1", "step 2", "step 3", "step 9"] == names(server)
    assert "shorter" in said[0]


def test_the_note_of_where_it_stands_is_private_and_no_session(world: World, server: Collector) -> None:
    """The state file is for its owner alone, and `list` does not show it."""
    path = world.session(steps=rows(1))
    forward(path, server.url)
    note = Path(state_path(str(path)))

    assert note.exists()
    assert sys.platform == "win32" or note.stat().st_mode & 0o077 == 0
    assert 1 == len(json.loads(world.call("list", "--json").out))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"http://x": 3}', "\x00" * 40])
def test_a_damaged_note_means_from_the_start(world: World, server: Collector, text: str) -> None:
    """A state file that says nothing is no reason to fail; the spans come again with the same ids."""
    path = world.session(steps=rows(1))
    Path(state_path(str(path))).write_text(text)
    forward(path, server.url)

    assert ["step 1"] == names(server)
