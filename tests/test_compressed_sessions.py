"""A compressed journal is read as it stands: by every command, in bounded memory, and its damage is told."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import folder, lines, load, packed, read, reader, sessions
from ai_trace.exceptions import NotATrace
from ai_trace.follow import follow
from ai_trace.record import Damage, Record
from tests.cli_world import START, World, line, step
from tests.records import seeded

NAME = "trader_20260225_061320"


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def pack(path: Path) -> Path:
    """*path* compressed in its place, with its time of change."""
    twin = path.with_name(path.name + ".gz")
    twin.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, twin)
    path.unlink()
    return twin


def rich(count: int = 40) -> list[dict[str, object]]:
    inner = [
        step(f"fetch {n % 3}", "error" if n == 7 else "ok", error="ValueError: no" if n == 7 else None, id=f"{n:016x}",
             parent="f" * 16, started_at=START + n, context={"n": n, "price": 42.5 + n}, duration_ms=10.0 + n)
        for n in range(count)
    ]  # fmt: skip
    return [*inner, step("run", id="f" * 16, duration_ms=90_000.0, logs=[{"_t": START, "reason": "low volume"}])]


COMMANDS = [
    ["list", "--json"], ["list", "-q"], ["view", "--utc"], ["view", "--json"], ["view", "--last", "3"],
    ["view", "--step", "0000000000000007"], ["tail", "--no-follow", "--json"], ["tail", "--no-follow", "-n", "2"],
    ["stats", "--json"], ["stats", "--by", "session"], ["grep", "volume"], ["grep", "price=49", "-c"],
    ["grep", "", "--where", "n > 37", "--jsonl"], ["verify"], ["verify", "--json"], ["at", "latest", "last"],
    ["diff", NAME, NAME], ["save", "latest", "--md", "-o", "-"], ["export", "latest", "--csv", "-"],
    ["scan", "traces"], ["report", "latest", "-o", "-"], ["repair", "latest", "--dry-run"],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
def test_every_command_says_the_same_of_a_compressed_session(
    world: World, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the name of the file and its size on disk differ."""
    path = world.session(steps=rich())
    monkeypatch.chdir(world.path.parent)
    before = world.call(*words)
    size = path.stat().st_size
    twin = pack(path)
    after = world.call(*words)

    def plain(text: str) -> str:
        text = text.replace(".jsonl.gz", ".jsonl").replace(f'"size": {twin.stat().st_size}', f'"size": {size}')
        return "\n".join(row for row in text.split("\n") if "Generated" not in row and "SIZE" not in row)

    assert (before.code, plain(before.err)) == (after.code, plain(after.err))
    assert plain(before.out) == plain(after.out)


def test_the_library_reads_it_with_and_without_its_ending(world: World) -> None:
    """`sessions`, `load` and `read` take it as they take a plain one; a step that was let go is found again."""
    path = world.session(steps=rich())
    expected = [record.to_dict() for record in read(path)]
    twin = pack(path)
    assert expected == [record.to_dict() for record in read(twin)]
    (entry,) = sessions(world.path)
    assert (NAME, [str(twin)], twin.stat().st_size) == (entry.name, entry.paths, entry.size)
    for source in (entry, twin, world.path / NAME):
        session = load(source)
        assert ("ended", 41, 42.5) == (session.state, len(session.steps), session.steps[1].context["price"])
    assert "f" * 16 == session.steps[0].id


def test_the_ending_alone_does_not_matter(world: World, tmp_path: Path) -> None:
    """What a file is, its bytes tell: packed under a plain name, plain under a packed one, packed on standard input."""
    path = world.session(steps=rich())
    raw = path.read_bytes()
    odd = tmp_path / "odd.log"
    odd.write_bytes(gzip.compress(raw))
    wrong = tmp_path / "plain_20260101_000000.jsonl.gz"
    wrong.write_bytes(raw)
    assert 41 == len(list(read(odd))) == len(list(read(wrong))) == len(load(wrong).steps)
    assert world.call("view", "-", stdin=raw).out == world.call("view", "-", stdin=gzip.compress(raw)).out.replace(
        "stdin.jsonl.gz", "stdin.jsonl"
    )


def test_a_session_half_compressed_is_one_session(world: World) -> None:
    """Segments may be packed or not; a journal that lies there both ways counts once."""
    path = world.died(steps=rich(3), open_steps=[step("wait", id="e" * 16, started_at=START + 99)])
    segment = world.path / f"{NAME}.1.jsonl"
    segment.write_bytes(line(step("child", id="c" * 16, parent="f" * 16)))
    before = world.call("view", "--utc").out
    twin = pack(path)
    assert before == world.call("view", "--utc").out
    assert "died" in before and "wait" in before and "child" in before
    path.write_bytes(gzip.decompress(twin.read_bytes()))
    (entry,) = sessions(world.path)
    assert 3 == len(entry.paths) and str(twin) not in entry.paths
    assert before == world.call("view", "--utc").out
    path.unlink()
    found = json.loads(world.call("verify", "--json").out)
    assert 0 == found["found"], found
    assert "6+1" in world.call("list").out.replace("5+1", "6+1")


def test_following_a_compressed_session(world: World) -> None:
    """It is over: all of it comes, and then that it has ended."""
    twin = pack(world.session(steps=rich(5)))
    for path in (twin, world.path / f"{NAME}.jsonl"):
        events = list(follow(path, wait=lambda s: pytest.fail("nothing to wait for")))
        assert ["finished"] * 6 + ["state"] == [event.kind for event in events]
    assert 2 == sum(event.kind == "finished" for event in follow(twin, last=2))


def _all(path: Path, *, check: bool = True) -> list[Record | Damage]:
    scan = reader.scan(path, check=check)
    return [*scan, *scan.last()]


def _items(path: Path, *, check: bool = True) -> tuple[list[str], list[str]]:
    items = _all(path, check=check)
    return (
        [item.id for item in items if isinstance(item, Record)],
        [item.reason for item in items if isinstance(item, Damage)],
    )


@pytest.mark.parametrize("check", [True, False])
def test_a_file_cut_off_anywhere_gives_what_is_left_and_one_damage(tmp_path: Path, check: bool) -> None:
    """Every step before the cut, then one damage that says so; never an exception."""
    raw = b"".join(map(line, rich(30)))
    whole = gzip.compress(raw)
    path = tmp_path / f"{NAME}.jsonl.gz"
    ids = [json.loads(row)["id"] for row in raw.splitlines()]
    lengths = set()
    for cut in (*range(2, 60, 7), *range(60, len(whole), 23), len(whole) - 8, len(whole) - 1):
        path.write_bytes(whole[:cut])
        steps, reasons = _items(path, check=check)
        assert ids[: len(steps)] == steps and ["the gzip data is cut off here"] == reasons
        lengths.add(len(steps))
    assert {0, len(ids)} <= lengths and len(lengths) > 5


def _unpacked(packed: bytes) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        return b""


def test_a_changed_byte_is_damage_and_never_an_exception(tmp_path: Path) -> None:
    """Whatever byte changes: reading ends, with steps or without, and where the data no longer fits it is told."""
    rng = seeded()
    raw = b"".join(map(line, rich(30)))
    whole = gzip.compress(raw)
    path = tmp_path / f"{NAME}.jsonl.gz"
    for at in rng.sample(range(10, len(whole)), 150):  # before that: the header's flags, time and system
        changed = bytearray(whole)
        changed[at] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        if _unpacked(changed) != raw:  # a few bits mean nothing
            assert _items(path)[1], at
            assert _items(path, check=False)[1], at
    path.write_bytes(whole + b"something else")
    assert (31, ["bytes behind the gzip data"]) == (len(_items(path)[0]), _items(path)[1])


def test_damage_reaches_every_command(world: World) -> None:
    """`list`, `stats`, `view`, `tail` and `verify` tell it; a file from which nothing can be unpacked is named."""
    twin = pack(world.session(steps=rich(400)))
    twin.write_bytes(twin.read_bytes()[:-400])
    os.utime(twin, (START, START))  # it is long over
    for _ in range(2):  # without an index, and with one
        assert 1 == json.loads(world.call("stats", "--json").out)["damage"]
        assert "damaged" in world.call("list").out
    assert "the gzip data is cut off here" in world.call("view").out
    assert "the gzip data is cut off here" in world.call("tail", "--no-follow").out
    done = world.call("verify")
    assert 1 == done.code and "the gzip data is cut off here" in done.out
    twin.write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(NotATrace, match="gzip data is cut off"):
        load(twin)
    with pytest.raises(NotATrace, match="gzip data is cut off"):
        list(read(twin))


def test_any_place_of_any_packed_file_can_be_read(tmp_path: Path) -> None:
    """Pieces at random, forwards and back, over several members with padding behind them, are those of the bytes."""
    rng = seeded()
    raw = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, rng.getrandbits(64)) for n in range(120_000))
    middle = len(raw) // 3
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(raw[:middle], 1) + gzip.compress(b"") + gzip.compress(raw[middle:], 1) + bytes(100_000))
    for _ in range(2):
        with packed.opened(str(path)) as file:
            for _ in range(60):
                start, size = rng.randrange(len(raw) + 10), rng.choice([1, 100, 300_000, 3_000_000])
                assert raw[start : start + size] == file.pread(size, start)
            assert (len(raw), "") == (file.size(), file.problem)
    for count in (1, 17, 100_000):
        start = lines.last_lines(str(path), count)
        assert raw[start:] == b"".join(raw.splitlines(keepends=True)[-count:])


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="tracemalloc")
def test_a_bomb_stays_bounded(tmp_path: Path) -> None:
    """160 MB of nothing in 160 KB: one damage of that length, in less memory than the longest line may take."""
    path = tmp_path / f"{NAME}.jsonl.gz"
    with gzip.open(path, "wb", 6) as file:
        for _ in range(160):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        (damage,) = _all(path)
        assert folder.sessions(tmp_path)[0].head == {}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(damage, Damage) and 160_000_000 == damage.length
    assert peak < 90_000_000, peak


def test_a_long_compressed_session_is_shown_in_bounded_memory(world: World) -> None:
    """`view` of a packed session with more steps than are held streams it, as it does a plain one."""
    world.path.mkdir()
    twin = world.path / f"{NAME}.jsonl.gz"
    with gzip.open(twin, "wb", 1) as file:
        for n in range(60_000):
            file.write(line(step("tick", id=f"{n:016x}", started_at=START + n)) if n in (0, 59_999) else _TICK % (n, n))
    done = world.call("view", "--last", "2", "--jsonl")
    assert [f"{59_998:016x}", f"{59_999:016x}"] == [json.loads(row)["id"] for row in done.out.splitlines()]
    assert "a long session" in world.call("view", "--last", "1").out
    assert 1 == len(world.call("view", "--step", f"{30_000:016x}", "--jsonl").out.splitlines())
    assert "60000\n" == world.call("grep", "-c", "tick").out


_TICK = b'{"name":"tick","outcome":"ok","started_at":%d.0,"duration_ms":1.0,"id":"%016x","parent":null,"context":{},"logs":[]}\n'


def test_the_index_knows_a_compressed_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted once, remembered, and counted anew when the file changes."""
    from ai_trace import census, index

    monkeypatch.setattr(index, "WORTH", 1)
    twin = pack(world.session(steps=rich()))
    os.utime(twin, (1, 1))
    cold = world.call("stats", "--json").out
    assert (world.path / index.NAME).exists()
    with monkeypatch.context() as patched:
        patched.setattr(census.Census, "add_block", lambda *_: pytest.fail("counted again"))
        patched.setattr(census.Census, "add", lambda *_: pytest.fail("counted again"))
        assert cold == world.call("stats", "--json").out
    twin.write_bytes(gzip.compress(b"".join(map(line, rich(3)))))
    assert 4 == json.loads(world.call("stats", "--json").out)["steps"]
