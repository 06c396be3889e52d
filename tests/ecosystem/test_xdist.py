"""The pytest plugin under pytest-xdist: the workers' traces come together in one summary.

Needs: pip install pytest-xdist
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import environment

pytest.importorskip("xdist", reason="needs pytest-xdist")

TESTS = """
import pytest

@pytest.mark.parametrize("n", range(6))
def test_agent(tracer, n):
    with tracer.step("decide", n=n) as step:
        step.log(input_tokens=n)
        assert n != 3
"""


def test_one_summary_of_all_workers(tmp_path: Path) -> None:
    """Each test once, whichever worker ran it; the trace of the one that failed is kept."""
    (tmp_path / "test_agent.py").write_text(TESTS)
    words = ["-p", "xdist", "-p", "ai_trace.pytest_plugin", "-n", "2", "--ai-trace=retain-on-failure", "--ai-trace-summary=out.json"]
    env = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=env, capture_output=True, text=True)
    rows = json.loads((tmp_path / "out.json").read_text())

    assert 1 == done.returncode, done.stdout
    assert [0, 1, 2, 3, 4, 5] == sorted(row["input_tokens"] for row in rows)
    assert [3] == [row["input_tokens"] for row in rows if row["failed"]]
    assert 1 == len(list((tmp_path / "test-traces").glob("*/*.jsonl")))
