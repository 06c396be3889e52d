"""Whatever an agent hands us, through whatever door: nothing is raised, and every line is strict JSON.

Doors: context, log field, log message, meta, outcome, reason of a failure, agent, name of a step, and
arguments and results of a traced function. Only the construction of a tracer may refuse, by `UsageError`.
"""

from __future__ import annotations

import glob
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer, UsageError
from tests.hostile import HOSTILE, SECRET
from tests.journals import lines, strict_json

Factory = Callable[[], Any]


def _context(tracer: Tracer, make: Factory) -> None:
    with tracer.step("step", value=make(), nested={"list": [make()]}):
        pass


def _field(tracer: Tracer, make: Factory) -> None:
    with tracer.step("step") as step:
        step.log(value=make())
        ai_trace.log("from anywhere", value=make())


def _message(tracer: Tracer, make: Factory) -> None:
    with tracer.step("step") as step:
        step.log(make())


def _meta(tracer: Tracer, make: Factory) -> None:
    tracer.meta["value"] = make()
    tracer.meta = {"whole": make()}
    tracer.step("step").start().finish()


def _outcome(tracer: Tracer, make: Factory) -> None:
    tracer.step("step").start().finish(make())


def _reason(tracer: Tracer, make: Factory) -> None:
    tracer.step("step").start().fail(make())


def _name(tracer: Tracer, make: Factory) -> None:
    with tracer.step(make()) as step:
        step.step(make()).start().finish()


def _arguments(tracer: Tracer, make: Factory) -> None:
    given = make()

    @tracer.traced
    def work(first: Any, *rest: Any, **named: Any) -> Any:
        return first

    assert work(given, given, other=given) is given


def _exception(tracer: Tracer, make: Factory) -> None:
    value = make()
    # An exception's text is Python's own `str(error)`: a value that hides in its repr alone shows there.
    error = ValueError(0 if issubclass(type(value), str) else value)
    try:
        with tracer.step("step"):
            raise error
    except ValueError as seen:
        assert seen is error


DOORS = (_context, _field, _message, _meta, _outcome, _reason, _name, _arguments, _exception)

# Megabytes of data, or a repr that takes an age: the doors behind which the machinery differs will do.
LARGE = ("wide", "long", "shared", "huge")
LARGE_DOORS = (_context, _outcome)


def _is_large(name: str) -> bool:
    return any(word in name for word in LARGE)


values = pytest.mark.parametrize("name, make", HOSTILE, ids=[name for name, _ in HOSTILE])


@values
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a coroutine among the values is never awaited
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_hostile_value_passes_every_door(
    name: str, make: Factory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each call returns, each step is a line of RFC 8259 JSON, no hidden characters show, nothing is
    dropped.
    """
    doors = LARGE_DOORS if _is_large(name) else DOORS
    tracer = Tracer("agent", tmp_path)
    for door in doors:
        door(tracer, make)
    if not _is_large(name):
        tracer.save()
        tracer.save_markdown()
    tracer.summary()
    tracer.close()
    assert tracer.dropped == {}
    records = lines(tmp_path)
    assert len(records) >= len(doors)
    for record in records:
        assert all(type(record[key]) is str for key in ("name", "outcome", "id"))
        assert record["error"] is None or type(record["error"]) is str
    for path in glob.glob(os.path.join(tmp_path, "*")):
        with open(path, "rb") as file:
            written = file.read()
        assert SECRET.encode() not in written, path
        if path.endswith(".json"):
            strict_json(written)
    session = ai_trace.load(next(iter(tmp_path.glob("*.jsonl"))))
    assert len(session.steps) == len(records) and session.damage == []
    assert capfd.readouterr().err == ""


@values
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_hostile_value_at_construction_is_recorded_or_refused_by_name(
    name: str, make: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As agent, folder, meta or setting: either it works or a UsageError says what is wrong."""
    if _is_large(name):
        pytest.skip("construction does not look into a value")
    monkeypatch.chdir(tmp_path)  # a value that is a path is used as one
    for arguments in (
        {"agent": make()}, {"agent": "a", "trace_dir": make()}, {"agent": "a", "meta": {"value": make()}},
        {"agent": "a", "sync": make()}, {"agent": "a", "redact": make()}, {"agent": "a", "limits": make()},
        {"agent": "a", "traceparent": make()}, {"agent": "a", "auto_save": make()},
    ):  # fmt: skip
        arguments.setdefault("trace_dir", "traces")
        try:
            tracer = Tracer(**arguments)
        except UsageError as error:
            assert str(error)
            continue
        with tracer.step("step"):
            pass
        tracer.close()
    lines(tmp_path / "traces")


FIELDS = [
    "name",
    "self",
    "tracer",
    "step",
    "message",
    "context",
    "_t",
    "id",
    "fields",
    "kind",
    "error",
    "cls",
    "args",
]


@pytest.mark.parametrize("key", [*FIELDS, "", "with space", "\udc80", "é", "\x00", "x" * 10_000])
def test_any_name_is_a_legal_field(key: str, tmp_path: Path) -> None:
    """No name of ours is taken from the agent; its value is there under its own name."""
    with Tracer("agent", tmp_path) as tracer:
        with tracer.step("step", **{key: 1}) as step:
            step.log(**{key: 2})
            step.log("text", **{key: 3})
            step.step("child", **{key: 4}).start().finish()
            ai_trace.log(**{key: 5})
    child, parent = lines(tmp_path)
    assert parent["context"] == {key: 1} and child["context"] == {key: 4}
    said = [[value for value in log.values() if value in (2, 3, 5)] for log in parent["logs"]]
    assert said == [[2], [3], [5]]
    assert all(type(log["_t"]) is float for log in parent["logs"])


@pytest.mark.parametrize("left", [10, 20, 50])
def test_near_the_recursion_limit_the_agent_sees_no_error_of_ours(left: int, tmp_path: Path) -> None:
    """Called with few frames left, a step may be poorer, but recursion that the agent survives stays
    survived.
    """
    tracer = Tracer("agent", tmp_path)
    with tracer.step("warm up", n=1) as step:
        step.log(n=1)

    def depth() -> int:
        frame, count = sys._getframe(), 0
        while frame is not None:
            frame, count = frame.f_back, count + 1  # type: ignore[assignment]
        return count

    def dive(frames: int) -> None:
        if frames:
            dive(frames - 1)
            return
        with tracer.step("deep", deep=[[[[1]]]], text="x") as step:
            step.log("said", deep=[[[[1]]]])

    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(depth() + 200)
        dive(200 - left - 5)
    finally:
        sys.setrecursionlimit(before)
    tracer.close()
    assert {record["name"] for record in lines(tmp_path)} <= {"warm up", "deep"}


@pytest.mark.parametrize("stack_kib", [64, 256, 512, 8192])
def test_deep_values_do_not_crash_a_thread_with_a_small_stack(stack_kib: int, tmp_path: Path) -> None:
    """The encoder of some Pythons crashes the process where the stack is small and the value deep."""
    deep: Any = 1
    for _ in range(5_000):
        deep = {"d": [deep]}
    tracer = Tracer("agent", tmp_path)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with tracer.step("step", deep=deep) as step:
                step.log(deep=deep)
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(stack_kib * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    tracer.close()
    assert failed == []
    assert len(lines(tmp_path)) == 1
    while isinstance(deep, dict):  # let go of it level by level: the interpreter's own way is recursive
        deep = deep.pop("d").pop()


def test_what_the_agent_changes_afterwards_is_not_changed_in_the_record(tmp_path: Path) -> None:
    """Context, logs, meta, arguments and results are taken down as they were at the call."""
    seen: dict[str, Any] = {"prices": [1, 2], "deep": {"a": [{"b": 1}]}}
    meta = {"models": ["one"]}
    with Tracer("agent", tmp_path, meta=meta) as tracer:

        @tracer.traced
        def work(given: Any) -> Any:
            given["prices"].append("in the call")
            return given

        with tracer.step("step", seen=seen) as step:
            step.log("before", seen=seen)
            seen["prices"].append(3)
            seen["deep"]["a"][0]["b"] = "changed"
            step.log("after", seen=seen)
        meta["models"].append("two")
        work(seen)["prices"].clear()
    first, second = lines(tmp_path)
    before = {"prices": [1, 2], "deep": {"a": [{"b": 1}]}}
    after = {"prices": [1, 2, 3], "deep": {"a": [{"b": "changed"}]}}
    assert first["context"] == {"seen": before} and first["session"]["meta"] == {"models": ["one"]}
    assert [log["seen"] for log in first["logs"]] == [before, after]
    assert second["context"] == {"given": after}
    assert second["logs"][-1]["result"]["prices"] == [1, 2, 3, "in the call"]


def _pairs_of_pairs() -> Any:
    """Fifty lists, and 2**50 ways through them: less deep than what is cut for its depth."""
    value: Any = [0]
    for _ in range(50):
        value = [value, value]
    return value


BLOWN_UP: dict[str, Factory] = {
    "lists": _pairs_of_pairs,
    "dicts": lambda: {"inside": _pairs_of_pairs()},
    "texts": lambda: [["x" * 1_000] * 1_000] * 1_000,  # a gigabyte of JSON
}


@pytest.mark.parametrize("name", BLOWN_UP)
def test_a_value_that_holds_its_parts_many_times_over_costs_neither_the_time_nor_the_memory(
    name: str, tmp_path: Path
) -> None:
    """What is kept is bounded, and so is the work: the agent goes on, with a cut record of it."""
    value = BLOWN_UP[name]()
    limits = ai_trace.Limits(text=200_000, step_bytes=200_000)
    with Tracer("agent", tmp_path, limits=limits) as tracer:
        tracemalloc.start()
        try:
            with tracer.step("step", value=value) as step:
                step.log(value=value)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    (record,) = lines(tmp_path)
    assert record["len"] < 1_000_000 and "$cut" in str(record["context"])
    assert peak < 20_000_000


def test_a_value_that_another_thread_changes_meanwhile_is_recorded(tmp_path: Path) -> None:
    """A dict that grows and shrinks under our hands costs no exception and no broken line."""
    shared: dict[str, Any] = {f"k{i}": i for i in range(50)}
    stop = threading.Event()

    def change() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            shared[f"new{turn % 100}"] = [turn]
            shared.pop(f"new{(turn + 50) % 100}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with Tracer("agent", tmp_path) as tracer:
            for _ in range(300):
                with tracer.step("step", shared=shared) as step:
                    step.log(shared=shared)
    finally:
        stop.set()
        thread.join()
    assert tracer.dropped == {}
    assert len(lines(tmp_path)) == 300


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_values_own_code_is_the_agents(
    stop: type[BaseException], tmp_path: Path
) -> None:
    """Ctrl-C while a `__repr__` runs reaches the agent, and the tracer works on."""

    class Stops:
        def __repr__(self) -> str:
            raise stop()

        __str__ = __repr__

    with Tracer("agent", tmp_path) as tracer:
        with tracer.step("outer") as outer:
            with pytest.raises(stop):
                outer.log(value=Stops())
            outer.log("going on")
        with pytest.raises(stop):
            tracer.step("never made", value=Stops())
    (record,) = lines(tmp_path)
    assert [log["message"] for log in record["logs"]] == ["going on"]
