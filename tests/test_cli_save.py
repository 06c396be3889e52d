"""`ai-trace save`: the snapshots of a run that could not write them itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_world import START, World, step


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def test_both_snapshots_beside_the_journal(world: World) -> None:
    """A run that died gets its JSON snapshot and its postmortem; their paths are printed, one a line."""
    path = world.died()

    done = world.call("save", "latest")
    assert (0, "") == (done.code, done.err)
    made = [path.with_suffix(".json"), path.with_suffix(".md")]
    assert [str(one) for one in made] == done.out.splitlines()
    found = json.loads(made[0].read_text())
    assert ("trader", "died", ["decide", "wait"]) == (
        found["agent"],
        found["state"],
        [s["name"] for s in found["steps"]],
    )
    assert made[1].read_text().startswith("# ")
    assert [0o600, 0o600] == [one.stat().st_mode & 0o777 for one in made]


@pytest.mark.parametrize("option", ["json", "md"])
def test_one_of_them(world: World, option: str) -> None:
    """--json and --md write one alone; again is no trouble: snapshots are ours to replace."""
    path = world.session()
    for _ in range(2):
        assert str(path.with_suffix("." + option)) == world.call("save", "trader", f"--{option}").out.strip()
    assert {".jsonl", "." + option} == {one.suffix for one in world.path.iterdir()}


def test_a_file_of_the_users(world: World, tmp_path: Path) -> None:
    """-o writes where the user says, its form by option or by suffix, and overwrites only with --force."""
    world.session()
    report = tmp_path / "report.md"
    assert str(report) == world.call("save", "latest", "-o", str(report)).out.strip()
    report.write_text("mine")

    done = world.call("save", "latest", "-o", str(report))
    assert (1, "", "mine") == (done.code, done.out, report.read_text())
    assert "--force" in done.err
    assert 0 == world.call("save", "latest", "-o", str(report), "--force").code
    assert report.read_text().startswith("# ")
    other = tmp_path / "x.txt"
    assert 2 == world.call("save", "latest", "-o", str(other)).code
    assert 0 == world.call("save", "latest", "-o", str(other), "--json").code
    assert "trader" == json.loads(other.read_text())["agent"]


def test_to_standard_output(world: World) -> None:
    """`-o -` prints the snapshot instead."""
    world.session()
    assert "trader" == json.loads(world.call("save", "latest", "--json", "-o", "-").out)["agent"]
    assert world.call("save", "latest", "--md", "-o", "-").out.startswith("# ")
    assert 2 == world.call("save", "latest", "-o", "-").code


def test_wrong_places_are_sentences(world: World, tmp_path: Path) -> None:
    """Two forms into one file, a missing folder, a folder for a file: said, and nothing is left behind."""
    world.session()
    assert 2 == world.call("save", "latest", "--json", "--md", "-o", str(tmp_path / "x")).code
    for place in (tmp_path / "none" / "x.md", tmp_path):
        done = world.call("save", "latest", "--md", "-o", str(place), "--force")
        assert (1, "") == done[:2] and "Traceback" not in done.err
    assert ["traces"] == [one.name for one in tmp_path.iterdir()]


def test_a_running_session_is_saved_as_far_as_it_is(world: World) -> None:
    """The snapshot of a run that goes on says that it runs, and so does the command."""
    path = world.running(steps=[step("a", started_at=START)])
    done = world.call("save", "latest", "--json")
    assert 0 == done.code and "still running" in done.err
    assert "running" == json.loads(path.with_suffix(".json").read_text())["state"]


def test_the_newest_session_is_the_default(world: World) -> None:
    """As with `view` and `report`; the paths that are printed say whose snapshots they are."""
    world.session()
    world.session(id="20260226_061320")

    stem = str(world.path / "trader_20260226_061320")
    assert (0, [f"{stem}.json", f"{stem}.md"]) == ((done := world.call("save")).code, done.out.split())


def test_from_standard_input(world: World, tmp_path: Path) -> None:
    """A journal from standard input has no folder, so -o is needed."""
    raw = world.session().read_bytes()
    assert 2 == world.call("save", "-", stdin=raw).code
    assert world.call("save", "-", "--md", "-o", "-", stdin=raw).out.startswith("# ")
