"""A program written for `ai-decision-tracer` 0.2.0, whose import name is ours, works unchanged.

What that package documents: its four constructor arguments, steps with `with` and by hand, `save`,
`save_markdown`, `summary`, its file names and the keys of its files.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from ai_trace import Step, TraceError, Tracer
from tests.children import run


def test_the_quickstart_of_the_older_package(tmp_path: Path) -> None:
    """Two steps with context and logs, a JSON and a Markdown file under the names that it promises."""
    tracer = Tracer("trading_agent", tmp_path / "traces", meta={"model": "some-model"})
    with tracer.step("market_scan", symbol="BTCUSDT") as step:
        step.log(signal="long", confidence=0.87)
    with tracer.step("decision", signal="long") as step:
        step.log(action="BUY", reason="volume spike")
    saved, report = Path(tracer.save()), Path(tracer.save_markdown())
    assert re.fullmatch(r"trading_agent_\d{8}_\d{6}\.json", saved.name)
    assert report == saved.with_suffix(".md")
    assert saved.with_suffix(".jsonl").exists()
    assert saved.parent == tmp_path / "traces"
    assert "market_scan" in report.read_text(encoding="utf-8")
    tracer.close()


def test_the_arguments_have_the_same_names_order_and_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """agent, trace_dir="traces", auto_save=True, meta=None; by position or by name; a str or a Path."""
    monkeypatch.chdir(tmp_path)
    for tracer in (
        Tracer("agent"),
        Tracer("agent", "traces", True, {"a": 1}),
        Tracer(agent="agent", trace_dir="traces", auto_save=True, meta=None),
        Tracer("agent", Path("traces")),
    ):
        assert tracer.agent == "agent"
        assert tracer.auto_save is True
        assert tracer.meta in ({}, {"a": 1})
        with tracer.step("step"):
            pass
        tracer.close()
    assert len(list((tmp_path / "traces").glob("agent_*.jsonl"))) == 4


def test_a_step_by_hand(tmp_path: Path) -> None:
    """`start`, `log`, `finish` and `fail` each answer the step, so that calls can be chained."""
    tracer = Tracer("agent", str(tmp_path))
    step = tracer.step("scan", depth=3)
    assert isinstance(step, Step)
    assert step.start() is step
    assert step.log(markets_scanned=142) is step
    assert step.finish() is step
    assert step.outcome == "ok" and step.error is None
    failed = tracer.step("scan").start()
    assert failed.fail(reason="timeout") is failed
    assert (failed.outcome, failed.error) == ("error", "timeout")
    other = tracer.step("scan").start().finish(outcome="skipped")
    assert other.outcome == "skipped"
    tracer.close()


def test_a_steps_attributes_are_as_they_were(tmp_path: Path) -> None:
    """`name`, `context`, `logs` with `_t`, `outcome`, `duration_ms`, `to_dict()`."""
    tracer = Tracer("agent", str(tmp_path))
    before = time.time()
    with tracer.step("decide", symbol="BTC", sizes=[1, 2]) as step:
        assert step.outcome is None
        step.log(action="BUY")
        step.log(reason="spike", confidence=0.5)
    assert step.name == "decide"
    assert step.context == {"symbol": "BTC", "sizes": [1, 2]}
    assert [{k: v for k, v in entry.items() if k != "_t"} for entry in step.logs] == [
        {"action": "BUY"}, {"reason": "spike", "confidence": 0.5},
    ]  # fmt: skip
    assert all(before - 1 <= entry["_t"] <= time.time() + 1 for entry in step.logs)
    assert isinstance(step.duration_ms, float) and step.duration_ms >= 0
    keys = {"name", "context", "started_at", "finished_at", "duration_ms", "outcome", "error", "logs"}
    assert keys <= set(step.to_dict())
    tracer.close()


def test_an_exception_marks_the_step_and_goes_on(tmp_path: Path) -> None:
    """A failing step is an error with its message, and the exception is the agent's."""
    tracer = Tracer("agent", str(tmp_path))
    with pytest.raises(ValueError, match="boom"):
        with tracer.step("decide") as step:
            raise ValueError("boom")
    assert step.outcome == "error" and "boom" in str(step.error)
    tracer.close()


def test_each_finished_step_is_one_line_at_once(tmp_path: Path) -> None:
    """The journal grows as steps end, with the older keys in each line."""
    tracer = Tracer("agent", str(tmp_path))
    for count in (1, 2, 3):
        with tracer.step("step", n=count) as step:
            step.log(x=count)
        (path,) = tmp_path.glob("agent_*.jsonl")
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert len(lines) == count
    older = {"name", "context", "started_at", "finished_at", "duration_ms", "outcome", "error", "logs"}
    assert all(older <= set(line) for line in lines)
    assert lines[0]["context"] == {"n": 1} and lines[0]["logs"][0]["x"] == 1 and "_t" in lines[0]["logs"][0]
    tracer.close()


def test_without_auto_save_nothing_is_written_until_save(tmp_path: Path) -> None:
    """`auto_save=False` keeps the steps in memory; `save()` writes them all."""
    tracer = Tracer("agent", str(tmp_path), auto_save=False)
    for n in range(3):
        with tracer.step("step", n=n):
            pass
    assert list(tmp_path.glob("*.jsonl")) == []
    saved = json.loads(Path(tracer.save()).read_text(encoding="utf-8"))
    assert [step["context"] for step in saved["steps"]] == [{"n": 0}, {"n": 1}, {"n": 2}]
    tracer.close()


def test_the_snapshot_has_the_older_keys(tmp_path: Path) -> None:
    """agent, session_id, saved_at, meta, steps; each step with the older keys."""
    tracer = Tracer("agent", str(tmp_path), meta={"model": "m", "run": 7})
    with tracer.step("step", n=1) as step:
        step.log(x=1)
    saved = json.loads(Path(tracer.save()).read_text(encoding="utf-8"))
    assert saved["agent"] == "agent" and saved["meta"] == {"model": "m", "run": 7}
    assert re.fullmatch(r"\d{8}_\d{6}(-\d+)?", saved["session_id"])
    assert "saved_at" in saved
    (one,) = saved["steps"]
    older = {"name", "context", "started_at", "finished_at", "duration_ms", "outcome", "error", "logs"}
    assert older <= set(one)
    tracer.close()


def test_saving_again_replaces_the_file_and_leaves_the_logs_alone(tmp_path: Path) -> None:
    """Both forms can be saved at any time, many times, also with a step still open."""
    tracer = Tracer("agent", str(tmp_path))
    with tracer.step("one") as step:
        step.log(x=1)
        tracer.save()
        tracer.save_markdown()
    at = step.logs[0]["_t"]
    assert tracer.save() == tracer.save()
    tracer.save_markdown()
    assert step.logs[0]["_t"] == at
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.md"))) == 1
    tracer.close()


def test_the_summary_has_the_older_keys(tmp_path: Path) -> None:
    """agent, session_id, steps, ok, errors, avg_duration_ms; None for the average of nothing."""
    tracer = Tracer("agent", str(tmp_path))
    assert tracer.summary()["avg_duration_ms"] is None
    tracer.step("a").start().finish()
    tracer.step("b").start().fail("no")
    tracer.step("c").start().finish("skipped")
    summary: dict[str, Any] = tracer.summary()
    assert (summary["agent"], summary["steps"], summary["ok"], summary["errors"]) == ("agent", 3, 1, 1)
    assert isinstance(summary["avg_duration_ms"], float)
    assert summary["session_id"] == tracer.session_id
    tracer.close()


def test_the_repr_tells_agent_and_counts(tmp_path: Path) -> None:
    """A tracer in a log line says what it is."""
    tracer = Tracer("agent", str(tmp_path))
    tracer.step("a").start().finish()
    assert "agent" in repr(tracer) and "1" in repr(tracer)
    tracer.close()


def test_a_program_without_close_leaves_a_whole_journal(tmp_path: Path) -> None:
    """The older package had no `close`: nothing is missing, no warning, a clean end."""
    code = (
        "import sys\nfrom ai_trace import Tracer\n"
        "tracer = Tracer('agent', sys.argv[1])\n"
        "with tracer.step('one', x=1) as step: step.log(y=2)\n"
        "tracer.save()\n"
    )
    done = run(code, str(tmp_path), flags=("-W", "error", "-X", "dev"))
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".jsonl"]


def test_the_commands_of_the_older_package(tmp_path: Path) -> None:
    """`list`, `view NAME.jsonl`, `stats`, `--dir` before the command."""
    tracer = Tracer("agent", str(tmp_path))
    with tracer.step("market_scan", symbol="BTC"):
        pass
    tracer.close()
    name = Path(tracer.path).name
    code = "import sys; from ai_trace.cli import main; sys.exit(main(sys.argv[1:]))"
    assert "agent" in run(code, "--dir", str(tmp_path), "list").stdout
    assert "market_scan" in run(code, "--dir", str(tmp_path), "view", name).stdout
    assert "market_scan" in run(code, "--dir", str(tmp_path), "stats").stdout


def test_the_base_of_the_errors_is_still_there() -> None:
    """`except TraceError` in an older program still means what it meant."""
    assert issubclass(TraceError, Exception)
