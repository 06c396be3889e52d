"""`ai_trace.testing` and the pytest plugin: what an agent's own tests may count on."""

from __future__ import annotations

import json
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ai_trace import Tracer, load
from ai_trace.testing import FakeClock, Trace, recorded
from tests.children import ROOT

pytest_plugins = ["pytester"]


@pytest.fixture
def trace() -> Trace:
    with recorded() as made:
        with made.tracer.step("scan", symbol="BTC") as step:
            step.log(signal=0.9, input_tokens=10, output_tokens=5, cost_usd=0.01)
        with made.tracer.step("decision", signal=0.9) as step:
            step.log(action="BUY")
        made.tracer.step("notify").start().fail("no network")
    return made


def test_what_happened_passes(trace: Trace) -> None:
    """Steps are found by name and by what they saw, logged or ended as; callables are asked."""
    assert 0.9 == trace.assert_step("decision", action="BUY", signal=lambda value: value > 0.8).context["signal"]
    trace.assert_step("notify", outcome="error", error="no network")
    trace.assert_no_step("decision", action="SELL")
    trace.assert_order("scan", "notify")
    trace.assert_count("scan", 1)
    trace.assert_budget(calls={"scan": 1}, tokens=15, cost_usd=0.01)
    trace.assert_budget(calls=3)


@pytest.mark.parametrize(
    "check, says",
    [
        (lambda t: t.assert_step("decision", action="SELL"), "action='SELL'.*BUY"),
        (lambda t: t.assert_step("sleep"), "no step 'sleep'"),
        (lambda t: t.assert_no_step("decision", action="BUY"), "must not be"),
        (lambda t: t.assert_order("decision", "scan"), "no step 'scan' after 'decision'"),
        (lambda t: t.assert_count("scan", 2), "1 step 'scan', not 2"),
        (lambda t: t.assert_no_errors(), "1 step failed.*no network"),
        (lambda t: t.assert_budget(tokens=14), "15 tokens, and at most 14"),
        (lambda t: t.assert_budget(cost_usd=0.001), "0.01 dollars"),
        (lambda t: t.assert_budget(calls={"scan": 0}), "1 steps 'scan'"),
    ],
)
def test_what_did_not_happen_fails_and_says_what_did(trace: Trace, check: object, says: str) -> None:
    """The message of a failed assertion shows the steps that were there instead."""
    assert callable(check)
    with pytest.raises(AssertionError, match="(?s)" + says):
        check(trace)


def test_a_fake_clock_makes_two_runs_equal(tmp_path: Path) -> None:
    """Times and ids come from it, so the same run leaves the same bytes, but for the session's identity."""
    written = []
    for run in ("one", "two"):
        with FakeClock() as now, Tracer("agent", tmp_path / run) as tracer:
            with tracer.step("first"):
                pass  # the session's header rides here
            with tracer.step("wait", seconds=1.5):
                now.advance(1.5)
        written.append(tracer.path.read_bytes().splitlines()[1])
        assert 1500.0 == load(tracer.path).steps[1].duration_ms
    assert written[0] == written[1]


TESTS = """
import pytest

def test_good(tracer):
    with tracer.step("work", n=1) as step:
        step.log(input_tokens=7)

def test_bad(tracer):
    with tracer.step("decision", signal=0.3):
        assert False, "it should wait"

@pytest.fixture
def broken(tracer):
    with tracer.step("set up"):
        pass
    yield
    raise RuntimeError("teardown fails")

def test_late(broken):
    pass
"""


def _run(pytester: pytest.Pytester, *options: str, tests: str = TESTS) -> pytest.RunResult:
    pytester.makepyfile(test_agent=tests)
    os.environ["PYTHONPATH"] = ROOT  # pytester puts the environment back
    installed = any(one.value == "ai_trace.pytest_plugin" for one in entry_points(group="pytest11"))
    return pytester.runpytest_subprocess(*([] if installed else ["-p", "ai_trace.pytest_plugin"]), *options)


def test_the_trace_of_a_failed_test_is_kept_and_named(pytester: pytest.Pytester) -> None:
    """A failure in the test or in its teardown keeps its trace and tells the command to see it; a pass leaves none."""
    result = _run(pytester, "--ai-trace=retain-on-failure")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ai-trace view *test_bad*.jsonl", "*1 failed*"])
    kept = sorted(path.name for path in (pytester.path / "test-traces").iterdir())
    assert ["test_agent.py_test_bad", "test_agent.py_test_late"] == kept


def test_off_keeps_nothing(pytester: pytest.Pytester) -> None:
    """Until it is asked for, nothing is left in the project."""
    _run(pytester).assert_outcomes(passed=2, failed=1, errors=1)
    assert not (pytester.path / "test-traces").exists() and not (pytester.path / "traces").exists()


def test_a_summary_for_ci(pytester: pytest.Pytester) -> None:
    """Steps, errors and tokens by test, as JSON or Markdown; what nobody logged is unknown, not 0."""
    _run(pytester, "--ai-trace-summary=out.json")
    good, bad, _ = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    assert (False, 1, 0, 7, None) == tuple(good[k] for k in ("failed", "steps", "errors", "input_tokens", "cost_usd"))
    assert (True, 1, 1) == (bad["failed"], bad["steps"], bad["errors"])
    _run(pytester, "--ai-trace-summary=out.md")
    assert "| failed | 1 | 1 | - |" in (pytester.path / "out.md").read_text(encoding="utf-8")


def test_a_trace_is_of_the_last_run_alone(pytester: pytest.Pytester) -> None:
    """What an earlier run of the test left is neither counted nor named again."""
    for _ in range(2):
        result = _run(pytester, "--ai-trace=retain-on-failure", "--ai-trace-summary=out.json")
    _, bad, _ = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    assert 1 == bad["steps"]
    assert 1 == sum("view" in line and "test_bad" in line for line in result.outlines)
    assert 1 == len(list((pytester.path / "test-traces" / "test_agent.py_test_bad").glob("*.jsonl")))


ALIKE = """
import pytest

@pytest.mark.parametrize("text", ["a/b", "a:b", "a b"])
def test_alike(tracer, text):
    with tracer.step("work"):
        assert text == "a:b"
"""


def test_tests_with_names_alike_keep_traces_of_their_own(pytester: pytest.Pytester) -> None:
    """A name becomes a folder's name; that of a test that passed takes no other test's trace along."""
    _run(pytester, "--ai-trace=retain-on-failure", tests=ALIKE).assert_outcomes(passed=1, failed=2)
    assert 2 == len(list((pytester.path / "test-traces").glob("*/*.jsonl")))
