"""A session seen as it happens: each start, log and end exactly once, whatever happens to the files
meanwhile."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_trace import alive, clock, disk, lines, reader
from ai_trace.exceptions import NotATrace
from ai_trace.follow import Event, Follower, follow
from tests import sample

ROOM = sys.modules[Follower.__module__]  # `ai_trace.follow` itself is the function
STEM = "agent_20240301_134022"
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))


class World:
    """A folder in which a session is written by hand, and one who looks on."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / f"{STEM}.jsonl"
        self.box = folder / f"{STEM}.live"
        self.states: dict[str, str] = {}

    def append(self, raw: bytes) -> None:
        with open(self.journal, "ab") as file:
            file.write(raw)

    def put_box(self, *records: dict[str, object]) -> None:
        """The black box anew, by rename, as the writer does when it makes room."""
        fresh = self.box.with_suffix(".new")
        fresh.write_bytes(
            sample.box(*records, host="here", at=self.journal.stat().st_size if self.journal.exists() else 0)
        )
        fresh.replace(self.box)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(alive, "state", lambda fd, header: world.states.get(header["host"], "running"))
    monkeypatch.setattr(ROOM, "_LOOK_AGAIN_NS", 0)  # ask for the writer in every look
    return world


def told(events: list[Event]) -> list[str]:
    """Events in short: "+ name" began, "- name" ended, ". text" logged, "! reason" damage, "# notice", "=
    state"."""
    texts: dict[str, Callable[[Event], str]] = {
        "started": lambda event: f"+ {event.record.name}",  # type: ignore[union-attr]
        "finished": lambda event: f"- {event.record.name}",  # type: ignore[union-attr]
        "log": lambda event: f". {event.entry['message']}",  # type: ignore[index]
        "damage": lambda event: f"! {event.damage.reason}",  # type: ignore[union-attr]
        "notice": lambda event: f"# {event.text}",
        "state": lambda event: f"= {event.text}",
    }
    return [texts[event.kind](event) for event in events]


def test_starts_logs_and_ends_come_as_they_happen(world: World) -> None:
    """Nothing before there is a file; then each thing in the look after it happened, and once."""
    follower = Follower(world.journal)
    assert [] == follower.poll() and follower.state is None

    world.put_box(sample.start(1, "a"))
    assert ["+ a", "= running"] == told(follower.poll())
    assert [] == follower.poll()
    world.put_box(
        sample.start(1, "a"), sample.log(1, message="one"), sample.start(2, "b", parent=sample.step_id(1))
    )
    assert [". one", "+ b"] == told(follower.poll())
    assert ["a", "b"] == [record.name for record in follower.open]
    world.append(sample.line("b", n=2))
    assert ["- b"] == told(follower.poll())
    world.put_box(sample.start(1, "a"), sample.log(1, message="one"))
    assert [] == follower.poll()
    logs = [{"_t": sample.T0 + 1, "message": text} for text in ("one", "two")]
    world.append(sample.line("a", n=1, logs=logs))
    world.box.unlink()
    assert [". two", "- a", "= ended"] == told(follower.poll())
    assert follower.over and [] == follower.poll() and [] == follower.open


def test_a_step_that_began_and_ended_between_two_looks_is_told_once(world: World) -> None:
    """Its end alone is told, though its start still stands in the black box; also looks later."""
    follower = Follower(world.journal)
    world.put_box(sample.start(1, "a"), sample.log(1, message="one"))
    world.append(sample.line("a", n=1))

    assert ["- a", "= running"] == told(follower.poll())
    for other in (2, 3):
        world.put_box(sample.start(1, "a"), sample.start(other, f"next {other}"))
        assert [f"+ next {other}"] == told(follower.poll())


def test_equal_logs_are_each_told(world: World) -> None:
    """Two logs with the same text at the same time are two logs."""
    follower = Follower(world.journal)
    world.put_box(sample.start(1, "a"), sample.log(1, message="x"))
    assert ["+ a", ". x", "= running"] == told(follower.poll())
    world.put_box(sample.start(1, "a"), sample.log(1, message="x"), sample.log(1, message="x"))
    assert [". x"] == told(follower.poll())


def test_a_half_line_waits_for_its_other_half(world: World) -> None:
    """A line written byte by byte, half a UTF-8 character at a time, is one step, when its newline has
    come."""
    world.put_box()
    follower = Follower(world.journal)
    raw = sample.line("a").replace(b'"a"', '"é漢"'.encode()) + sample.journal(3)
    seen: list[str] = []
    for byte in range(len(raw)):
        world.append(raw[byte : byte + 1])
        seen += told(follower.poll())

    assert ["= running", "- é漢", "- step 1", "- step 2", "- step 3"] == seen


def test_a_killed_writer_ends_the_following(world: World) -> None:
    """The death is told last, after the half line it left; the steps that were open stay at hand."""
    world.put_box(sample.start(7, "fatal"))
    world.append(sample.journal(2) + b'{"name":"half')
    world.states["here"] = "died"
    events = list(follow(world.journal, wait=lambda seconds: pytest.fail("it waited for the dead")))

    assert ["- step 1", "- step 2", "+ fatal", "! cut off: no newline at the end", "= died"] == told(events)


def test_a_file_that_was_cut_is_read_from_its_start(world: World) -> None:
    """Cut to nothing, cut and grown past its old size between two looks, and cut within a line: all is
    told."""
    follower = Follower(world.journal)
    world.append(sample.journal(2) + b'{"na')
    assert ["- step 1", "- step 2", "= ended"] == told(follower.poll())
    world.journal.write_bytes(sample.line("new", n=5))
    notice = f"# {STEM}.jsonl was cut short; reading it from its start"
    assert ["! cut off: no newline at the end", notice, "- new"] == told(follower.poll())
    os.truncate(world.journal, 0)
    assert [notice] == told(follower.poll())
    world.append(sample.line("short", n=6))
    assert ["- short"] == told(follower.poll())
    with open(world.journal, "wb") as file:
        file.write(sample.line("other", n=7) + sample.line("longer", n=8))
    assert [notice, "- other", "- longer"] == told(follower.poll())


def test_a_replaced_file_is_read_to_its_end_first(world: World) -> None:
    """What was added to the old file before the new one took its name is told, then the new one."""
    follower = Follower(world.journal)
    world.append(sample.line("one", n=1))
    assert ["- one", "= ended"] == told(follower.poll())
    world.append(sample.line("two", n=2))
    fresh = world.journal.with_suffix(".new")
    fresh.write_bytes(sample.line("three", n=3))
    fresh.replace(world.journal)
    assert ["- two", f"# {STEM}.jsonl was replaced; reading it from its start"] == told(follower.poll())
    assert follower.more
    assert ["- three"] == told(follower.poll())


def test_what_is_added_between_the_reading_and_the_replacement_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file gets one more line after it was read to its end, and before it is seen that it was replaced."""

    class Busy(disk.Disk):
        def stat(self, path: str) -> os.stat_result:  # type: ignore[override]
            if path == str(world.journal) and asked:
                asked.clear()
                world.append(sample.line("late", n=2))
                fresh = world.journal.with_suffix(".new")
                fresh.write_bytes(sample.line("three", n=3))
                fresh.replace(world.journal)
            return os.stat(path)

    asked: list[int] = []
    follower = Follower(world.journal)
    world.append(sample.line("one", n=1))
    follower.poll()
    monkeypatch.setattr(disk, "active", Busy())
    asked.append(1)
    seen = told(follower.poll()) + told(follower.poll())
    assert ["- late", f"# {STEM}.jsonl was replaced; reading it from its start", "- three"] == seen


def test_the_half_line_of_a_dead_writer_is_told_once(world: World) -> None:
    """Asked again, it is not there a second time."""
    follower = Follower(world.journal)
    world.append(sample.line("one", n=1) + sample.line("two", n=2)[:-1])
    assert ["- one", "= ended"] == told(follower.poll())
    assert ["- two"] == told(follower.finish()) and [] == follower.finish()


def test_a_removed_file_is_followed_until_it_is_made_anew(world: World) -> None:
    """Removal is said once; what the new file holds is told."""
    follower = Follower(world.journal)
    world.append(sample.line("one", n=1))
    follower.poll()
    world.journal.unlink()
    assert [f"# {STEM}.jsonl was removed"] == told(follower.poll())
    assert [] == follower.poll()
    world.append(sample.line("two", n=2))
    seen = told(follower.poll()) + told(follower.poll())
    assert [f"# {STEM}.jsonl was made anew; reading it from its start", "- two"] == seen


def test_segments_that_appear_later_are_followed(world: World) -> None:
    """A child forked in the middle of the run brings its own journal and black box."""
    follower = Follower(world.journal)
    child = {**sample.SESSION, "segment": 1}
    world.put_box(sample.start(1, "parent"))
    assert ["+ parent", "= running"] == told(follower.poll())
    world.journal.with_name(f"{STEM}.1.live").write_bytes(sample.box(sample.start(2, "child"), session=child))
    seen = [told(follower.poll()) for _ in range(25)]
    assert ["+ child"] == sum(seen, [])
    world.journal.with_name(f"{STEM}.1.jsonl").write_bytes(sample.line("child", n=2, session=child))
    assert ["- child"] == told(follower.poll())


def test_only_the_last_steps_are_told_of_the_past(world: World) -> None:
    """`last` reads from the end backwards; a step that ended in what was skipped is not told as begun."""
    world.append(sample.journal(30))
    world.put_box(sample.start(20, "step 20"), sample.start(99, "open"))
    raw = world.box.read_bytes()
    world.box.write_bytes(raw.replace(b'"at":%d' % world.journal.stat().st_size, b'"at":0'))
    assert ["- step 29", "- step 30", "+ open", "= running"] == told(Follower(world.journal, last=2).poll())
    assert ["+ open", "= running"] == told(Follower(world.journal, from_start=False).poll())
    late = Follower(world.journal.with_name("later_20240301_134022.jsonl"), from_start=False)
    assert [] == late.poll()
    world.journal.with_name("later_20240301_134022.jsonl").write_bytes(sample.line("first", n=1))
    assert ["- first", "= ended"] == told(late.poll())


def test_history_streams_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long journal comes in several looks, in order, and what is open is told after all of it."""
    monkeypatch.setattr(lines, "BLOCK", 512)
    monkeypatch.setattr("ai_trace.growing._AT_ONCE", 1024)
    world.append(sample.journal(40))
    world.put_box(sample.start(40, "step 40"), sample.start(99, "open"))
    follower = Follower(world.journal)
    looks = [told(follower.poll())]
    while follower.more:
        looks.append(told(follower.poll()))

    assert len(looks) > 5
    assert [f"- step {n}" for n in range(1, 41)] + ["+ open", "= running"] == sum(looks, [])


def test_damage_is_told_and_the_next_line_too(world: World) -> None:
    """One bad line costs one line, here as well."""
    follower = Follower(world.journal)
    world.append(sample.line("a", n=1) + b"garbage\n" + sample.line("b", n=2))
    events = follower.poll()

    assert ["- a", "! not JSON at character 0: Expecting value", "- b", "= ended"] == told(events)
    assert len(sample.line("a", n=1)) == events[1].damage.offset  # type: ignore[union-attr]


def test_a_random_life_is_told_exactly_once(world: World) -> None:
    """Steps begin, log and end in random order, the box is made anew at random, looks come at random: at the
    end every step was told as begun at most once, every end and every log exactly once, nothing begun after
    its end."""
    print(f"SEED={SEED}")
    draw = random.Random(SEED)
    follower, seen = Follower(world.journal), list[str]()
    live: dict[int, list[dict[str, object]]] = {}
    stale: list[dict[str, object]] = []
    world.put_box()
    for n in range(1, 400):
        act = draw.random()
        if act < 0.4 or not live:
            live[n] = [sample.start(n, str(n))]
        elif act < 0.7:
            step = draw.choice(list(live))
            live[step].append(sample.log(step, message=f"{step}.{n}"))
        else:
            step = draw.choice(list(live))
            records = live.pop(step)
            world.append(sample.line(str(step), n=step, logs=[record["entry"] for record in records[1:]]))
            stale = records  # the box is not written when a step ends, so its records still stand there
            seen += told(follower.poll()) if draw.random() < 0.5 else []
            continue
        world.put_box(
            *(record for records in live.values() for record in records), *(stale if act < 0.2 else ())
        )
        stale = []
        seen += told(follower.poll()) if draw.random() < 0.5 else []
    for step, records in live.items():
        world.append(sample.line(str(step), n=step, logs=[record["entry"] for record in records[1:]]))
    world.box.unlink()
    seen += told(follower.poll())

    assert len(set(seen)) == len(seen)
    ends = {text[2:]: at for at, text in enumerate(seen) if text.startswith("- ")}
    assert {text[2:]: at for at, text in enumerate(seen) if text.startswith("+ ")}.keys() <= ends.keys()
    for at, text in enumerate(seen):
        if text[:2] in ("+ ", ". "):
            assert at < ends[text[2:].partition(".")[0]]


def test_an_idle_look_opens_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing changes, a look asks for the state of files and reads none."""
    monkeypatch.setattr(ROOM, "_LOOK_AGAIN_NS", 10**15)
    world.put_box(sample.start(1, "a"))
    world.append(sample.journal(2))
    for path in (world.box, world.journal):
        os.utime(path, (1, 1))
    follower = Follower(world.journal)
    follower.poll()
    for _ in range(3):
        follower.poll()
    monkeypatch.setattr(reader, "read_box", lambda path: pytest.fail("the black box was read"))
    monkeypatch.setattr("ai_trace.growing.Growing._read", lambda *rest: pytest.fail("the journal was read"))
    assert [] == [event for _ in range(10) for event in follower.poll()]


@pytest.mark.parametrize("took, longest", [(0.0, 0.5), (0.02, 0.5), (0.3, 3.0)])
def test_pauses_grow_while_nothing_happens(
    world: World, monkeypatch: pytest.MonkeyPatch, took: float, longest: float
) -> None:
    """From a twentieth of a second to half a second; longer where a look takes so long that it would be work."""
    world.put_box(sample.start(1, "a"))
    now, pauses = [0.0], list[float]()

    def steady_ns() -> int:
        return int(now[0] * 1e9)

    def poll(follower: Follower) -> list[Event]:
        now[0] += took
        return look(follower)

    def wait(seconds: float) -> None:
        pauses.append(round(seconds, 6))
        if len(pauses) == 20:
            raise KeyboardInterrupt

    look = Follower.poll
    monkeypatch.setattr(clock.active, "steady_ns", steady_ns)
    monkeypatch.setattr(Follower, "poll", poll)
    with pytest.raises(KeyboardInterrupt):
        list(follow(world.journal, wait=wait))
    assert [0.05, longest] == [pauses[0], pauses[-1]] and sorted(pauses) == pauses


def test_a_folder_cannot_be_followed(tmp_path: Path) -> None:
    """It says so instead of waiting for ever."""
    with pytest.raises(NotATrace, match="it is a folder"):
        Follower(tmp_path)
