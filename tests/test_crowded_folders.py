"""A folder full of other people's files: an answer, and not a long wait or a full memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli_world import ROOT, START, World, step

FILES = 100_000


@pytest.fixture(name="crowd", scope="module")
def fixture_crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hundred thousand names over a few small files (hard links: made in a second), and two sessions of ours."""
    world = World(tmp_path_factory.mktemp("crowd") / "traces")
    world.session("a", "20260225_061320", [step("one")])
    world.session("b", "20260226_061320", [step("two"), step("three", started_at=START + 1)], start=START + 86400)
    for kind, raw in ((".jsonl", b""), (".json", b"{}"), (".txt", b"hello")):
        source = world.path / f"foreign{kind}"
        source.write_bytes(raw)
        for n in range(FILES // 3):
            if n % 20_000 == 19_999:  # ext4 allows 65,000 names of a file
                source = world.path / f"foreign-{n}{kind}"
                source.write_bytes(raw)
            os.link(source, world.path / f"row-{n}{kind}")
    yield world
    shutil.rmtree(world.path)


def test_ours_are_found_among_a_hundred_thousand_files(crowd: World) -> None:
    """`list` and `stats` tell our sessions and no other; the files of others are not opened again and again."""
    listed = json.loads(crowd.call("list", "--json").out)
    assert ["b_20260226_061320", "a_20260225_061320"] == [one["session"] for one in listed]
    assert 3 == json.loads(crowd.call("stats", "--json").out)["steps"]
    assert "three" in crowd.call("view").out


def test_a_name_that_is_not_there_gets_a_clear_answer(crowd: World) -> None:
    """The nearest names, and exit code 1."""
    done = crowd.call("view", "nothing")
    assert 1 == done.code and "no session 'nothing'" in done.err


def test_memory_holds_sessions_and_not_files(crowd: World) -> None:
    """What is kept of the files of others is nothing."""
    pytest.importorskip("resource")
    code = (  # a small process that starts it: what is measured begins with the memory of the one that starts
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'ai_trace', *sys.argv[1:]], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, "--dir", str(crowd.path), "list", "-q"]
    names = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True).stdout.split()
    assert [b"b_20260226_061320", b"a_20260225_061320"] == names[:2]
    assert int(names[2]) / (2**20 if sys.platform == "darwin" else 2**10) < 40
