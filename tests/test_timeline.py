"""The picture of a run: bars in lanes, none over another, each where its time says."""

from __future__ import annotations

import os
import random
from typing import Any

from ai_trace.record import Record
from ai_trace.render.timeline import MAX_LANES, MAX_ROWS, timeline
from ai_trace.session import Session, fold
from tests.cli_world import START, step


def _session(rows: list[dict[str, Any]], path: str = "", **options: Any) -> Session:
    return fold([Record.from_data(row, id="x", path=row.pop("path", path), open=row["outcome"] is None) for row in rows], **options)


def test_a_step_stands_below_the_one_it_lies_in() -> None:
    """Rows follow the tree; brothers one after the other share a row."""
    session = _session([
        step("root", id="r", duration_ms=1000),
        step("one", id="a", parent="r", started_at=START + 0.1),
        step("two", id="b", parent="r", started_at=START + 0.5),
    ])  # fmt: skip
    lanes, bars = timeline(session, session.steps)

    assert [("main", 2)] == lanes
    assert [(0, 1000, 0), (100, 100, 1), (500, 100, 1)] == [(round(bar.at_ms), bar.ms, bar.row) for bar in bars]


def test_each_thread_and_task_has_a_lane() -> None:
    """Work side by side is drawn side by side, by name."""
    session = _session([
        step("root", id="r", duration_ms=1000),
        step("a", parent="r", started_at=START + 1, thread="worker-1"),
        step("b", parent="r", started_at=START + 2, thread="worker-1", task="t"),
    ])  # fmt: skip

    assert ["main", "worker-1", "worker-1 · t"] == [lane.name for lane in timeline(session, session.steps)[0]]


def test_a_forked_childs_steps_have_a_lane_and_a_later_segment_of_the_same_process_has_none() -> None:
    """A segment is a file, not a line of work: what counts is the process that wrote it."""
    rows = [step(f"s{n}", path=f"/t/a_1.{n}.jsonl", session={"pid": pid, "segment": n}) for n, pid in ((0, 7), (1, 8), (2, 7))]
    session = _session(rows, info={"pid": 7})

    assert {"main", "process 8"} == {lane.name for lane in timeline(session, session.steps)[0]}


def test_bars_of_a_lane_never_cover_each_other() -> None:
    """Whatever overlaps in time stands in different rows, unless the lane is full."""
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
    draw = random.Random(seed)
    rows = [step(f"s{n}", id=f"{n}", started_at=START + draw.random() * 20, duration_ms=draw.random() * 2000) for n in range(60)]
    session = _session(rows)
    (lane,), bars = timeline(session, session.steps)

    for one in bars:
        for other in bars:
            apart = one.at_ms + one.ms <= other.at_ms + 1e-3 or other.at_ms + other.ms <= one.at_ms + 1e-3
            assert one is other or apart or one.row != other.row or one.row == MAX_ROWS - 1, f"SEED={seed}"
    assert lane.rows <= MAX_ROWS


def test_an_open_step_reaches_to_now_or_to_the_last_sign_of_life() -> None:
    """What never ended is drawn as far as anything is known."""
    rows = [step("done", started_at=START + 4, duration_ms=1000), {**step("wait", id="w"), "outcome": None, "duration_ms": None}]

    died, running = (_session([dict(row) for row in rows], state=state) for state in ("died", "running"))

    assert 5000 == timeline(died, died.unfinished, START + 60)[1][0].ms
    assert 60000 == timeline(running, running.unfinished, START + 60)[1][0].ms


def test_very_many_tasks_share_a_lane() -> None:
    """The picture stays one a person can take in."""
    session = _session([step("s", id=f"{n}", task=f"task-{n}", started_at=START + n) for n in range(100)])
    lanes, bars = timeline(session, session.steps)

    assert MAX_LANES == len(lanes)
    assert "89 more threads and tasks" == lanes[-1].name
    assert max(bar.row for bar in bars) < sum(lane.rows for lane in lanes)
