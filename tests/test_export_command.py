"""`ai-trace export`: words, files, exit codes, and what it says about losses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_world import World, step
from tests.exporting import collector, spans

FILES = ("otlp", "atif", "perfetto", "csv", "sqlite")


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    world.session(
        steps=[step("plan"), step("=act", "error", error="no", logs=[{"_t": 1.0, "message": "hm"}])]
    )
    yield world
    world.release()


def test_all_files_at_once(world: World, tmp_path: Path) -> None:
    """Every format in one go; each path is told, nothing half-made stays, all are for their owner alone."""
    targets = {name: tmp_path / f"out.{name}" for name in FILES}
    done = world.call(
        "export", "latest", *(word for name, path in targets.items() for word in (f"--{name}", str(path)))
    )

    assert (0, [str(path) for path in targets.values()]) == (done.code, done.out.splitlines())
    assert all(path.stat().st_size for path in targets.values())
    assert sys.platform == "win32" or not any(path.stat().st_mode & 0o077 for path in targets.values())
    assert {"traces", *(path.name for path in targets.values())} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", FILES[:-1])
def test_a_dash_is_standard_output(world: World, name: str) -> None:
    """The same bytes as in the file; what was lost is told on standard error."""
    done = world.call("export", "latest", f"--{name}", "-")

    assert 0 == done.code
    assert "plan" in done.out
    assert name in ("otlp", "perfetto") or f"not in --{name}:" in done.err


def test_a_session_from_standard_input(world: World) -> None:
    """`-` reads a journal from a pipe."""
    (path,) = world.path.glob("*.jsonl")
    done = world.call("export", "-", "--otlp", "-", stdin=path.read_bytes())

    assert ["plan", "=act"] == [span["name"] for span in spans(done.out.encode())]


def test_a_file_that_is_there_is_not_overwritten(world: World, tmp_path: Path) -> None:
    """Not without --force, and then it is replaced as a whole."""
    path = tmp_path / "mine.csv"
    path.write_text("mine")

    assert (1, "mine") == (world.call("export", "latest", "--csv", str(path)).code, path.read_text())
    assert 0 == world.call("export", "latest", "--csv", str(path), "--force").code
    assert "plan" in path.read_text()


@pytest.mark.parametrize(
    "words",
    [
        [], ["--otlp", "x", "--follow"], ["--openinference", "--csv", "-"],
        ["--header", "a: b", "--csv", "-"], ["--sqlite", "-"], ["--csv", "-", "--otlp", "-"],
        ["--otlp", "http://127.0.0.1:1", "--csv", "x", "--follow"],
    ],
)  # fmt: skip
def test_words_that_do_not_go_together_are_wrong_usage(world: World, words: list[str]) -> None:
    """Exit code 2 and a sentence, before anything is read or written."""
    done = world.call("export", "latest", *words)

    assert (2, "") == (done.code, done.out)
    assert "ai-trace: " in done.err


def test_sending_tells_how_many_and_fails_where_some_were_rejected(world: World) -> None:
    """All taken is 0; a part rejected, or a refusal, is 1 with the server's own words."""
    with collector() as server:
        server.answers = [
            (200, {}, b"{}"), (200, {}, b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too big"}}'),
            (403, {}, b"no key"),
        ]  # fmt: skip
        done = [world.call("export", "latest", "--otlp", server.url, "--openinference") for _ in range(3)]

    assert [0, 1, 1] == [one.code for one in done]
    assert "2 spans to" in done[0].err
    assert "rejected 1" in done[1].err and "too big" in done[1].err
    assert "403" in done[2].err and "no key" in done[2].err


@pytest.mark.parametrize("target", ["no/such/folder/x.csv", "."])
def test_a_place_that_cannot_take_a_file_is_a_sentence(world: World, target: str) -> None:
    """Exit code 1, no traceback."""
    done = world.call("export", "latest", "--csv", target)

    assert 1 == done.code
    assert "Traceback" not in done.err


def test_a_loss_is_told_only_where_there_is_one(world: World, tmp_path: Path) -> None:
    """A database holds all of a step that this version knows; keys of a later one are counted."""
    target = str(tmp_path / "all.db")
    assert "" == world.call("export", "--sqlite", target).err
    world.session(id="20260226_061320", steps=[step("plan", mood="good", colour="red")])
    assert "keys of a step unknown to this version: 2" in world.call("export", "--sqlite", target).err


def test_trying_again_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a collector that is not there knows from the first failure on."""
    monkeypatch.setattr("ai_trace.exporters.post.FIRST_PAUSE_S", 0.001)
    with collector() as server:
        server.answers = [(503, {}, b"busy")] * 2
        done = world.call("export", "latest", "--otlp", server.url)

    assert 0 == done.code
    assert 1 == done.err.count("more times") and "503" in done.err
