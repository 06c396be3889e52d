"""Old sessions go whole or not at all, only when told, and nothing else is ever touched."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import disk, folder, prune
from tests.cli_world import World, step

DAY = 86400.0
NAMES = ["bot_20260101_000000", "bot_20260102_000000", "bot_20260103_000000"]


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="three")
def fixture_three(world: World) -> World:
    """Sessions of 1 KB or so, changed 30, 20 and 10 days ago; each with a snapshot and a postmortem."""
    for name, days in zip(NAMES, (30, 20, 10)):
        world.session("bot", name.partition("_")[2], [step("a", context={"pad": "x" * 500})])
        world.call("save", name)
        age(world, name, days)
    return world


def age(world: World, stem: str, days: float) -> None:
    then = time.time() - days * DAY
    for path in world.path.glob(f"{stem}*"):
        os.utime(path, (then, then))


def left(world: World) -> list[str]:
    return sorted(path.name for path in world.path.iterdir())


def sessions(world: World) -> list[str]:
    return [entry.name for entry in folder.sessions(world.path)][::-1]


@pytest.mark.parametrize(
    "words, stay",
    [
        (["--older", "15d"], NAMES[2:]),
        (["--older", "25d"], NAMES[1:]),
        (["--older", "400d"], NAMES),
        (["--keep", "1"], NAMES[2:]),
        (["--keep", "9"], NAMES),
        (["--max-size", "1"], []),
        (["--max-size", "1GB"], NAMES),
        (["--keep", "2", "--older", "15d"], NAMES[2:]),
        (["--older", "0", "--keep", "0", "--max-size", "0"], NAMES),
        (["--older", "0s", "--keep", "2"], NAMES[1:]),
        (["--keep", "1", "--agent", "other"], NAMES),
    ],
)
def test_what_goes(three: World, words: list[str], stay: list[str]) -> None:
    """By age, number and size, any of them; a limit of 0 is no limit, not "remove all"."""
    done = three.call("prune", *words, "--yes")
    assert 0 == done.code
    assert stay == sessions(three)
    assert 3 * len(stay) == len(left(three)), "journal, snapshot and postmortem go together"


def test_what_repair_wrote_goes_like_any_other_session(three: World) -> None:
    """The copy beside a damaged session is as old as it is, and does not stay for ever."""
    path = three.path / f"{NAMES[0]}.jsonl"
    path.write_bytes(path.read_bytes() + b"torn")
    assert 0 == three.call("repair", NAMES[0]).code
    age(three, NAMES[0], 30)
    assert f"{NAMES[0]}-repaired.jsonl" in left(three)

    assert 0 == three.call("prune", "--older", "15d", "--yes").code
    assert [f"{NAMES[2]}.json", f"{NAMES[2]}.jsonl", f"{NAMES[2]}.md"] == left(three)


def test_the_size_counts_all_files_of_the_newest_first(three: World) -> None:
    """As many of the last changed sessions stay as fit, snapshots counted; an older one never stays for a newer."""
    newest = sum(path.stat().st_size for path in three.path.glob(f"{NAMES[2]}*"))
    three.call("prune", "--max-size", str(2 * newest - 1), "--yes")
    assert NAMES[2:] == sessions(three)


def test_nothing_happens_until_it_is_told_to(three: World) -> None:
    """Without --yes, and with --dry-run whatever else is said, it only says what it would do; exit code 0."""
    before = left(three)
    for words in ([], ["--dry-run"], ["--dry-run", "--yes"], ["--compress"]):
        done = three.call("prune", "--older", "15d", *words)
        assert 0 == done.code and NAMES[0] in done.out and NAMES[2] not in done.out
        assert "nothing was done" in done.err
    assert before == left(three)
    none = three.call("prune")
    assert 2 == none.code and "--older 30d" in none.err
    assert "nothing to do" in three.call("prune", "--older", "99d").err


def test_json_says_what_goes_and_why_others_stay(three: World) -> None:
    """`--json` is one document, before the act and after it."""
    three.died("bot", "20250101_000000")
    (three.path / "bot_20250101_000000.live").write_bytes(b"")  # a box without a header: nobody knows
    age(three, "bot_20250101_000000", 300)
    found = json.loads(three.call("prune", "--older", "25d", "--json").out)
    assert (False, "remove") == (found["done"], found["action"])
    assert [(NAMES[0], None), ("bot_20250101_000000", "it may be running: its state is unknown")] == [
        (row["session"], row["stays"]) for row in found["sessions"]
    ]
    assert 3 == len(found["sessions"][0]["files"])
    assert json.loads(three.call("prune", "--older", "25d", "--json", "--yes").out)["done"]
    assert ["bot_20250101_000000", *NAMES[1:]] == sessions(three)


def test_running_unknown_and_young_sessions_stay(world: World) -> None:
    """A session that runs, may run, or changed a moment ago is never touched, however old its name is."""
    world.running("bot", "20250101_000000")
    world.died("bot", "20250102_000000")
    (world.path / "bot_20250102_000000.live").write_bytes(b"")
    world.session("bot", "20250103_000000")
    for stem in ("bot_20250101_000000", "bot_20250102_000000"):
        age(world, stem, 300)
    before = left(world)
    for words in (["--older", "1s"], ["--keep", "1"], ["--max-size", "1"], ["--compress"]):
        assert 0 == world.call("prune", *words, "--yes").code
    assert before == left(world)


def test_a_session_that_died_goes_with_its_black_box_and_its_segments(world: World) -> None:
    """Whole sessions only: journal, segments of forked children, boxes."""
    path = world.died("bot", "20250101_000000")
    (world.path / "bot_20250101_000000.1.jsonl").write_bytes(path.read_bytes())
    age(world, "bot_2025", 300)
    assert 0 == world.call("prune", "--older", "1d", "--yes").code
    assert [] == left(world)


def test_files_that_are_not_ours_stay(three: World) -> None:
    """Other names, our names with other content, folders, links and what they point to: all as before."""
    place = three.path
    others = {
        "names.jsonl": b'{"name":"a","value":1}\n',  # other people's JSONL, which `list` may show
        "bot_20260101_000000.txt": b"note",
        "bot_20260104_000000.jsonl": b"nothing of ours\n",
        "bot_20260105_000000.jsonl.gz": gzip.compress(b"nothing of ours\n"),
        "notes_20260106_000000.md": b"# Trace: mine",
    }
    for name, raw in others.items():
        (place / name).write_bytes(raw)
    (place / f"{NAMES[0]}.html").write_bytes(b"<!doctype html><p>my page")
    (place / f"{NAMES[1]}.md").write_bytes(b"# What I learnt that night\n")
    elsewhere = place.parent / "precious.jsonl"
    elsewhere.write_bytes((place / f"{NAMES[0]}.jsonl").read_bytes())
    os.symlink(elsewhere, place / "bot_20260107_000000.jsonl")
    (place / "bot_20260108_000000.jsonl").mkdir()
    for path in (*place.iterdir(), elsewhere):
        os.utime(path, (1, 1))
    for words in (["--older", "1d"], ["--keep", "1"], ["--max-size", "1"], ["--compress"]):
        assert 0 == three.call("prune", *words, "--yes").code
    kept = {*others, f"{NAMES[0]}.html", f"{NAMES[1]}.md", "bot_20260107_000000.jsonl", "bot_20260108_000000.jsonl"}
    assert kept == set(left(three))
    assert elsewhere.read_bytes() and (place / f"{NAMES[1]}.md").read_bytes().startswith(b"# What")


def test_what_changes_between_the_look_and_the_act_stays(three: World) -> None:
    """A session that goes on, or begins a segment, after it was looked at is not touched."""
    first, second, third = prune.candidates(folder.sessions(three.path), prune.Rules(older_s=DAY), time.time())
    with open(first.entry.path, "ab") as file:
        file.write(b"\n")
    (three.path / f"{second.entry.name}.1.jsonl").write_bytes(Path(second.entry.path).read_bytes())
    Path(third.entry.path).unlink()
    said = [prune.remove(one, time.time()) for one in (first, second, third)]
    assert ["it has changed meanwhile", "it has changed meanwhile", "it is gone"] == said


def test_compressing_keeps_every_byte_and_the_time(three: World) -> None:
    """A journal becomes `.jsonl.gz`, holding the same bytes, with the same time of change, readable by its owner."""
    raw = {path.name: path.read_bytes() for path in three.path.glob("*.jsonl")}
    changed = {name: (three.path / name).stat().st_mtime_ns for name in raw}
    done = three.call("prune", "--compress", "--older", "15d", "--yes")
    assert 0 == done.code and "compressed 2 sessions" in done.err
    for name in (f"{stem}.jsonl" for stem in NAMES[:2]):
        packed = three.path / f"{name}.gz"
        assert raw[name] == gzip.decompress(packed.read_bytes())
        assert changed[name] == packed.stat().st_mtime_ns
        assert 0o600 == packed.stat().st_mode & 0o777 or os.name == "nt"
        assert not (three.path / name).exists()
    assert (three.path / f"{NAMES[2]}.jsonl").exists()
    assert "nothing to do" in three.call("prune", "--compress", "--older", "15d", "--yes").err
    three.call("prune", "--compress", "--yes")
    assert [] == list(three.path.glob("*.jsonl"))
    three.call("prune", "--keep", "1", "--yes")
    assert NAMES[2:] == sessions(three)


def test_a_copy_that_was_left_half_way_is_taken_up_or_left_alone(three: World) -> None:
    """After a death between writing and removing, the next run goes on; a file with other content is no copy."""
    path = three.path / f"{NAMES[0]}.jsonl"
    raw, twin = path.read_bytes(), three.path / f"{NAMES[0]}.jsonl.gz"
    twin.write_bytes(gzip.compress(raw[:-9]))
    assert 1 == len([entry for entry in folder.sessions(three.path) if entry.name == NAMES[0]])
    done = three.call("prune", "--compress", "--older", "25d", "--yes")
    assert 1 == done.code and "does not hold" in done.err
    assert raw == path.read_bytes() and twin.exists()
    twin.write_bytes(gzip.compress(raw))
    assert 0 == three.call("prune", "--compress", "--older", "25d", "--yes").code
    assert not path.exists() and raw == gzip.decompress(twin.read_bytes())


class _Failing(disk.Disk):
    """A disk on which the n-th change fails."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(5, "Input/output error")

    def __getattribute__(self, name: str) -> object:
        if name in ("write", "unlink", "replace", "fsync", "utime", "fsync_folder"):
            object.__getattribute__(self, "_count")()
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("words", [["--older", "25d"], ["--compress", "--older", "25d"]], ids=["remove", "compress"])
def test_a_disk_that_fails_loses_nothing_that_was_to_stay(
    three: World, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call fails: a sentence, exit code 1, the session is whole or what remains of it is still one."""
    before = {path.name: path.read_bytes() for path in three.path.iterdir()}
    failures = 0
    for at in range(1, 20):
        with monkeypatch.context() as patched:
            patched.setattr(disk, "active", _Failing(at))
            done = three.call("prune", *words, "--yes")
        if done.code == 0:
            break
        failures += 1
        assert "Input/output error" in done.err and "Traceback" not in done.err
        assert set(NAMES) == set(sessions(three))
        assert 1 == len(folder.load(three.path / f"{NAMES[0]}.jsonl").steps)
        for name, raw in before.items():
            if not name.startswith(NAMES[0]) or name.endswith(".jsonl"):
                assert raw == (three.path / name).read_bytes(), (at, name)
        for path in three.path.iterdir():
            path.unlink()
        for name, raw in before.items():
            (three.path / name).write_bytes(raw)
        for stem, days in zip(NAMES, (30, 20, 10)):
            age(three, stem, days)
    assert failures >= 3 and 0 == done.code
