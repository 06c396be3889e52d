"""ATIF, Perfetto, CSV and SQLite: valid in their format, harmless, and complete but for what is told."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ai_trace.exceptions import TraceError
from ai_trace.exporters import atif, perfetto, sqlite
from ai_trace.exporters import csv as table
from ai_trace.exporters.losses import Losses
from ai_trace.session import Session
from tests.exporting import NASTY, hostile, session, valid_json
from tests.records import T0, step, step_id

SESSIONS = pytest.mark.parametrize(
    "one", [session(), hostile(), session(step(1))], ids=["true", "hostile", "single"]
)


def whole(pieces: Any) -> bytes:
    return b"".join(pieces)


# ATIF


def trajectory(one: Session) -> dict[str, Any]:
    found: dict[str, Any] = valid_json(whole(atif.export(one, Losses())))
    return found


@SESSIONS
def test_a_trajectory_keeps_the_rules_of_its_model(one: Session) -> None:
    """Steps counted from 1, an agent's fields only at its turns, results that belong to a call."""
    found = trajectory(one)

    assert "ATIF-v1.7" == found["schema_version"]
    assert list(range(1, len(found["steps"]) + 1)) == [turn["step_id"] for turn in found["steps"]]
    for turn in found["steps"]:
        assert isinstance(turn["message"], str)
        agents = {"model_name", "reasoning_content", "tool_calls", "metrics"} & turn.keys()
        assert turn["source"] == "agent" or not agents
        assert turn.get("llm_call_count") != 0 or not {"metrics", "reasoning_content"} & turn.keys()
        calls = {call["tool_call_id"] for call in turn.get("tool_calls", ())}
        results = turn.get("observation", {}).get("results", ())
        assert all(result.get("source_call_id", "") in {"", *calls} for result in results)


def test_a_run_reads_as_a_conversation() -> None:
    """What the model was told, its wish and the tool's answer beside it, then the rest; tokens there."""
    turns = trajectory(session())["steps"]
    ask = turns[3]

    assert ["run", "be brief", "buy?", "", "order", "wait"] == [turn["message"] for turn in turns]
    assert ["agent", "system", "user", "agent", "agent", "agent"] == [turn["source"] for turn in turns]
    assert [{"tool_call_id": "c1", "function_name": "price", "arguments": {"s": "X"}}] == ask["tool_calls"]
    assert ("c1", '{"price":101.5}') == tuple(
        ask["observation"]["results"][0][key] for key in ("source_call_id", "content")
    )
    assert {"prompt_tokens": 12, "completion_tokens": 5, "cost_usd": 0.25} == ask["metrics"]
    assert "unfinished" == turns[5]["extra"]["ai_trace"]["outcome"]
    assert step_id(1) == turns[4]["extra"]["ai_trace"]["parent"]


def test_a_message_is_shown_once() -> None:
    """A model is given the whole conversation each time; a message is told where it was new."""
    history = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
    ]
    calls = [
        step(n, context={"gen_ai.input.messages": history[:upto]},
             logs=[{"_t": T0, "gen_ai.output.messages": [{"role": "assistant", "content": said}]}])
        for n, (upto, said) in enumerate([(1, "1"), (3, "2")], 1)
    ]  # fmt: skip

    assert ["one", "1", "two", "2"] == [turn["message"] for turn in trajectory(session(*calls))["steps"]]


# Perfetto


def events(one: Session) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = valid_json(whole(perfetto.export(one, Losses())))["traceEvents"]
    return found


@SESSIONS
def test_slices_of_a_lane_lie_inside_each_other_or_apart(one: Session) -> None:
    """The format's rule for complete events; and every step has one slice, with its name and length."""
    found = events(one)
    slices = [event for event in found if event["ph"] == "X"]

    assert len(one.steps) == len(slices)
    assert {"M", "X", "i", "s", "f"} >= {event["ph"] for event in found}
    lanes: dict[tuple[int, int], list[float]] = {}
    for event in sorted(slices, key=lambda event: (event["ts"], -event["dur"])):
        assert event["name"] and event["dur"] >= 0 <= event["ts"]
        ends = lanes.setdefault((event["pid"], event["tid"]), [])
        while ends and ends[-1] <= event["ts"]:
            ends.pop()
        assert not ends or event["ts"] + event["dur"] <= ends[-1]
        ends.append(event["ts"] + event["dur"])
    named = {(event["pid"], event["tid"]) for event in found if event["name"] == "thread_name"}
    assert named == set(lanes)


def test_steps_side_by_side_have_lanes_of_their_own_and_an_arrow() -> None:
    """Two steps at once in one thread: the second in another lane, an arrow from their parent."""
    one = session(step(1, duration_ms=9000.0), step(2, 1, duration_ms=3000.0), step(3, 1, duration_ms=3000.0))
    found = events(one)
    lanes = {event["name"]: event["tid"] for event in found if event["ph"] == "X"}
    names = [event["args"]["name"] for event in found if event["name"] == "thread_name"]

    assert lanes["step 1"] == lanes["step 2"] != lanes["step 3"]
    assert ["main thread", "main thread (2)"] == names
    assert [("s", lanes["step 1"]), ("f", lanes["step 3"])] == [
        (event["ph"], event["tid"]) for event in found if event["ph"] in "sf"
    ]


def test_a_step_lies_inside_none_but_its_parent() -> None:
    """A step that another task began while this one ran is drawn beside it, not within it."""
    one = session(step(1, duration_ms=9000.0), step(2, duration_ms=1000.0))
    lanes = {event["name"]: event["tid"] for event in events(one) if event["ph"] == "X"}

    assert lanes["step 1"] != lanes["step 2"]


def test_a_log_is_an_instant_and_an_open_step_lasts_to_the_end() -> None:
    """At its time, in the lane of its step; what did not end is drawn as long as the session lived."""
    found = events(session())
    (log,) = (event for event in found if event["name"] == "sending")
    (wait,) = (event for event in found if event["name"] == "wait")

    assert ("i", (T0 + 4.5) * 1e6) == (log["ph"], log["ts"])
    assert (T0 + 10) * 1e6 == wait["ts"] + wait["dur"]
    assert "unfinished" == wait["args"]["outcome"]


# CSV


def rows(one: Session) -> list[dict[str, str]]:
    text = whole(table.export(one, Losses())).decode("utf-8")
    csv.field_size_limit(10_000_000)
    return list(csv.DictReader(io.StringIO(text, newline="")))


@SESSIONS
def test_no_cell_is_a_formula(one: Session) -> None:
    """Whatever a stranger's text begins with, it stays a text; rows and columns stay whole."""
    found = rows(one)
    numbers = {
        "duration_ms",
        "depth",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "cached_tokens",
        "reasoning_tokens",
    }

    assert len(one.steps) == len(found)
    for row in found:
        assert set(table.COLUMNS) == row.keys()
        for name, cell in row.items():
            if name not in numbers:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")), (name, cell[:40])
            assert not any(sign in cell for sign in "\x00\x1b\u202e\ud800")


@pytest.mark.parametrize("text", [text for text in NASTY if text[:1] in "=+-@\t\r\n＝" and text])
def test_a_formula_is_quoted_visibly(text: str) -> None:
    """With the leading apostrophe that spreadsheets know, the text behind it."""
    assert str(table.cell(text)).startswith("'")


def test_numbers_stay_numbers() -> None:
    """A duration or a cost is no text."""
    ask = rows(session())[1]

    assert ("1000.0", "12", "0.25", "1") == tuple(
        ask[key] for key in ("duration_ms", "input_tokens", "cost_usd", "depth")
    )
    assert "2024-03-01T13:40:24.000000Z" == ask["started_at"]
    assert session().steps[1].context == json.loads(ask["context"])


# SQLite


def base(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as found:
        return found.execute(question).fetchall()


@SESSIONS
def test_the_database_holds_every_step_and_log(one: Session, tmp_path: Path) -> None:
    """Sound by SQLite's own checks, and complete."""
    path = tmp_path / "a.db"
    path.write_bytes(whole(sqlite.export(one, Losses())))

    assert [("ok",)] == base(path, "PRAGMA integrity_check")
    assert [] == base(path, "PRAGMA foreign_key_check")
    assert [(len(one.steps),)] == base(path, "SELECT count(*) FROM steps")
    assert [(sum(len(record.logs) for record in one.steps),)] == base(path, "SELECT count(*) FROM logs")


def test_questions_in_sql_are_answered(tmp_path: Path) -> None:
    """Errors, tokens, a value in a context, the logs of a step."""
    path = tmp_path / "a.db"
    sqlite.add(session(), str(path), Losses())

    assert [("order", "ValueError: boom")] == base(
        path, "SELECT name, error FROM steps WHERE outcome = 'error'"
    )
    assert [(12, "gpt-4o")] == base(path, "SELECT input_tokens, model FROM steps WHERE input_tokens")
    assert [(-3,)] == base(path, "SELECT json_extract(context, '$.qty') FROM steps WHERE name = 'order'")
    asked = "SELECT message FROM logs JOIN steps USING (session) WHERE step = steps.number AND name = 'wait'"
    assert [("still here",)] == base(path, asked)


def test_a_database_takes_further_sessions_and_each_once(tmp_path: Path) -> None:
    """Another session is added; the same one again takes its own place."""
    path = tmp_path / "a.db"
    for one in (session(), session(), session(step(1), trace_id="f" * 32)):
        sqlite.add(one, str(path), Losses())

    assert [(2,)] == base(path, "SELECT count(*) FROM sessions")
    assert [(6,)] == base(path, "SELECT count(*) FROM steps")


@pytest.mark.parametrize("sql", [None, "CREATE TABLE steps (x)"])
def test_a_file_that_is_no_such_database_stays_as_it_was(tmp_path: Path, sql: str | None) -> None:
    """Neither a text nor someone else's table is touched; the error names the file."""
    path = tmp_path / "a.db"
    if sql is None:
        path.write_bytes(b"no database " * 100)
    else:
        base(path, sql)
    before = path.read_bytes()

    with pytest.raises(TraceError, match="a.db"):
        sqlite.add(session(), str(path), Losses())
    assert before == path.read_bytes()
