"""What a step costs is counted in calls on the disk, which no busy machine changes: one for each thing that is said.

The time is measured by `python -m tests.benchmarks.step_cost`; its table stands in the README.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import ai_trace
from ai_trace import recorder
from tests.faults.disk_double import FAULTS, FailingDisk

STEPS = 200


def _calls(folder: Path, sync: str, logs: int) -> Counter[str]:
    """The calls on the disk of `STEPS` steps with so many logs each, after the first."""
    counting = FailingDisk(1 << 62, FAULTS[0])  # a failure that never comes
    with counting.in_place(), ai_trace.Tracer("agent", folder, sync=sync) as tracer:
        for turn in range(STEPS + 1):
            if turn == 1:
                counting.calls.clear()
            with tracer.step("step", n=turn) as step:
                for n in range(logs):
                    step.log("said", n=n)
        return Counter(counting.calls)


@pytest.mark.parametrize("logs", [0, 1, 5])
def test_a_step_makes_few_calls_on_the_disk(logs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write for the start, one for each log, one for the end; no sync; now and then a look at the files."""
    monkeypatch.setattr(recorder, "CHECK_EVERY_NS", 1 << 62)  # by the clock; it also looks after so many steps
    calls = _calls(tmp_path, "never", logs)
    assert calls.pop("write") == STEPS
    assert calls.pop("pwrite") == STEPS * (1 + logs)
    assert sum(calls.values()) <= 0.2 * STEPS, calls


@pytest.mark.parametrize("sync, syncs", [("never", 0), ("step", 1), ("always", 3)])
def test_a_sync_is_paid_only_where_it_was_asked_for(sync: str, syncs: int, tmp_path: Path) -> None:
    """ "never" asks for none, "step" for one at the end of each step, "always" also for each start and log."""
    assert _calls(tmp_path, sync, 1)["fdatasync"] == syncs * STEPS
