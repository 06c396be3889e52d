"""Datasette shows the SQLite export as it stands: tables, rows, and the links between them.

Needs: pip install datasette
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli_world import call
from tests.ecosystem.runs import recorded

pytestmark = pytest.mark.skipif(importlib.util.find_spec("datasette") is None, reason="needs datasette")


def _get(database: Path, path: str) -> Any:
    """What Datasette answers, asked without a server."""
    words = [sys.executable, "-m", "datasette", str(database), "--get", path]
    done = subprocess.run(words, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_tables_rows_and_foreign_keys(tmp_path: Path) -> None:
    """The steps of a run with their tokens, and each log with its step."""
    one, journal = recorded(tmp_path / "traces")
    database = tmp_path / "all.db"
    assert 0 == call("export", str(journal), "--sqlite", str(database)).code

    tables = {table["name"]: table for table in _get(database, "/all.json")["tables"]}
    assert {"sessions", "steps", "logs"} == set(tables)
    assert len(one.steps) == tables["steps"]["count"]
    assert ["session"] == [link["column"] for link in tables["steps"]["foreign_keys"]["outgoing"]]
    (ask,) = _get(database, "/all/steps.json?name=ask&_shape=array")
    assert ("gpt-4o", 12, 5, 0.25) == (ask["model"], ask["input_tokens"], ask["output_tokens"], ask["cost_usd"])
    (said,) = _get(database, f"/all/logs.json?step={ask['number'] + 2}&_shape=array")
    assert "thinking \U0001f680" == said["message"]
