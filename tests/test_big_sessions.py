"""A session too long to hold is shown as it is read: all of it, nothing twice, in bounded memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace import seek
from ai_trace.cli import long, progress, view
from ai_trace.render import words as render_words
from tests.cli_world import ROOT, START, World, line, step
from tests.records import seeded

pytest.importorskip("resource", reason="memory of a child is measured by it")

ID = re.compile(r"  ([0-9a-f]{16})$", re.MULTILINE)


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(long, "LONG", 1)  # every session is long
    monkeypatch.setattr(view, "_LARGE", 1)
    world = World(tmp_path / "traces")
    yield world
    world.release()


def family(count: int, rng: Any) -> list[dict[str, Any]]:
    """Steps in the order in which they ended: a random tree, written children first, some of it concurrent."""
    rows = []
    begun = [float(n) for n in range(count)]  # a step begins before those inside it
    for n in range(count):
        parent = rng.randrange(n + 1, min(count, n + 20)) if n + 1 < count and rng.random() < 0.8 else None
        if parent is not None:
            begun[parent] = min(begun[parent], begun[n] - 0.001)
        rows.append(
            step(
                rng.choice(["plan", "act", "see"]), "error" if rng.random() < 0.1 else "ok", id=f"{n + 1:016x}",
                parent=None if parent is None else f"{parent + 1:016x}", started_at=START + begun[n], duration_ms=(n - begun[n]) * 1000 + 500,
            )
        )  # fmt: skip
    return rows


def shown_ids(text: str) -> list[str]:
    return ID.findall(text)


def test_every_step_is_shown_once_and_inside_the_one_around_it(world: World) -> None:
    """All of a long session comes, each step once; those inside a step stand below it and further in."""
    rows = family(400, seeded())
    world.session(steps=rows)
    out = world.call("view", "--full").out
    assert "a long session" in out
    assert sorted(row["id"] for row in rows) == sorted(shown_ids(out))
    lines = {found[0]: at for at, text in enumerate(out.splitlines()) if (found := ID.findall(text))}
    indent = {id: len(re.match(r"[ │├└─]*", out.splitlines()[at])[0]) for id, at in lines.items()}  # type: ignore[index]
    for row in rows:
        if row["parent"] is not None:
            assert lines[row["parent"]] < lines[row["id"]]
            assert indent[row["parent"]] < indent[row["id"]] or indent[row["id"]] > 40


@pytest.mark.parametrize("words", [("--errors",), ("--name", "act"), ("--grep", "name"), ()])
def test_the_choice_of_steps_is_that_of_a_short_session(
    world: World, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps fit, whether the session is shown as it is read or held as a whole; as JSON, too."""
    world.session(steps=family(300, seeded()))
    told = [json.loads(text) for text in world.call("view", "--jsonl", *words).out.splitlines()]
    monkeypatch.undo()
    whole = [json.loads(text) for text in world.call("view", "--jsonl", *words).out.splitlines()]
    assert sorted(whole, key=lambda one: one["id"]) == sorted(told, key=lambda one: one["id"])


def test_what_is_held_back_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more steps wait for the one around them than are held, they come first, and it comes by itself."""
    monkeypatch.setattr(long, "MAX_HELD", 10)
    monkeypatch.setattr(long, "_LATE", 1)
    root = f"{10**6:016x}"
    rows = [step("in", id=f"{n + 1:016x}", parent=root, started_at=START + n) for n in range(100)]
    rows += [step("root", id=root), *(step("after", id=f"{n:016x}") for n in range(2000, 2003))]
    world.session(steps=rows)
    assert sorted(row["id"] for row in rows) == sorted(shown_ids(world.call("view", "--full").out))


def test_a_step_around_all_others_comes_first(world: World) -> None:
    """The step that ended last, or is still open, stands above those that ended inside it."""
    inside = [step("turn", id=f"{n + 1:016x}", parent="e" * 16, started_at=START + 1 + n) for n in range(30)]
    world.died(steps=[*inside, step("run", id="e" * 16, parent="f" * 16)],
               open_steps=[step("main", id="f" * 16, parent=None)])  # fmt: skip
    ids = shown_ids(world.call("view", "--full").out)
    assert ["f" * 16, "e" * 16, *(row["id"] for row in inside)] == ids


@pytest.mark.parametrize("count", [1, 7, 500])
def test_the_last_steps(world: World, count: int) -> None:
    """`--last N` shows the N that ended last."""
    rows = [step("s", id=f"{n + 1:016x}", started_at=START + n) for n in range(300)]
    world.session(steps=rows)
    out = world.call("view", "--full", "--last", str(count)).out
    assert [row["id"] for row in rows][-count:] == shown_ids(out)


def test_one_step_and_those_inside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--step ID` finds it and all inside, also those that outlived it, without the whole session."""
    rng = seeded()
    rows = family(400, rng)
    late = [step("late", id=f"{n + 9000:016x}", parent=rng.choice(rows)["id"], started_at=START + n) for n in range(40)]
    world.session(steps=rows + late)
    chosen = [row["id"] for row in rng.sample(rows, 12)]

    def inside() -> list[list[str]]:
        told = [world.call("view", "--step", id, "--jsonl").out.splitlines() for id in chosen]
        return [sorted(json.loads(text)["id"] for text in texts) for texts in told]

    in_one_block = inside()
    monkeypatch.setattr(seek, "BLOCK", 3000)
    in_many = inside()
    monkeypatch.undo()
    assert inside() == in_one_block == in_many


def test_no_step_and_several_steps(world: World) -> None:
    """An id that fits none, or several, ends with exit code 1 and a sentence, as for a short session."""
    world.session(steps=[step("s", id=f"ab{n:014x}") for n in range(30)])
    assert 1 == world.call("view", "--step", "dddd").code
    done = world.call("view", "--step", "ab")
    assert 1 == done.code and "30 steps" in done.err
    assert 1 == world.call("view", "--name", "nothing").code


def test_damage_is_told(world: World) -> None:
    """A line that is no step is told at the end, and costs no other."""
    path = world.session(steps=[step("s", id=f"{n + 1:016x}") for n in range(20)])
    with path.open("ab") as file:
        file.write(b"garbage\n" + line(step("after", id="a" * 16)))
    out = world.call("view", "--full").out
    assert 21 == len(shown_ids(out)) and "damage in" in out


def peak_mib(*words: str) -> float:
    """The peak memory of a command, in a process of its own."""
    code = (
        "import subprocess, sys, resource\n"
        "done = subprocess.run([sys.executable, '-m', 'ai_trace', *sys.argv[1:]], stdout=subprocess.DEVNULL)\n"
        "assert done.returncode == 0\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, cwd=ROOT, check=True)
    return int(done.stdout) / (2**20 if sys.platform == "darwin" else 2**10)


def test_memory_does_not_grow_with_the_session(tmp_path: Path) -> None:
    """Ten times the steps: `list`, `stats`, `tail` and `view` take about the memory that they took."""
    for name, count in (("small", 8_000), ("large", 80_000)):
        block = b"".join(line(step("s", id=f"{n + 1:016x}", started_at=START + n)) for n in range(1000))
        (tmp_path / name).mkdir()
        (tmp_path / name / "a_20260225_061320.jsonl").write_bytes(block * (count // 1000))
    for words in (["list"], ["stats"], ["tail", "latest", "--no-follow"], ["view", "--last", "3"]):
        small, large = (peak_mib("--dir", os.fspath(tmp_path / name), *words) for name in ("small", "large"))
        assert large < small + 15, words


class Screen:
    """Standard error as a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_is_a_line_on_a_terminal_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the first half second; then how far it is; at the end the line is empty again."""
    screen, now = Screen(), [0.0]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress.Progress(1000) as shown:
        now[0] = 0.4
        shown.tick(250)
        assert "" == screen.text
        now[0] = 0.6
        shown.tick(250)
        assert "50%" in screen.text
    assert screen.text.endswith("\r\x1b[K")


def test_no_progress_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file or a pipe gets no line of progress, and a dumb terminal none."""
    for is_terminal, term in ((False, "xterm"), (True, "dumb")):
        screen = Screen()
        monkeypatch.setattr(screen, "isatty", lambda answer=is_terminal: answer)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
        with progress.Progress(10) as shown:
            shown.tick(5)
        assert "" == screen.text


@pytest.mark.parametrize(
    "words",
    [
        ("stats",), ("stats", "--where", "name == 'act'"), ("stats", "--since", "2026-02-25T06:15:00Z"), ("list", "--where", "name == 'act'"),
        ("grep", "a.t", "--count"), ("grep", "act", "--count"), ("view", "--step", f"{7:016x}"), ("view", "--last", "5", "--where", "name == 'act'"),
        ("verify",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_whatever_reads_a_whole_session_shows_how_far_it_is(
    world: World, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal: a line that says so, and is gone before anything else is written there."""
    path = world.session(steps=family(300, seeded()))
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "_BETWEEN_S", 0.0)
    quiet = world.call(*words)
    assert "reading" not in quiet.err
    monkeypatch.setattr(progress, "_is_terminal", lambda: True)
    (world.path / ".ai-trace-index.sqlite").unlink(missing_ok=True)
    told = world.call(*words)
    assert (quiet.code, quiet.out) == (told.code, told.out)
    parts = told.err.split("\r\x1b[K")
    assert f"reading {render_words.size(path.stat().st_size)}" in parts[1]
    assert quiet.err == parts[-1]
