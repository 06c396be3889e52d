"""`ai-trace view`: one session as a tree, the steps that were asked for, and forms for programs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_world import START, World, call, command, environment, step

TRACEBACK = 'Traceback (most recent call last):\n  File "agent.py", line 7, in parse\nValueError: boom\n'
ROOT_ID, FETCH_ID, PARSE_ID, BUY_ID = "a" * 16, "b" * 16, "ab" * 8, "c" * 16


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="tree")
def fixture_tree(world: World) -> World:
    """decide { fetch { parse ✘ } ✘, buy }"""
    world.session(
        meta={"model": "m-1"},
        steps=[
            step(
                "parse",
                "error",
                id=PARSE_ID,
                parent=FETCH_ID,
                started_at=START + 0.2,
                duration_ms=100,
                error="ValueError: boom",
                traceback=TRACEBACK,
                context={"order": {"id": 17}},
            ),
            step(
                "fetch",
                "error",
                id=FETCH_ID,
                parent=ROOT_ID,
                started_at=START + 0.1,
                duration_ms=500,
                error="ValueError: boom",
                logs=[{"_t": START + 0.15, "message": "asking", "url": "https://example.org"}],
            ),
            step(
                "buy",
                id=BUY_ID,
                parent=ROOT_ID,
                started_at=START + 1,
                duration_ms=1500,
                context={"Price": 12.5},
            ),
            step("decide", id=ROOT_ID, started_at=START, duration_ms=3000, context={"prompt": "long " * 500}),
        ],
    )
    return world


def shown(world: World, *words: str) -> list[str]:
    """The names of the steps in the tree's text, from top to bottom."""
    done = world.call("view", *words)
    assert (0, "") == (done.code, done.err), done
    titles = [row.split() for row in done.out.splitlines() if "✔" in row or "✘" in row]
    return [name for row in titles for name in ("decide", "fetch", "parse", "buy") if name in row]


def test_the_tree(tree: World) -> None:
    """Each step stands under the one around it, with sign and duration, what it saw, said and failed with."""
    out = tree.call("view").out
    rows = out.splitlines()
    at = {
        name: next(n for n, row in enumerate(rows) if name in row.split()[:6])
        for name in ("decide", "fetch", "parse", "buy")
    }

    assert at["decide"] < at["fetch"] < at["parse"] < at["buy"]
    indent = {name: rows[n].index(name) for name, n in at.items()}
    assert indent["decide"] < indent["fetch"] == indent["buy"] < indent["parse"]
    assert "✔" in rows[at["buy"]] and "1.50 s" in rows[at["buy"]]
    assert "✘" in rows[at["parse"]] and "100 ms" in rows[at["parse"]]
    for text in (
        "trader",
        "20260225_061320",
        "m-1",
        "ended",
        "asking",
        "https://example.org",
        "12.5",
        "17",
        "ValueError: boom",
        'File "agent.py", line 7, in parse',
    ):
        assert text in out


@pytest.mark.parametrize("words", [["--full"], []])
def test_long_values_are_shortened_unless_full(tree: World, words: list[str]) -> None:
    """A long value is cut with a sign to keep the tree readable; `--full` shows all of it."""
    out = tree.call("view", *words, COLUMNS="80").out
    full = "".join(out.split()).count("long") == 500
    assert full is bool(words)
    assert full or "…" in out
    assert full or all(len(row) <= 80 for row in out.splitlines())


@pytest.mark.parametrize(
    "words, names",
    [
        (["--errors"], {"fetch", "parse"}),
        (["--name", "b*"], {"buy"}),
        (["--name", "B*"], None),
        (["-i", "--name", "B*"], {"buy"}),
        (["--grep", "example.org"], {"fetch"}),
        (["--grep", r"order\.id=17"], {"parse"}),
        (["--grep", "price"], None),
        (["--grep", "price", "-i"], {"buy"}),
        (["--grep", "^ValueError"], {"fetch", "parse"}),
        (["--grep", "agent.py"], {"parse"}),
        (["--last", "1"], {"buy"}),
        (["--last", "1", "--errors"], {"parse"}),
        (["--errors", "--grep", "asking"], {"fetch"}),
        (["--since", "2026-02-25T06:13:21Z"], {"buy"}),
        (["--step", BUY_ID], {"buy"}),
        (["--step", "b"], {"fetch", "parse"}),
        (["--step", "b", "--name", "p*"], {"parse"}),
        (["--depth", "2"], {"decide", "fetch", "buy"}),
        (["--depth", "1"], {"decide"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_choosing_steps(tree: World, words: list[str], names: set[str] | None) -> None:
    """The options choose steps alike for every form; where no step fits the exit code is 1, as grep's."""
    done = tree.call("view", "--jsonl", *words)
    if names is None:
        assert (1, "") == done[:2] and "no step" in done.err
        return
    lines = [json.loads(one) for one in done.out.splitlines()]
    assert names == {one["name"] for one in lines}
    assert lines == json.loads(tree.call("view", "--json", *words).out)["steps"]
    text = shown(tree, *words)
    assert names <= set(text)


def test_a_chosen_step_is_shown_in_its_place(tree: World) -> None:
    """The way from the root down to a chosen step is shown, too; the rest is not."""
    assert ["decide", "fetch", "parse"] == shown(tree, "--name", "parse")
    assert ["decide", "buy"] == shown(tree, "--step", "c")


def test_a_step_is_named_by_the_beginning_of_its_id(tree: World) -> None:
    """An ambiguous or unknown beginning is answered with the candidates, exit code 1."""
    done = tree.call("view", "--step", "a")
    assert (1, "") == done[:2]
    assert ROOT_ID in done.err and PARSE_ID in done.err
    done = tree.call("view", "--step", "zz")
    assert (1, "") == done[:2] and "no step" in done.err


def test_unfinished_steps_and_damage_are_seen(world: World) -> None:
    """A run that died shows the step it died in, what that step had said, and where its file is damaged."""
    path = world.died(
        open_steps=[
            step(
                "call model",
                id="d" * 16,
                started_at=START + 5,
                context={"question": "why"},
                logs=[{"_t": START + 6, "message": "sent"}],
            )
        ]
    )
    with path.open("ab") as file:
        file.write(b'{"name":"torn","outco\n')

    out = world.call("view").out
    for text in ("died", "call model", "why", "sent", "decide"):
        assert text in out
    assert "damage" in out.lower()
    found = json.loads(world.call("view", "--json").out)
    assert ("died", 1, [True]) == (
        found["state"],
        len(found["damage"]),
        [s["open"] for s in found["steps"] if "open" in s],
    )


def test_json_is_the_snapshot(tree: World) -> None:
    """`--json` is one document in the form of the snapshot that `save` writes."""
    found = json.loads(tree.call("view", "--json").out)
    assert ("trader", "20260225_061320", "ended") == (found["agent"], found["session_id"], found["state"])
    assert ["decide", "fetch", "parse", "buy"] == [one["name"] for one in found["steps"]]
    assert {"order": {"id": 17}} == found["steps"][2]["context"]
    assert {"model": "m-1"} == found["meta"]


def test_markdown_is_the_postmortem(tree: World) -> None:
    """`--md` is the postmortem as text."""
    done = tree.call("view", "--md")
    assert 0 == done.code and done.out.startswith("# ")
    assert "ValueError: boom" in done.out


def test_standard_input(tree: World) -> None:
    """`-` reads a journal, or lines of the older package, from standard input."""
    raw = next(tree.path.iterdir()).read_bytes()
    done = call("view", "-", "--jsonl", stdin=raw)
    assert (0, 4) == (done.code, len(done.out.splitlines()))
    old = (
        b'{"name":"old","context":{},"started_at":1.0,"finished_at":2.0,"duration_ms":1000.0,'
        b'"outcome":"ok","error":null,"logs":[]}\n'
    )
    assert "old" in call("view", "-", stdin=old).out
    assert 1 == call("view", "-", stdin=b"").code
    assert 1 == call("view", "-", stdin=b"no trace\n").code


@pytest.mark.parametrize(
    "words",
    [
        ["view", "-"], ["view", "-", "--json"], ["save", "-", "--md", "-o", "-"],
        ["at", "last", "-"], ["verify", "-"], ["verify", "-", "--json"], ["report", "-", "-o", "r.html"],
        ["grep", "decide", "-", "--json"], ["diff", "-", "latest"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_wrong_with_standard_input_is_told_of_standard_input(
    world: World, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, no trace, a damaged one, a long damaged one: the temporary copy is never named."""
    monkeypatch.chdir(tmp_path)
    raw = b"{torn\n" + world.session().read_bytes()
    for content in (b"", b"no trace\n", raw, raw * 50):
        if len(content) > 5_000:  # the way of those that are shown as they are read
            monkeypatch.setattr("ai_trace.cli.view._LARGE", 5_000)
            monkeypatch.setattr("ai_trace.cli.long.LONG", 10)
        done = call("--dir", str(world.path), *words, *(["--force"] if "-o" in words else []), stdin=content)
        said = done.out + done.err + "".join(path.read_text() for path in tmp_path.glob("r.html"))
        assert "stdin.jsonl," not in said and "stdin.jsonl is" not in said and "/stdin" not in said, said
        if len(content) < 10 and words[0] == "view":
            assert done.err.startswith("ai-trace: standard input is not a trace: ")
    assert "standard input" in said or words[0] in ("at", "diff")


@pytest.mark.parametrize("word", ["traces", "./traces", "traces/"])
def test_a_folder_in_place_of_a_session(world: World, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to see what is in it; a session of that name would come first."""
    world.session()
    monkeypatch.chdir(world.path.parent)
    done = call("view", word)
    assert (1, "") == done[:2] and f"{word} is a folder" in done.err and f"--dir {word} view" in done.err
    world.session("traces")
    assert ("decide" in call("view", word).out) == (word == "traces")


def test_a_file_of_the_older_package(tmp_path: Path) -> None:
    """What the older package wrote opens by its file name, as its own `view X.jsonl` did."""
    row = {
        "name": "scan",
        "context": {"q": 1},
        "started_at": START,
        "finished_at": START + 1,
        "duration_ms": 1000.0,
        "outcome": "error",
        "error": "KeyError: 'x'",
        "logs": [{"_t": START, "note": "hm"}],
    }
    (tmp_path / "bot_20240301_120000.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "bot_20240301_130000.json").write_text(
        json.dumps({"agent": "bot", "session_id": "20240301_130000", "meta": {}, "steps": [row]})
    )
    for name in ("bot_20240301_120000.jsonl", "bot_20240301_130000.json"):
        for words in ([name, "--dir", str(tmp_path)], [str(tmp_path / name)]):
            done = call("view", *words)
            assert 0 == done.code and "scan" in done.out and "KeyError" in done.out
    assert ["bot_20240301_130000", "bot_20240301_120000"] == call(
        "--dir", str(tmp_path), "list", "-q"
    ).out.splitlines()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\x1f\x8b\x08binary", b"hello\n", b"[]", b"\xff\xfe{\x00"]
)
def test_what_is_no_trace_is_said(tmp_path: Path, content: bytes) -> None:
    """A file without a step ends with a sentence that names it, exit code 1."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    done = call("view", str(path))
    assert (1, "") == done[:2]
    assert "x.jsonl" in done.err and "Traceback" not in done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_what_is_no_file_does_not_hang(tmp_path: Path) -> None:
    """A FIFO, a device or a folder in place of a journal is refused in a sentence."""
    fifo = tmp_path / "x.jsonl"
    os.mkfifo(fifo)
    for name in (str(fifo), "/dev/zero", str(tmp_path) + "/"):
        done = call("view", name)
        assert (1, "") == done[:2] and done.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
class TestTerminal:
    """On a terminal: colours, its width, and a pager."""

    def run(self, world: World, *words: str, columns: int = 60, **variables: str) -> str:
        import fcntl
        import pty
        import struct
        import termios

        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        process = subprocess.Popen(
            command("--dir", str(world.path), *words),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**{"TERM": "xterm", **variables}),
        )
        os.close(slave)
        pieces = []
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                piece = b""
            if not piece:
                break
            pieces.append(piece)
        os.close(master)
        assert 0 == process.wait()
        return b"".join(pieces).decode().replace("\r\n", "\n")

    def pager(self, folder: Path, text: str) -> str:
        path = folder / "my pager"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path).replace(" ", "\\ ")

    def test_colours_and_width(self, tree: World) -> None:
        """A terminal gets colours, and rows no longer than it is wide; TERM=dumb and NO_COLOR get none."""
        out = self.run(tree, "view", "--no-pager")
        assert "\x1b[" in out
        plain = self.run(tree, "view", "--no-pager", NO_COLOR="1")
        assert "\x1b" not in plain
        assert max(map(len, plain.splitlines())) <= 60
        assert "\x1b" not in self.run(tree, "list", TERM="dumb")

    def test_the_pager_gets_the_text(self, tree: World, tmp_path: Path) -> None:
        """PAGER is a shell's command line, with LESS=FRX unless LESS is set; "" and cat are none."""
        pager = self.pager(tmp_path, 'echo "by pager, LESS=$LESS"; wc -l | tr -d " "')
        out = self.run(tree, "view", PAGER=f"{pager} --option")
        assert out.startswith("by pager, LESS=FRX\n") and "decide" not in out
        assert "LESS=mine" in self.run(tree, "view", PAGER=pager, LESS="mine")
        for words, wish in (
            (["view", "--no-pager"], pager),
            (["view"], ""),
            (["view"], "cat"),
            (["view"], "/no/such/pager"),
        ):
            assert "decide" in self.run(tree, *words, PAGER=wish)
        assert "by pager" not in self.run(tree, "list", PAGER=pager)

    def test_leaving_the_pager_early_is_success(self, tree: World, tmp_path: Path) -> None:
        """Who has read enough has read enough."""
        world = tree
        world.session(
            "big",
            "20260301_000000",
            [step(f"s{n}", context={"x": "y" * 200}) for n in range(2000)],
            start=START * 1.1,
        )
        assert "first\n" == self.run(world, "view", PAGER=self.pager(tmp_path, "echo first"))

    def test_no_pager_into_a_pipe(self, tree: World, tmp_path: Path) -> None:
        """A pipe gets the text itself."""
        done = tree.call("view", PAGER=self.pager(tmp_path, "echo paged"))
        assert "decide" in done.out and "paged" not in done.out


def test_a_running_session_is_as_old_as_its_open_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header counts up to the same now as "running for" below it."""
    monkeypatch.setattr("ai_trace.cli.times.now", lambda: START + 65)
    world.running(steps=[step("look")], open_steps=[step("wait", started_at=START + 5, id="f" * 16)])

    shown = world.call("view").out
    assert "running for 1 m " in shown and "1 m 5 s" in shown.splitlines()[1]
