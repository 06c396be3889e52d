"""The story of the stale reading, end to end: a real agent, a real trace, and the command that finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cli_world import call, environment


def test_the_example_names_the_value_its_age_and_the_newer_one_that_was_not_used(tmp_path: Path) -> None:
    """The agent decides on its first reading; `at` says so, and where the newer one was logged."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.stale_data"],
        cwd=tmp_path, env=environment(COLUMNS="200"), capture_output=True, text=True, encoding="utf-8", timeout=600,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr)
    assert "documented = 0." in done.stdout
    assert "came from measure #1, " in done.stdout
    assert "STALE: a newer documented = 1.0 was logged by measure #5, " in done.stdout
    assert "and not used" in done.stdout

    (journal,) = (tmp_path / "traces").glob("*.jsonl")
    found = json.loads(call("at", "decide#1", str(journal), "--json").out)
    (stale,) = (value for value in found["values"] if value["stale"])
    assert "documented" == stale["path"] and stale["value"] < 0.95 and 1.0 == stale["newer"]["value"]
    assert 0 < stale["age_s"] < 120

    told = call("save", str(journal), "--md", "-o", "-").out.partition("## Decided on old values")[2].partition("\n## ")[0]
    assert 2 == told.count("- `decide` #") and "`documented` = `1.0` was logged by `measure` #5" in told

    ends = {step["name"]: step["logs"][-1] for step in map(json.loads, journal.read_text().splitlines())}
    assert "action" in ends["decide"], "the agent decided, and nothing failed"


def test_a_decision_on_a_reading_that_still_holds_is_not_stale(tmp_path: Path) -> None:
    """Of the modules that needed no mending, nothing newer was there."""
    subprocess.run(
        [sys.executable, "-m", "examples.stale_data", "bisect.py", "shlex.py"],
        cwd=tmp_path, env=environment(), check=True, stdout=subprocess.DEVNULL, timeout=600,
    )  # fmt: skip
    (journal,) = os.listdir(tmp_path / "traces")
    path = str(tmp_path / "traces" / journal)
    found = {n: json.loads(call("at", f"decide#{n}", path, "--json").out) for n in (1, 2)}

    assert [0, 1] == [found[1]["stale"], found[2]["stale"]]
