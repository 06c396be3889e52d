"""The index changes how long an answer takes, never the answer; whatever happens to it, or to the journals."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import census, cores, counting, disk, index, reader
from ai_trace.cli import survey
from ai_trace.record import Record
from ai_trace.spans import EXACT, Spans
from tests.cli_world import ROOT, START, World, line, step
from tests.records import seeded


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(index, "WORTH", 0)  # else so little is not worth being written down
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="way", params=["one by one", "in one go"])
def fixture_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the rows of the index are read, which the number of sessions decides."""
    monkeypatch.setattr(survey, "_SOME", 1 if request.param == "in one go" else 10**9)
    monkeypatch.setattr(cores, "MANY", 1 if request.param == "in one go" else 10**9)
    monkeypatch.setattr(cores, "_cores", lambda: 1)
    return str(request.param)


def rows(count: int, rng: random.Random, first: int = 0) -> list[dict[str, Any]]:
    """Steps of every kind that `stats` tells apart."""
    found = []
    for n in range(first, first + count):
        usage = {"model": rng.choice(["big", "small"]), "input_tokens": rng.randrange(100), "cost_usd": 0.5}
        more: dict[str, Any] = {"usage": usage} if rng.random() < 0.3 else {}
        if rng.random() < 0.1:
            more["redacted"] = rng.randrange(1, 4)
        if rng.random() < 0.05:
            more["dropped"] = {"disk full": 2}
        outcome = rng.choice(["ok", "ok", "ok", "error", "cancelled", "märz \"x\""])
        name = rng.choice(["think", "act", "прочти", 'a "b"'])
        found.append(
            step(name, outcome, started_at=START + n, duration_ms=rng.randrange(10**6) / 1000, id=f"{n + 1:016x}", **more)
        )
    return found


def populate(world: World, rng: random.Random) -> list[Path]:
    """Sessions that ended, died and run, of one file and of two, some of them damaged."""
    paths = []
    for n in range(6):
        agent, id = f"agent{n}", f"2026022{n}_061320"
        make = (world.session, world.session, world.died)[n % 3]
        paths.append(make(agent, id, rows(rng.randrange(1, 60), rng), start=START + n))
    paths.append(world.running("agent6", "20260226_061320", rows(20, rng)))
    with paths[0].open("ab") as file:
        file.write(b'garbage\n{"name":"torn\n\n' + line(step("after")) + b"\0\0\0\0\n" + line(step("end"))[:-9])
    return paths


def answers(world: World, *groupings: str) -> list[Any]:
    """What `list` and `stats` say, in every grouping; without what moves with the clock."""
    found: list[Any] = []
    for words in (["list"], *(["stats", "--by", by] for by in groupings or ("name", "agent", "session", "model"))):
        done = world.call(*words, "--json")
        assert (0, "") == (done.code, done.err)
        found.append(json.loads(done.out))
    for row in found[0]:
        row.pop("duration_ms") if row["state"] == "running" else None
    return found


def plain_fold(world: World) -> tuple[int, int, dict[str, int], int, int, int]:
    """Steps, unfinished, outcomes, damage, drops and masks: all lines parsed by the library, no cache."""
    loaded = [entry.load() for entry in ai_trace.sessions(world.path)]
    outcomes: dict[str, int] = {}
    for session in loaded:
        for record in session.steps:
            if not record.open:
                outcomes[record.outcome or "unknown"] = outcomes.get(record.outcome or "unknown", 0) + 1
    return (
        sum(outcomes.values()), sum(len(session.unfinished) for session in loaded), outcomes,
        sum(len(session.damage) for session in loaded), sum(sum(s.dropped.values()) for s in loaded),
        sum(session.redacted for session in loaded),
    )  # fmt: skip


def counted(found: list[Any]) -> tuple[int, int, dict[str, int], int, int, int]:
    told = found[1]
    return tuple(told[key] for key in ("steps", "unfinished", "outcomes", "damage", "dropped", "redacted"))


def file_of(world: World) -> Path:
    return world.path / index.NAME


def test_cold_warm_and_after_deletion_the_answers_are_those_of_a_plain_fold(world: World, way: str) -> None:
    """Counted anew, from the index, or after it was deleted: the same, and the same as every line parsed."""
    populate(world, seeded())
    cold = answers(world)
    assert plain_fold(world) == counted(cold)
    assert file_of(world).exists()
    assert cold == answers(world)
    file_of(world).unlink()
    assert cold == answers(world)


def test_the_index_is_really_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is not counted again: a second look reads no journal."""
    world.session(steps=rows(30, seeded()))
    os.utime(next(world.path.glob("*.jsonl")), (START, START))
    cold = answers(world)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a journal was counted again")

    monkeypatch.setattr(cores, "count", never)
    assert cold == answers(world)


def test_an_index_damaged_in_any_way_changes_no_answer(world: World, way: str) -> None:
    """Truncated anywhere, any bytes flipped, empty, other bytes, a folder in its place: the same answers."""
    rng = seeded()
    populate(world, rng)
    cold = answers(world)
    good = file_of(world).read_bytes()
    wrong = [good[: rng.randrange(len(good))] for _ in range(8)] + [b"", b"not a data base\n" * 100]
    for _ in range(12):
        changed = bytearray(good)
        for _ in range(rng.choice([1, 20, 400])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        wrong.append(bytes(changed))
    for raw in wrong:
        file_of(world).write_bytes(raw)
        assert cold[:2] == answers(world, "name")
    file_of(world).unlink(missing_ok=True)
    file_of(world).mkdir()
    assert cold == answers(world)


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 99",
        "ALTER TABLE folds ADD COLUMN more",
        "DROP TABLE folds",
        "CREATE TRIGGER act AFTER INSERT ON folds BEGIN DELETE FROM folds; END",
        "UPDATE folds SET brief = x'00'",
        "UPDATE folds SET sums = x'00'",
        "UPDATE folds SET brief = '{}'",
    ],
)
def test_an_index_of_another_version_is_ignored_and_made_anew(world: World, change: str, way: str) -> None:
    """Rows and schemas of another program, or another version of this one, are neither believed nor run."""
    populate(world, seeded())
    cold = answers(world, "name")
    base = sqlite3.connect(file_of(world))
    base.execute(change)
    base.commit()
    base.close()
    assert cold == answers(world, "name")
    assert cold == answers(world, "name")


def test_a_journal_that_grew_was_replaced_cut_or_rewritten_is_noticed(world: World, way: str) -> None:
    """Appended to, made anew, cut, exchanged for another of equal size, rewritten in place with its old times."""
    rng = seeded()
    path = world.session(steps=rows(40, rng))
    answers(world)
    first = path.read_bytes()

    def check() -> None:
        assert plain_fold(world) == counted(answers(world, "name")) == counted(answers(world, "name"))

    with path.open("ab") as file:
        file.write(b"".join(map(line, rows(5, rng, 100))))
    check()
    os.truncate(path, len(first) // 2)
    check()
    path.unlink()
    world.session(steps=rows(40, rng))
    check()
    for other in (first.replace(b'"error"', b'"erro2"'), first):
        new = path.with_suffix(".new")
        new.write_bytes(other)
        new.replace(path)
        check()
    os.utime(path, (START, START))
    answers(world)
    changed_at = path.stat().st_ctime_ns
    with path.open("r+b") as changed:
        changed.write(first[:500] + first[500:].replace(b'"outcome":"ok"', b'"outcome":"no"'))
    while path.stat().st_ctime_ns == changed_at:  # this clock moves in steps of some milliseconds
        os.utime(path, (START, START))
    check()


def test_a_folder_that_cannot_be_written_and_a_locked_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only, locked by another process, or a Python without `sqlite3`: counted without it, nothing is said."""
    populate(world, seeded())
    cold = answers(world)
    lock = sqlite3.connect(file_of(world), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(index, "_PATIENCE_S", 0.01)
    assert cold == answers(world)
    lock.close()
    file_of(world).unlink()
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert cold == answers(world)
    monkeypatch.undo()
    file_of(world).unlink(missing_ok=True)
    if os.geteuid():  # root writes everywhere
        world.path.chmod(0o500)
        try:
            assert cold == answers(world)
        finally:
            world.path.chmod(0o700)


def test_the_index_is_private_and_follows_no_link(world: World, tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; a link or a FIFO under its name is neither followed nor waited for."""
    populate(world, seeded())
    before = os.umask(0)
    try:
        cold = answers(world)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(file_of(world).stat().st_mode)
    other = tmp_path / "other.sqlite"
    file_of(world).replace(other)
    kept = other.read_bytes()
    file_of(world).symlink_to(other)
    assert cold == answers(world)
    assert kept == other.read_bytes()
    if hasattr(os, "mkfifo"):
        file_of(world).unlink()
        os.mkfifo(file_of(world))
        assert cold == answers(world)


def test_little_is_not_worth_an_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is counted in a moment gets no file of ours."""
    monkeypatch.undo()
    world.session(steps=[step("a")])
    answers(world)
    assert not file_of(world).exists()


def test_a_session_copied_with_its_index_elsewhere_is_counted_anew(world: World, tmp_path: Path) -> None:
    """Another inode is another file, whatever its name and times."""
    path = world.session(steps=rows(30, seeded()))
    answers(world)
    copy = World(tmp_path / "copy")
    shutil.copytree(world.path, copy.path)
    (copy.path / path.name).write_bytes(line(step("other")))
    assert 1 == answers(copy)[1]["steps"]


def test_since_counts_the_same_with_an_index(world: World) -> None:
    """Sessions wholly before, wholly after, and across the moment."""
    rng = seeded()
    for n in range(3):
        world.session(f"a{n}", f"2026022{n}_061320", rows(30, rng, 20 * n))
    expected = sum(START + at >= START + 35 for n in range(3) for at in range(20 * n, 20 * n + 30))
    for _ in range(2):
        done = world.call("stats", "--json", "--since", "2026-02-25T06:13:55Z")
        assert expected == json.loads(done.out)["steps"]


def test_import_needs_neither_the_index_nor_sqlite() -> None:
    """`import ai_trace` stays light."""
    code = "import sys, ai_trace; sys.exit(any(m in sys.modules for m in ('sqlite3', 'ai_trace.index', 'ai_trace.census')))"
    assert 0 == subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode


# What the index remembers: the census and its parts.


def test_a_census_is_what_the_steps_one_by_one_add_up_to(tmp_path: Path) -> None:
    """Columns of a block count as the steps themselves do, damage and oddities among them."""
    rng = seeded()
    path = tmp_path / "x.jsonl"
    odd = [
        b'{"name":"old","context":{},"started_at":1.5,"finished_at":2.5,"duration_ms":1000,"outcome":"ok","error":null,"logs":[]}\n',
        b"\xff\xfe\n", b"\n", b"[]\n", line(step("nul"))[:-30] + b"\0" * 29 + b"\n", line(step("cut"))[:-40] + b"\n",
        line(step("glued"))[:-50] + line(step("whole")), line(step("nested", context={"redacted": 5, "dropped": {"x": 1}})),
        line(step("deep", logs=[{"dropped": {"y": 2}}], redacted=2)), line(step("e", "error", error='a "quoted" }{ error')),
        line(step("braces", dropped={"a } b": 3})), line(step("usage", usage={"model": 5, "input_tokens": -1, "cost_usd": True})),
    ]  # fmt: skip
    for _ in range(30):
        lines = [line(row) for row in rows(rng.randrange(0, 400), rng)]
        for _ in range(rng.randrange(0, 4)):
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(odd))
        path.write_bytes(b"".join(lines))
        expected = census.Census()
        for item in reader.scan(path):
            expected.add(item)
        taken = counting.take(str(path))
        assert path.stat().st_size == taken.offset
        assert summed(expected) == summed(taken.census)
        cut = rng.randrange(len(lines) + 1)
        middle = sum(map(len, lines[:cut]))
        halves = counting.take(str(path), 0, middle).census
        halves.merge(counting.take(str(path), middle).census)
        assert summed(expected) == summed(halves)


@pytest.mark.parametrize("block", [4096, 16384, counting.BLOCK])
def test_long_lines_are_counted_like_short_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Lines shorter and longer than a block, mixed, plain and packed, whole and damaged anywhere."""
    rng = seeded()
    monkeypatch.setattr(counting, "BLOCK", block)
    path, packed = tmp_path / "x.jsonl", tmp_path / "y.jsonl.gz"
    for _ in range(12):
        lines = []
        for row in rows(rng.randrange(1, 40), rng):
            row["context"] = {"prompt": rng.choice(["é", "x", '"\\', "\n"]) * rng.choice([1, 50, 3000, 9000, 30000])}
            raw = bytearray(line(row))
            if rng.random() < 0.3:  # damage that keeps the length, and is no NUL or newline, is not looked for
                place = rng.randrange(len(raw))
                taken, put = rng.choice([(0, b"\0"), (1, b"\0"), (0, b"\n"), (1, b"\n"), (1, b""), (0, b"}")])
                raw[place : place + taken] = put
            lines.append(bytes(raw))
        whole = b"".join(lines) + rng.choice([b"", b'{"half'])
        path.write_bytes(whole)
        expected = census.Census()
        for item in reader.scan(path, check=False):
            expected.add(item)
        found = counting.take(str(path))
        assert summed(expected) == summed(found.census)
        assert whole.rfind(b"\n") + 1 == found.offset
        packed.write_bytes(gzip.compress(whole[: found.offset], 1))
        assert summed(expected) == summed(counting.take(str(packed)).census)


def summed(counted: census.Census) -> Any:
    groups = {
        key: (group.count, group.errors, group.spans.count, round(group.spans.total, 6), group.spans.longest,
              group.spans.percentiles(50, 99), {k: round(v, 6) for k, v in group.sums.items()}, group.said)
        for key, group in counted.groups.items()
    }  # fmt: skip
    return groups, index.counts_to_plain(counted)


def test_parts_in_other_processes_add_up_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both cores: parts begin and end with lines, so damage at a border is seen once."""
    rng = seeded()
    path = tmp_path / "x.jsonl"
    lines = [line(row) for row in rows(3000, rng)]
    for n in range(0, 3000, 70):
        lines[n] = rng.choice([b"garbage\n", lines[n][:-30] + b"\n", b"x" * 5000 + b"\n"])
    path.write_bytes(b"".join(lines) + b'{"half')
    alone = counting.take(str(path))
    monkeypatch.setattr(cores, "PAYS", 100_000)
    monkeypatch.setattr(cores, "_cores", lambda: 3)
    parts = cores._parts(str(path), 0)
    assert 3 == len(parts)
    together = cores.count(str(path))
    assert (summed(alone.census), alone.offset) == (summed(together.census), together.offset)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    without = cores.count(str(path))
    assert summed(alone.census) == summed(without.census)


def test_many_sessions_in_other_processes_add_up_to_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many small journals are counted by helpers; the answers are those of one process."""
    rng = seeded()
    for n in range(30):
        world.session("a", f"20260225_0613{n:02}", rows(rng.randrange(1, 9), rng))
    monkeypatch.setattr(index, "WORTH", 10**12)
    alone = answers(world)
    monkeypatch.setattr(cores, "MANY", 10)
    monkeypatch.setattr(cores, "_cores", lambda: 2)
    assert alone == answers(world)
    monkeypatch.setattr(index, "WORTH", 0)
    assert [alone] * 2 == [answers(world), answers(world)]  # what the helpers said is written down, and read


def test_batches_of_journals_come_in_the_order_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers take turns; what they cannot say in a row (a half line, a snapshot, no file) is left to the caller."""
    rng = seeded()
    paths, whole = [], []
    for n in range(50):
        path = tmp_path / f"a_20260225_0613{n:02}.jsonl"
        raw = b"".join(map(line, rows(rng.randrange(1, 9), rng)))
        left = rng.random() < 0.2
        path.write_bytes(rng.choice([raw[:-9], b'{"steps": []}\n', b""]) if left else raw)
        paths.append(str(path))
        whole += [] if left else [str(path)]
    os.unlink(paths.pop(next(n for n, path in enumerate(paths) if path not in whole)))
    monkeypatch.setattr(cores, "MANY", 10)
    monkeypatch.setattr(cores, "_BATCH", 4)
    monkeypatch.setattr(cores, "_cores", lambda: 3)
    for grouped in (True, False):
        found = list(cores.count_all(paths, grouped=grouped))
        assert whole == [path for path, _ in found]
        for path, row in found:
            taken = counting.take(path, grouped=grouped)
            assert summed(taken.census) == summed(index.Index(str(tmp_path)).adopt(path, row).census)


def test_helpers_import_nothing_from_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file called as one of the standard library's, in the folder where the command is given, is not run."""
    for name in ("types", "json", "os", "marshal", "re"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'met')!r}, 'w')\n")
    path = tmp_path / "a_20260225_061320.jsonl"
    path.write_bytes(line(step("a")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cores, "MANY", 1)
    monkeypatch.setattr(cores, "_cores", lambda: 2)
    assert [path.name] == [found for found, _ in cores.count_all([path.name], grouped=True)]
    assert not (tmp_path / "met").exists()


def test_helpers_that_die_on_the_way_change_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the first batch, or no Python at all: the rest is counted here."""
    rng = seeded()
    for n in range(40):
        world.session("a", f"20260225_0613{n:02}", rows(rng.randrange(1, 9), rng))
    monkeypatch.setattr(index, "WORTH", 10**12)
    alone = answers(world)
    monkeypatch.setattr(cores, "MANY", 10)
    monkeypatch.setattr(cores, "_BATCH", 4)
    monkeypatch.setattr(cores, "_cores", lambda: 2)
    batch, asked = cores._Worker.batch, []

    def once(worker: Any) -> Any:
        found = batch(worker)
        asked.append(found)
        worker.stop()
        return found

    monkeypatch.setattr(cores._Worker, "batch", once)
    assert alone == answers(world)
    assert any(asked) and not all(asked)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert alone == answers(world)


def test_percentiles_are_exact_and_beyond_a_bound_within_one_percent() -> None:
    """Nearest rank up to 100,000 durations; beyond, at most 1 % off, however they were put together."""
    rng = seeded()
    values = [round(rng.lognormvariate(3, 2), 3) for _ in range(EXACT)]
    exact = Spans()
    exact.extend(values)
    ordered = sorted(values)
    assert [ordered[EXACT // 2 - 1], ordered[EXACT * 99 // 100 - 1]] == exact.percentiles(50, 99)
    more = [*values, 0.0, 1e9, *(rng.random() for _ in range(5000))]
    whole, parts = Spans(), Spans()
    whole.extend(more)
    for start in range(0, len(more), 7919):
        part = Spans()
        part.extend(more[start : start + 7919])
        numbers, raw = part.to_plain()
        parts.merge(Spans.from_plain(json.loads(json.dumps(numbers)), raw))
    ordered = sorted(more)
    assert whole.approximate and whole.longest == 1e9
    for percent in (1, 50, 95, 99, 100):
        found = whole.percentiles(percent)
        assert found == parts.percentiles(percent)
        true = ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
        assert found[0] == pytest.approx(true, rel=0.01)


# While it is being written.


WRITER = """
import sys, threading
from tests.cli_world import START, line, step

stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
with open(sys.argv[1], "ab", buffering=0) as file:
    n = 1
    while not stop.is_set() and n < 8_000:  # it is quicker than who searches all of it again and again
        raw = line(step("s", id=f"{n:016x}", started_at=START + n, context={"mark": n}))
        file.write(raw[: n % len(raw)])
        file.write(raw[n % len(raw) :])
        n += 1
stop.wait()
print(n)
"""


def test_no_step_is_missed_or_counted_twice_while_the_journal_is_written(world: World) -> None:
    """`list`, `stats`, `grep` and `tail` against a process that writes at full speed, each line in two halves: every
    count lies between what was written before the look and after it, no half line is damage, and the end is right."""
    path = world.running(steps=[step("first", id=f"{0:016x}", context={"mark": 0})], open_steps=[])

    def written() -> int:
        return path.read_bytes().count(b"\n")

    def numbers() -> list[tuple[int, int]]:
        """(steps, damages) as three commands have them."""
        listed = json.loads(world.call("list", "--json").out)[0]
        told = json.loads(world.call("stats", "--json").out)
        found = json.loads(world.call("grep", "mark=", "--count").out)
        return [(listed["steps"], listed["damage"]), (told["steps"], told["damage"]), (found, 0)]

    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        while written() < 2:  # it has begun
            time.sleep(0.01)
        last = 0
        for _ in range(3):
            before = written()
            seen = numbers()
            after = written()
            assert [0, 0, 0] == [damage for _, damage in seen]
            assert sorted(steps for steps, _ in seen) == [steps for steps, _ in seen]
            assert max(before, last) <= seen[0][0] and seen[-1][0] <= after
            last = seen[-1][0]
            tail = world.call("tail", "latest", "-n", "50", "--no-follow", "--json").out
            ids = [event["step"]["id"] for event in map(json.loads, tail.splitlines()) if event["event"] == "finished"]
            told = [int(id, 16) for id in ids]
            assert told == list(range(told[0], told[0] + len(told))) and last <= told[-1] + 1
        total = int(writer.communicate()[0])
    assert [(total, 0)] * 3 == numbers()
    assert total == sum(isinstance(item, Record) for item in reader.scan(path)) == written()


@pytest.mark.parametrize("words", [("stats", "--json"), ("list", "--json"), ("grep", "s", "--count"), ("view", "--json"), ("verify",)], ids=str)
def test_a_look_ends_though_the_writer_is_quicker(
    world: World, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that grows with each read by more than was read: a look is over what was there when it began."""
    path = world.running(steps=[step("s", id=f"{n:016x}") for n in range(2000)], open_steps=[])
    pread, reads, more = disk.active.pread, [0], path.read_bytes()

    def pread_and_write(fd: int, size: int, offset: int) -> bytes:
        if size > 10_000:
            reads[0] += 1
            assert reads[0] < 60, "it runs after the writer"
            with path.open("ab") as file:
                file.write(more)
        return bytes(pread(fd, size, offset))

    monkeypatch.setattr(disk.active, "pread", pread_and_write)
    assert 0 == world.call(*words).code


def test_many_processes_at_once(world: World) -> None:
    """Ten commands on one folder, some writing the index, some reading it: ten right answers."""
    populate(world, seeded())
    code = (
        "import sys\nfrom ai_trace import index\nindex.WORTH = 0\nfrom ai_trace.cli import main\n"
        "sys.exit(main(['--dir', sys.argv[1], 'stats', '--json']))"
    )
    command = [sys.executable, "-c", code, str(world.path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(6)]
    found = [json.loads(process.communicate()[0]) for process in running]
    assert all(process.returncode == 0 for process in running)
    assert [answers(world)[1]] * 6 == found
