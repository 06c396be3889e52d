"""Whatever call on the disk fails, and however: the agent sees nothing, what was acknowledged can be read,
and what could not be kept is counted and told.

The scenario records, saves twice and closes. It is run with its first call failing, then with its second, and
so on; once with that call alone, and once with all from there on until the disk is well again.
"""

from __future__ import annotations

import glob
import json
import os
from functools import partial
from typing import Any

import pytest

import ai_trace
from ai_trace import UsageError
from tests.faults.disk_double import FAULTS, FailingDisk, Fault, open_descriptors, run_failing_each_call
from tests.journals import strict_json

INTERRUPTS = [fault for fault in FAULTS if fault.name.startswith("KeyboardInterrupt")]
REFUSALS = [fault for fault in FAULTS if fault not in INTERRUPTS]


class Said:
    """What a run of the scenario may count on."""

    def __init__(self) -> None:
        self.refused = False  # construction said no, with a sentence
        self.kept: list[str] = []  # finished, acknowledged
        self.finished: list[str] = []  # finish() returned
        self.dropped = 0
        self.reasons: dict[str, int] = {}
        self.after_heal = ""
        self.descriptors = open_descriptors()


def _steps_among(dropped: dict[str, int]) -> int:
    """How many of the drops are steps; a snapshot that could not be made is a drop, too."""
    return sum(count for reason, count in dropped.items() if "snapshot" not in reason)


def _finish(tracer: Any, step: Any, said: Said) -> None:
    before = _steps_among(tracer.dropped)
    step.finish()
    said.finished.append(step.id)
    if _steps_among(tracer.dropped) == before:
        said.kept.append(step.id)


def _act(call: Any, *args: Any, **fields: Any) -> Any:
    """One call of the agent; a Ctrl-C in it is the agent's own business, and the agent goes on."""
    try:
        return call(*args, **fields)
    except KeyboardInterrupt:
        return None


def _scenario(folder: str, disk: FailingDisk, sync: str = "never") -> Said:
    said = Said()
    try:
        tracer = ai_trace.Tracer("agent", os.path.join(folder, "traces"), sync=sync)
    except UsageError:
        said.refused = True
        return said
    except KeyboardInterrupt:
        said.refused = True
        return said
    steps = [tracer.step("root", text="x" * 300), tracer.step("left", n=1), tracer.step("right", n=2)]
    for step in steps:
        _act(step.start)
        _act(step.log, "said", size=3)
    for step in (steps[1], steps[0], steps[2]):
        _act(step.log, "again")
        _act(_finish, tracer, step, said)
    _act(tracer.save)
    _act(tracer.save_markdown)
    disk.healed = True
    last = tracer.step("after", n=3)
    last.start().log("the disk is well again")
    said.after_heal = last.id
    _finish(tracer, last, said)
    tracer.save()
    tracer.close()
    said.dropped, said.reasons = _steps_among(tracer.dropped), tracer.dropped
    return said


def _records(folder: str) -> list[dict[str, Any]]:
    """Whole lines of all journals; a torn piece is a line of its own and no JSON."""
    found = []
    for path in glob.glob(os.path.join(folder, "traces", "*.jsonl")):
        with open(path, "rb") as file:
            for line in file.read().split(b"\n"):
                try:
                    found.append(strict_json(line))
                except ValueError:
                    continue
    return found


def _check_kept(folder: str, said: Said) -> list[dict[str, Any]]:
    records = _records(folder)
    ids = [record["id"] for record in records]
    assert len(ids) == len(set(ids)), "a step is there twice"
    assert set(said.kept) <= set(ids), "an acknowledged step is lost"
    assert said.after_heal in ids, "recording did not go on when the disk was well again"
    read = [step.id for entry in ai_trace.sessions(os.path.join(folder, "traces")) for step in _steps(entry)]
    assert set(ids) <= set(read)
    assert len(read) == len(set(read)), "the reader shows a step twice"
    return records


def _steps(entry: Any) -> list[Any]:
    try:
        return list(entry.load().steps)
    except ai_trace.NotATrace:  # a file that the disk let us create, and then neither fill nor remove
        for path in entry.paths:
            with open(path, "rb") as file:
                assert b"\n" not in file.read(), "a whole line is no trace?"
        return []


def _check_folder(folder: str, said: Said) -> None:
    for path in glob.glob(os.path.join(folder, "traces", "*")):
        kind = os.path.splitext(path)[1]
        assert kind in (".jsonl", ".json", ".md", ".live"), f"{path} was left behind"
        if kind == ".json":
            with open(path, encoding="utf-8") as file:
                json.load(file)
        if kind == ".md":
            with open(path, encoding="utf-8") as file:
                assert file.read().endswith("\n")
    assert open_descriptors() <= said.descriptors, "a descriptor was left open"


def _check_refusal(folder: str, disk: FailingDisk, said: Said) -> None:
    if said.refused:
        assert open_descriptors() <= said.descriptors
        return
    records = _check_kept(folder, said)
    _check_folder(folder, said)
    missing = set(said.finished) - {record["id"] for record in records}
    if "MemoryError" in disk.fault.name:  # where memory ends nobody knows how far the call had come
        assert said.dropped >= len(missing)
    else:
        assert said.dropped == len(missing), (
            f"{said.reasons}, but {len(missing)} missing ({disk.failed_in} failed)"
        )
    told = sum(_steps_among(record.get("dropped", {})) for record in records)
    assert told == said.dropped, f"{told} told in the journal, {said.dropped} dropped"


def _check_interrupt(folder: str, disk: FailingDisk, said: Said) -> None:
    if not said.refused:
        _check_kept(folder, said)
        _check_folder(folder, said)
        journals = glob.glob(os.path.join(folder, "traces", "*.jsonl"))
        # Struck at the end of `open`, the call never said that it had made a file.
        assert disk.failed_in == "open" or all(os.path.getsize(path) for path in journals), f"an empty journal stays ({disk.failed_in})"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("fault", REFUSALS, ids=repr)
def test_a_disk_that_says_no_costs_only_what_is_counted(
    fault: Fault, lasting: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Acknowledged is readable, the drop count is what is missing, the journal tells it, nothing is
    left behind.
    """
    for sync in ("never", "step"):
        runs = run_failing_each_call(partial(_scenario, sync=sync), _check_refusal, fault, lasting=lasting)
        assert runs > 20  # the scenario does reach the disk


@pytest.mark.parametrize("fault", INTERRUPTS, ids=repr)
def test_ctrl_c_inside_any_disk_call_leaves_a_working_tracer(
    fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interrupted call may lose its own record; nothing that had returned is lost, and the next
    step works.
    """
    for sync in ("never", "step"):
        run_failing_each_call(partial(_scenario, sync=sync), _check_interrupt, fault)
