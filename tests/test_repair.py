"""`ai-trace repair`: a clean copy that holds every whole step, and an original that nobody touched."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import Tracer, disk, folder, load, reader
from ai_trace.exceptions import UsageError
from ai_trace.record import Record
from ai_trace.repair import plan
from ai_trace.verify import verify
from tests import journals, sample
from tests.cli_world import World, step
from tests.faults.disk_double import FAULTS, FailingDisk, run_failing_each_call
from tests.mutate import mutated
from tests.records import seeded

NAME = "agent_20240301_134022"


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def _found(path: str | Path) -> list[str]:
    report = verify(folder.entry(path))
    return [finding.reason for file in report.files for finding in file.findings]


def _damaged(place: Path) -> Path:
    """Ten steps: one torn, two glued, one edited; and a black box with a step that was open."""
    place.mkdir(exist_ok=True)
    rows = sample.journal(10).splitlines(True)
    rows[2] = rows[2][:50] + b"\n"
    rows[5] = rows[5][:-1]
    rows[8] = rows[8].replace(b'"ok"', b'"fine"')
    path = place / f"{NAME}.jsonl"
    path.write_bytes(b"".join(rows))
    box = sample.box(
        sample.start(3, "finished"), sample.start(50, "waiting", context={"for": "godot"}, thread="t"),
        sample.log(50, message="still"), sample.start(10, "finished, too"),
    )  # fmt: skip
    path.with_suffix(".live").write_bytes(box)
    return path


def test_a_clean_copy_beside_the_original(tmp_path: Path) -> None:
    """Whole lines byte for byte, glued ones parted, a torn one out, an open step closed; the original as it was."""
    path = _damaged(tmp_path / "traces")
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    rows = sample.journal(10).splitlines(True)

    (made,) = plan(folder.entry(path)).write()
    assert before == {one: one.read_bytes() for one in before}
    assert str(path.with_name(f"{NAME}-repaired.jsonl")) == made
    copy = Path(made).read_bytes().splitlines(True)
    assert [*rows[:2], *rows[3:8]] == copy[:7] and rows[9] == copy[8]
    assert [] == _found(made)
    assert 0o600 == os.stat(made).st_mode & 0o777
    edited, closed, again = (json.loads(copy[n]) for n in (7, -1, -2))
    assert ("fine", len(copy[7])) == (edited["outcome"], edited["len"])
    assert ("waiting", "cancelled", None, {"for": "godot"}, "t", "still") == (
        closed["name"], closed["outcome"], closed["duration_ms"], closed["context"], closed["thread"],
        closed["logs"][0]["message"],
    )  # fmt: skip
    assert "closed by ai-trace repair" in closed["error"]
    assert "finished" == again["name"], "its line was the torn one, so the black box is all that tells of it"


def test_list_and_load_keep_the_copy_apart(tmp_path: Path) -> None:
    """Two sessions in the folder, the copy under its own name; each loads alone, and the copy has no damage."""
    path = _damaged(tmp_path)
    (made,) = plan(folder.entry(path)).write()
    assert {NAME, f"{NAME}-repaired"} == {entry.name for entry in folder.sessions(tmp_path)}
    original, copy = load(path), load(made)
    assert (1, 2, "unknown") == (len(original.damage), len(original.unfinished), original.state)
    assert (0, 0, "ended", "agent") == (len(copy.damage), len(copy.unfinished), copy.state, copy.agent)
    assert {one.id for one in original.steps} == {one.id for one in copy.steps}
    assert [made] == copy.paths


def test_the_command_says_what_it_does(world: World) -> None:
    """The path on standard output, what changed on standard error; --dry-run says the same and writes nothing."""
    path = _damaged(world.path)
    dry = world.call("repair", NAME, "--dry-run")
    assert (0, 2) == (dry.code, len(list(world.path.iterdir())))
    for text in ("8 steps kept byte for byte", "2 of the steps shared a line", "1 of the steps written anew",
                 "still open in the black box: waiting", "left out, 51 bytes at byte", "--dry-run"):  # fmt: skip
        assert text in dry.err, text

    done = world.call("repair", NAME)
    made = path.with_name(f"{NAME}-repaired.jsonl")
    assert (0, f"{made}\n") == (done.code, done.out)
    assert dry.err.splitlines()[:-1] == done.err.splitlines()
    assert 0 == world.call("verify", str(made)).code
    made.write_bytes(b"mine")
    refused = world.call("repair", NAME)
    assert (1, b"mine") == (refused.code, made.read_bytes()) and "--force" in refused.err
    assert 0 == world.call("repair", NAME, "--force").code
    assert 2 == world.call("repair", "-").code
    assert 2 == world.call("repair").code


def test_what_is_in_order_is_not_copied(world: World) -> None:
    """A session without a fault needs no copy, and is told to be in order."""
    world.session()
    done = world.call("repair", "latest")
    assert (0, "") == (done.code, done.out) and "nothing to repair" in done.err
    assert 1 == len(list(world.path.iterdir()))


def test_a_running_session_is_refused(world: World) -> None:
    """Its last line may be being written, and its open steps are open."""
    world.running()
    done = world.call("repair", "latest")
    assert (1, "") == (done.code, done.out) and "still running" in done.err
    assert 2 == len(list(world.path.iterdir()))


def test_snapshots_and_files_without_a_step_are_refused(world: World, tmp_path: Path) -> None:
    """There is nothing to keep: said, and no empty copy is made."""
    path = world.session()
    assert 0 == world.call("save", "latest", "--json").code
    with pytest.raises(UsageError, match="snapshot"):
        plan(folder.entry(path.with_suffix(".json")))
    other = tmp_path / "notes.txt"
    other.write_text("nothing\nof ours\n")
    done = world.call("repair", str(other))
    assert (1, "") == (done.code, done.out) and "no whole step" in done.err
    assert not (tmp_path / "notes-repaired.jsonl").exists()


def test_a_black_box_alone_becomes_a_journal(world: World) -> None:
    """The journal was lost, or no step had ended: the copy tells the session in its first line."""
    path = world.died(open_steps=[step("think", id="e" * 16), step("act", id="f" * 16, parent="e" * 16)])
    path.unlink()
    (made,) = plan(folder.entry(path.with_suffix(".live"))).write()
    session = load(made)
    assert (["think", "act"], "trader", "ended") == ([one.name for one in session.steps], session.agent, session.state)
    assert ["cancelled"] * 2 == [one.outcome for one in session.steps]
    assert [] == _found(made)


def test_each_segment_has_its_copy(tmp_path: Path) -> None:
    """The segments of forked children stay segments of one session; one that is in order is copied, too."""
    main, segment = tmp_path / f"{NAME}.jsonl", tmp_path / f"{NAME}.1.jsonl"
    main.write_bytes(sample.journal(4))
    head = {**sample.SESSION, "segment": 1}
    segment.write_bytes(sample.line("child", n=90, session=head) + b"torn")
    made = plan(folder.entry(main)).write()
    assert [f"{NAME}-repaired.jsonl", f"{NAME}-repaired.1.jsonl"] == [os.path.basename(path) for path in made]
    assert 5 == len(load(made[0]).steps)
    assert sample.journal(4) == Path(made[0]).read_bytes()


def test_lines_of_the_older_package_and_of_editors(tmp_path: Path) -> None:
    """CRLF, a byte order mark, blank lines and NaN: the copy is strict JSON with `\\n` alone, no step lost."""
    path = tmp_path / "old.jsonl"
    row = b'{"name": "a", "context": {"p": NaN}, "started_at": 1.0, "outcome": "ok", "logs": []}'
    good = b'{"name": "b", "context": {}, "started_at": 2.0, "outcome": "ok", "logs": []}'
    path.write_bytes(b"\xef\xbb\xbf" + row + b"\r\n\r\n" + good + b"\r\n" + good)
    (made,) = plan(folder.entry(path)).write()
    copy = Path(made).read_bytes().splitlines(True)
    assert [good + b"\n"] * 2 == copy[1:]
    assert "NaN" == journals.strict_json(copy[0])["context"]["p"]
    assert [] == _found(made)


def test_any_damage_is_repaired_and_no_whole_step_is_lost(tmp_path: Path) -> None:
    """Whatever happened to journal and black box: the copy verifies clean, and holds each step that can be read."""
    draw = seeded()
    for n in range(120):
        place = tmp_path / str(n)
        place.mkdir()
        path = place / f"{NAME}.jsonl"
        path.write_bytes(mutated(sample.journal(12), f"{draw.random()}"))
        box = sample.box(sample.start(50), sample.log(50, x=1), sample.start(3))
        path.with_suffix(".live").write_bytes(mutated(box, f"{draw.random()}") if n % 2 else box)
        before = {one: one.read_bytes() for one in place.iterdir()}
        steps = [one for one in _steps(path)]
        try:
            made = plan(folder.entry(path)).write()
        except UsageError as error:
            assert "running" in str(error)
            continue
        assert before == {one: one.read_bytes() for one in before}
        copied = [one for copy in made for one in _steps(copy)]
        assert [] == [reason for copy in made for reason in _found(copy)]
        assert [(one.name, one.context, one.logs) for one in steps] == [
            (one.name, one.context, one.logs) for one in copied[: len(steps)]
        ]
        assert steps == [] or made


def _steps(path: str | Path) -> list[Record]:
    lines = reader.scan(path)
    return [one for one in (*lines, *lines.last()) if isinstance(one, Record)]


def test_a_sealed_session_keeps_its_seals(tmp_path: Path) -> None:
    """A copy without gaps proves what the original does; one with a gap says so when it is verified."""
    with Tracer("bot", tmp_path, seal=True) as tracer:
        path = Path(tracer.path)
        for n in range(6):
            tracer.step("a", n=n).start().finish()
    raw = path.read_bytes()
    path.write_bytes(raw + b"torn")
    (made,) = plan(folder.entry(path)).write()
    assert (raw, []) == (Path(made).read_bytes(), _found(made))
    rows = raw.splitlines(True)
    path.write_bytes(b"".join([*rows[:2], b"torn\n", *rows[3:]]))
    (made,) = plan(folder.entry(path)).write()
    assert ["1 line before it is missing"] == _found(made)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_copy_is_whole_or_absent(fault: object) -> None:
    """Whatever call on the disk fails: no half copy, no temporary file, the original untouched."""

    def scenario(place: str, double: FailingDisk) -> None:
        double.healed = True
        path = _damaged(Path(place))
        planned = plan(folder.entry(path))
        double.healed = False
        double.calls.clear()
        try:
            planned.write()
        except (OSError, MemoryError, KeyboardInterrupt):
            pass

    def check(place: str, double: FailingDisk, _: object) -> None:
        original = Path(place) / f"{NAME}.jsonl"
        assert 9 == len(original.read_bytes().splitlines())
        assert [] == [path for path in os.listdir(place) if path.endswith(".tmp")], double.failed_in
        copy = Path(place) / f"{NAME}-repaired.jsonl"
        assert not copy.exists() or (10, []) == (len(load(copy).steps) - 1, _found(copy))

    assert run_failing_each_call(scenario, check, fault) > 5  # type: ignore[arg-type]


def test_where_one_copy_fails_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a session would look like a whole one."""
    (tmp_path / f"{NAME}.jsonl").write_bytes(sample.journal(4) + b"torn")
    segment = tmp_path / f"{NAME}.1.jsonl"
    segment.write_bytes(sample.line("child", n=90, session={**sample.SESSION, "segment": 1}))

    class Full(disk.Disk):
        replaced = 0

        def replace(self, source: str, target: str) -> None:  # type: ignore[override]
            self.replaced += 1
            if self.replaced == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            os.replace(source, target)

    monkeypatch.setattr(disk, "active", Full())
    with pytest.raises(OSError, match="No space"):
        plan(folder.entry(segment)).write()
    assert {segment.name, f"{NAME}.jsonl"} == {path.name for path in tmp_path.iterdir()}
