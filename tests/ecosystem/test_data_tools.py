"""DuckDB, pandas and polars read the journal as it is, with no help from us; and the CSV and the database.

Needs: pip install duckdb pandas polars
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_trace.exporters import csv, sqlite
from ai_trace.exporters.losses import Losses
from tests.ecosystem.runs import recorded

NAMES = ["ask", "decide", "order", "price", "run"]


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path) -> tuple[Any, Path]:
    return recorded(tmp_path)


def test_duckdb_reads_the_journal(run: tuple[Any, Path]) -> None:
    """One SQL line, the folder as a glob: names, errors, sums of tokens, what a step saw, its logs."""
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb")
    source = f"read_json('{run[1].parent}/*.jsonl')"

    assert NAMES == [row[0] for row in duckdb.sql(f"SELECT name FROM {source} ORDER BY name").fetchall()]
    assert [("order", "ValueError: no money")] == duckdb.sql(
        f"SELECT name, error FROM {source} WHERE outcome = 'error'"
    ).fetchall()
    assert [(17,)] == duckdb.sql(
        f"SELECT sum(usage.input_tokens + usage.output_tokens) FROM {source}"
    ).fetchall()
    assert [("ACME",)] == duckdb.sql(f"SELECT context.symbol FROM {source} WHERE name = 'run'").fetchall()
    asked = f"SELECT log.message FROM (SELECT unnest(logs) AS log FROM {source} WHERE name = 'decide')"
    assert [("thinking \U0001f680",)] == duckdb.sql(asked).fetchall()


def test_duckdb_reads_the_csv(run: tuple[Any, Path], tmp_path: Path) -> None:
    """The same counts, with the types that DuckDB finds by itself."""
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb")
    path = tmp_path / "run.csv"
    path.write_bytes(b"".join(csv.export(run[0], Losses())))

    assert [(5, 12)] == duckdb.sql(f"SELECT count(*), sum(input_tokens) FROM read_csv('{path}')").fetchall()


def test_pandas_reads_the_journal(run: tuple[Any, Path]) -> None:
    """`read_json(…, lines=True)`: a row a step, times and durations as numbers, logs as lists."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.read_json(run[1], lines=True, dtype=False)

    assert NAMES == sorted(frame["name"])
    assert "float64" == str(frame["duration_ms"].dtype)
    assert ["order"] == list(frame[frame.outcome == "error"]["name"])
    assert 0.8 == frame.set_index("name").loc["decide", "logs"][0]["confidence"]


def test_pandas_reads_the_csv_and_the_database(run: tuple[Any, Path], tmp_path: Path) -> None:
    """The exports arrive with the same numbers."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    import sqlite3
    from contextlib import closing

    table, base = tmp_path / "run.csv", tmp_path / "run.db"
    table.write_bytes(b"".join(csv.export(run[0], Losses())))
    sqlite.add(run[0], str(base), Losses())
    with closing(sqlite3.connect(base)) as connection:
        steps = pandas.read_sql("SELECT * FROM steps", connection)

    assert (12.0, 12.0) == (pandas.read_csv(table)["input_tokens"].sum(), steps["input_tokens"].sum())
    assert sorted(steps["name"]) == NAMES


def test_polars_reads_the_journal(run: tuple[Any, Path]) -> None:
    """`read_ndjson`: a column a key, nested values as structs."""
    polars = pytest.importorskip("polars", reason="needs polars")
    frame = polars.read_ndjson(run[1], infer_schema_length=None)

    assert NAMES == sorted(frame["name"].to_list())
    assert ["order"] == frame.filter(polars.col("outcome") == "error")["name"].to_list()
    assert [12] == frame["usage"].struct.field("input_tokens").drop_nulls().to_list()
