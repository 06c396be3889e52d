"""The postmortem looks beyond the step that failed: stale knowledge, earlier good runs, repeated calls,
silences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ai_trace.record import Record
from ai_trace.render import markdown
from ai_trace.render.rhythm import loops, silences
from ai_trace.session import Session, fold
from tests.cli_world import START, World
from tests.cli_world import step as row
from tests.records import T0, failed, step


def _sections(session: Session, good: Session | None = None) -> dict[str, str]:
    page = "\n".join(markdown.lines(session, now=T0 + 9999, good=good))
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def _scan(n: int, **fields: Any) -> Record:
    return step(n, name="scan", logs=[{"_t": T0 + n, **fields}])


def test_the_failing_step_tells_where_its_knowledge_came_from_stale_values_first() -> None:
    """Below what it saw: the stale one, then those from earlier steps, then those not linked."""
    context = {"budget": "from the command line", "price": 41250.37, "signal": 0.8712}
    steps = [_scan(1, price=41250.37, signal=0.8712), _scan(2, signal=0.3112), failed(5, name="decide", context=context)]
    scene = _sections(fold(steps))["Where it first went wrong"]

    told = [
        "- `signal` = `0.8712` came from `scan` #1, 4.00 s before; ⚠️ **stale**: a newer `signal` = `0.3112`"
        " was logged by `scan` #2, 3.00 s before and not used",
        "- `price` = `41250.37` came from `scan` #1, 4.00 s before",
        "- Not linked to an earlier step: `budget`",
    ]
    assert "\n".join(told) in scene
    assert scene.index("**What it logged:**") < scene.index(told[0]) < scene.index("**How it failed:**")


def test_the_first_divergence_from_a_good_run_is_shown() -> None:
    """What the good run did otherwise, the first of it first; nothing where there is no such run."""
    good = fold([_scan(1, signal=0.87), step(2, name="decide")], info={"agent": "trader", "session_id": "good"})
    bad = fold([_scan(1, signal=0.31), step(2, name="retry"), failed(3, name="decide")])
    section = _sections(bad, good)["First divergence from the last good run"]

    assert "Compared with `trader_good`, 4 differences" in section
    assert "1. `scan`: `logs[0].signal` was `0.87`, now `0.31`\n1. `retry` happened only now\n" in section
    assert "First divergence from the last good run" not in _sections(bad)
    assert "None: step by step it did the same" in _sections(good, good)["First divergence from the last good run"]


def test_calls_made_again_and_again_are_shown_with_how_many_in_a_row() -> None:
    """The same name with the same context, three times or more; a step without context says nothing."""
    steps = [step(n, name="search", context={"q": "news"}) for n in (1, 2, 3, 5)]
    steps += [step(4, name="other", context={"q": "news"}), *(step(10 + n, name="tick") for n in range(5))]
    steps += [step(20 + n, name="search", context={"q": n}) for n in range(5)]
    (loop,) = loops(fold(steps))

    assert ("search", 4, 3) == (loop.first.name, loop.times, loop.in_a_row)
    row_ = [line for line in _sections(fold(steps))["Repeated calls"].splitlines() if "`search`" in line]
    assert ['| 4 | 3 | `search` | `{"q": "news"}` | 0 | 4.00 s | 1 | 5 |'] == row_


def test_the_longest_silences_are_shown_with_the_step_they_fell_into() -> None:
    """No start, log or end for long; logs break a silence, and the pace of the run is none."""
    steps = [
        step(0, name="run", duration_ms=100_000.0),
        step(1, 0, name="call", duration_ms=60_000.0, logs=[{"_t": T0 + 21}]),
        step(90, 0, name="late"),
    ]
    found = [(gap.end - gap.start, gap.inside and gap.inside.name) for gap in silences(fold(steps))]

    assert [(40.0, "call"), (29.0, "run"), (20.0, "call")] == found
    assert "- 40.0 s from 13:40:43.000Z, in step 2, `run` › `call`" in _sections(fold(steps))["Longest silences"]
    assert [] == silences(fold([step(n) for n in range(100)])) == silences(fold([]))


def test_save_finds_the_last_good_run_of_the_same_agent(tmp_path: Path) -> None:
    """Not one that failed, not another agent's, not a later one."""
    world = World(tmp_path / "traces")

    def run(day: int, agent: str = "trader", signal: float = 0.5, outcome: str = "ok") -> None:
        start = START + day * 86_400
        steps = [row("scan", started_at=start, context={"signal": signal}, id=f"{day:x}1" * 8),
                 row("decide", outcome, started_at=start + 1, id=f"{day:x}2" * 8)]  # fmt: skip
        world.session(agent, f"202602{10 + day}_061320", steps, start=start)

    run(1, signal=0.25)
    run(2, signal=0.75)
    run(3, signal=0.1, outcome="error")
    run(4, agent="other")
    run(5, signal=0.9, outcome="error")
    run(6, signal=0.99)
    page = world.call("save", "20260215", "--md", "-o", "-").out
    first = world.call("save", "20260211", "--md", "-o", "-").out

    assert "Compared with `trader_20260212_061320`" in page
    assert "`context.signal` was `0.75`, now `0.9`" in page
    assert "First divergence" not in first
    assert 0 == world.call("save", "20260215", "--md").code
    assert "was `0.75`, now `0.9`" in (world.path / "trader_20260215_061320.md").read_text(encoding="utf-8")
