"""The traces of a test run: a `tracer` fixture, and the trace of a failed test kept and named in its report.

    pytest --ai-trace=retain-on-failure        keep what failing tests recorded, setup and teardown included
    pytest --ai-trace=on                       keep what every test recorded
    pytest --ai-trace-summary=trace.md         steps, errors, tokens and cost by test, as Markdown or JSON

Without an option nothing is kept, nothing is imported, and the fixture records into the test's own `tmp_path`.
With one, each test gets a folder below `--ai-trace-dir` (default "test-traces"), and `AI_TRACE_DIR` points there,
so that tracers which the agent itself makes land in it, too. What an earlier run left in it is removed first.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .tracer import Tracer

_FAILED = pytest.StashKey[bool]()
_FOLDER = pytest.StashKey[Path]()
_SUMMARY = pytest.StashKey[list[dict[str, Any]]]()
_TAKEN = pytest.StashKey[set[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("ai-trace", "traces of agents under test")
    group.addoption(
        "--ai-trace", choices=("off", "on", "retain-on-failure"), default="off", help="which tests' traces are kept"
    )
    group.addoption("--ai-trace-dir", default="test-traces", metavar="DIR", help="where they are kept")
    group.addoption("--ai-trace-summary", metavar="FILE", help="a summary for CI, .md or .json")


@pytest.fixture
def tracer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracer]:
    """A tracer for this test, closed at its end; its agent is the test's name."""
    from .tracer import Tracer

    folder = request.node.stash.get(_FOLDER, tmp_path / "traces")
    with Tracer(request.node.name, folder) as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Give the test its folder, and tidy up when its teardown is over."""
    config = item.config
    if config.getoption("--ai-trace") == "off" and not config.getoption("--ai-trace-summary"):
        yield
        return
    folder = _folder_for(item)
    item.stash[_FOLDER], item.stash[_FAILED] = folder, False
    before = os.environ.get("AI_TRACE_DIR")
    os.environ["AI_TRACE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["AI_TRACE_DIR"]
        else:
            os.environ["AI_TRACE_DIR"] = before
        _conclude(item, folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Name the traces in the report of the phase that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    if not report.failed or _FOLDER not in item.stash:
        return
    item.stash[_FAILED] = True
    if item.config.getoption("--ai-trace") != "off" and item.stash[_FOLDER].exists():
        journals = sorted(str(path) for path in item.stash[_FOLDER].glob("*.jsonl"))
        report.sections.append(("ai-trace", "\n".join(f"ai-trace view {path}" for path in journals)))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the rows of a worker of pytest-xdist that has ended."""
    rows = getattr(node, "workeroutput", {}).get("ai_trace", [])
    node.config.stash.setdefault(_SUMMARY, []).extend(rows)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the summary; a worker of pytest-xdist hands its rows over."""
    rows = session.config.stash.get(_SUMMARY, [])
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["ai_trace"] = rows
        return
    target = session.config.getoption("--ai-trace-summary")
    if target:
        text = json.dumps(rows, indent=2) if target.endswith(".json") else _markdown(rows)
        Path(target).write_text(text + "\n", encoding="utf-8")


def _folder_for(item: pytest.Item) -> Path:
    """A folder of the test's own, still to be made; tests whose names come out the same have different ones."""
    place = Path(item.config.getoption("--ai-trace-dir"), re.sub(r"[^\w.-]+", "_", item.nodeid)[-120:]).absolute()
    taken = item.config.stash.setdefault(_TAKEN, set())
    folder = next(one for one in (place, *(Path(f"{place}-{n}") for n in range(2, len(taken) + 3))) if one not in taken)
    taken.add(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _conclude(item: pytest.Item, folder: Path) -> None:
    """Take the test into the summary; let go of traces that were not asked for."""
    kept = item.config.getoption("--ai-trace")
    failed = item.stash[_FAILED]
    if item.config.getoption("--ai-trace-summary") and folder.exists():
        item.config.stash.setdefault(_SUMMARY, []).append(_row(item.nodeid, failed, folder))
    if kept == "off" or (kept == "retain-on-failure" and not failed):
        shutil.rmtree(folder, ignore_errors=True)


def _row(test: str, failed: bool, folder: Path) -> dict[str, Any]:
    from .folder import sessions

    loaded = [entry.load() for entry in sessions(folder)]
    usage = [step.usage for session in loaded for step in session.steps]
    return {
        "test": test,
        "failed": failed,
        "steps": sum(session.totals.steps for session in loaded),
        "errors": sum(session.totals.errors for session in loaded),
        **{word: _sum(usage, word) for word in ("input_tokens", "output_tokens", "cost_usd")},
        "folder": str(folder),
    }


def _sum(usage: list[dict[str, Any]], word: str) -> float | None:
    """What was logged, added up; None where nothing was: unknown is not 0."""
    values = [one[word] for one in usage if word in one]
    return sum(values) if values else None


def _markdown(rows: list[dict[str, Any]]) -> str:
    from .safe import code

    head = "| test | result | steps | errors | tokens in | tokens out | cost |\n|---|---|---:|---:|---:|---:|---:|"
    lines = [
        f"| {code(row['test'], table=True)} | {'failed' if row['failed'] else 'passed'} | {row['steps']} | {row['errors']} "
        + "".join(f"| {'-' if row[word] is None else format(row[word], 'g')} " for word in ("input_tokens", "output_tokens", "cost_usd"))
        + "|"
        for row in rows
    ]
    return "\n".join(["# Traces of the test run", "", head, *lines])
