"""The package type-checks strictly, and so does a program that uses all of its public names."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.children import ROOT, environment

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def _mypy(*args: str, cache: str) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *args]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.decode() if done.returncode else ""


@needs_mypy
def test_the_package_and_a_user_of_it_pass_mypy_strict(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever calls us sees true types: py.typed is a promise."""
    # The cache outlives this run: a cold one costs ten times as much as the check.
    cache = str(tmp_path_factory.getbasetemp().parent / "mypy-cache-of-ai-trace")
    assert _mypy("-p", "ai_trace", cache=cache) == ""
    assert _mypy("tests/typing/api.py", cache=cache) == ""
