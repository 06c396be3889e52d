"""An exception goes through a step as if the step were not there, and the step tells it.

Same object, same context, same cause, same traceback; recorded as an error, or as cancelled where somebody
ended the work on purpose.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from tests.journals import lines

CANCELLED = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)


def _arguments(kind: type[BaseException]) -> tuple[Any, ...]:
    if issubclass(kind, UnicodeDecodeError):
        return ("utf-8", b"\xff", 0, 1, "reason")
    if issubclass(kind, UnicodeEncodeError):
        return ("utf-8", "\udc80", 0, 1, "reason")
    if issubclass(kind, UnicodeTranslateError):
        return ("x", 0, 1, "reason")
    if kind.__name__ in ("BaseExceptionGroup", "ExceptionGroup"):
        return ("several", [ValueError("one"), TypeError("two")])
    return ("boom",)


BUILTIN = sorted(
    {kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)}
    | {asyncio.CancelledError},
    key=lambda kind: kind.__name__,
)


class Rude(Exception):
    """Cannot be shown in any way."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class OwnEnd(BaseException):
    """An application's own way out."""


def _raise(error: BaseException) -> None:
    raise error


def _frames(error: BaseException) -> list[tuple[str, int]]:
    return [(frame.f_code.co_name, line) for frame, line in traceback.walk_tb(error.__traceback__)]


def _passes(around: Callable[[], Any], error: BaseException) -> tuple[Any, ...]:
    """What the one outside sees of *error*, raised inside *around* while another is being handled."""
    caught: BaseException | None = None
    try:
        raise LookupError("being handled")
    except LookupError as handled:
        try:
            with around():
                _raise(error)
        except BaseException as seen:
            caught = seen
            assert seen.__context__ is handled
    assert caught is error
    return _frames(error), error.__cause__, error.__suppress_context__, error.args


@pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.__name__)
def test_every_builtin_exception_leaves_as_it_came(kind: type[BaseException], tmp_path: Path) -> None:
    """Same object, arguments, context, cause and traceback as without a step; the outcome tells its kind."""
    arguments = _arguments(kind)
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        plain = _passes(contextlib.nullcontext, kind(*arguments))
        traced = _passes(lambda: tracer.step("step"), kind(*arguments))
    assert plain == traced
    (record,) = lines(tmp_path)
    assert record["outcome"] == ("cancelled" if issubclass(kind, CANCELLED) else "error")
    assert record["error"].startswith(type(kind(*arguments)).__name__)
    assert "\n" not in record["error"]


def test_error_and_traceback_are_told_whole(tmp_path: Path) -> None:
    """One line says the type and the message; the traceback has causes and contexts."""
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with pytest.raises(ValueError), tracer.step("step"):
            try:
                _raise(KeyError("first"))
            except KeyError as first:
                raise ValueError("boom\nsecond line") from first
    (record,) = lines(tmp_path)
    assert record["error"].startswith("ValueError: boom") and "\n" not in record["error"]
    assert "KeyError: 'first'" in record["traceback"]
    assert "direct cause" in record["traceback"]
    assert "in _raise" in record["traceback"]


def test_a_cause_that_was_given_is_kept(tmp_path: Path) -> None:
    """`raise … from …` and `from None` go through."""
    cause = OSError("cause")
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with pytest.raises(ValueError) as caught, tracer.step("step"):
            raise ValueError("boom") from cause
        assert caught.value.__cause__ is cause
        with pytest.raises(ValueError) as caught, tracer.step("step"):
            try:
                raise cause
            except OSError:
                raise ValueError("boom") from None
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in 3.11")
def test_exception_groups_go_through_and_are_told_whole(tmp_path: Path) -> None:
    """`except*` sees what was raised; the traceback names every member."""
    from builtins import BaseExceptionGroup as Group

    error = Group("several", [ValueError("one"), Group("inner", [TypeError("two"), Rude()])])
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with pytest.raises(Group) as caught, tracer.step("step"):
            raise error
    assert caught.value is error and caught.value.exceptions == error.exceptions
    (record,) = lines(tmp_path)
    assert "ValueError: one" in record["traceback"] and "TypeError: two" in record["traceback"]


def _hostile_errors() -> Iterator[BaseException]:
    yield Rude("secret")
    yield Rude()
    own = type("Own", (Exception,), {"__module__": 5})
    yield own("its module is a number")
    looped = ValueError("its own cause")
    looped.__cause__ = looped
    yield looped
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    yield one
    long = ValueError("x" * 1_000_000)
    yield long
    yield ValueError("\udc80 \x00 \x1b[31m \u2028")
    yield ValueError(*range(100))
    notes = ValueError("with notes")
    notes.__notes__ = [Rude(), 5, "fine"]  # type: ignore[attr-defined]
    yield notes
    deep: BaseException = ValueError("the first of a long chain")
    for _ in range(2_000):
        following = ValueError("next")
        following.__context__, deep = deep, following
    yield deep


@pytest.mark.parametrize("error", list(_hostile_errors()), ids=lambda e: f"{type(e).__name__}")
def test_an_exception_that_cannot_be_shown_goes_through(error: BaseException, tmp_path: Path) -> None:
    """What is wrong with the exception is no reason to replace it."""
    cause, context = error.__cause__, error.__context__
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        try:
            with tracer.step("step"):
                raise error
        except BaseException as seen:
            assert seen is error
        assert error.__cause__ is cause and error.__context__ is context
    (record,) = lines(tmp_path)
    assert record["outcome"] == "error" and record["error"].startswith(type(error).__name__)


def test_an_applications_own_base_exception_goes_through(tmp_path: Path) -> None:
    """Not every way out is an Exception."""
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with pytest.raises(OwnEnd), tracer.step("step"):
            raise OwnEnd("now")
    (record,) = lines(tmp_path)
    assert record["outcome"] in ("error", "cancelled") and record["error"] == "OwnEnd: now"


def test_async_steps_pass_exceptions_and_cancellation(tmp_path: Path) -> None:
    """`async with` is no different, and a cancelled task is cancelled, not failed."""

    async def fails(tracer: Any, error: BaseException) -> None:
        async with tracer.step("fails"):
            _raise(error)

    async def waits(tracer: Any, inside: asyncio.Event) -> None:
        async with tracer.step("waits"):
            inside.set()
            await asyncio.Event().wait()

    async def main(tracer: Any) -> None:
        error = ValueError("boom")
        try:
            await fails(tracer, error)
        except ValueError as seen:
            assert seen is error
        inside = asyncio.Event()
        task = asyncio.ensure_future(waits(tracer, inside))
        await inside.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        asyncio.run(main(tracer))
    assert [(r["name"], r["outcome"]) for r in lines(tmp_path)] == [
        ("fails", "error"),
        ("waits", "cancelled"),
    ]


def test_a_recorded_exception_keeps_nothing_alive(tmp_path: Path) -> None:
    """Frames, and the large values in them, go when the agent lets them go."""

    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    def work(tracer: Any) -> None:
        large = Large()
        kept.append(weakref.ref(large))
        with tracer.step("step"):
            raise ValueError("boom")

    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with contextlib.suppress(ValueError):
            work(tracer)
        gc.collect()
        assert kept[0]() is None


def test_a_decorated_function_passes_its_exception(tmp_path: Path) -> None:
    """Through `@tracer.traced` as through `with`."""
    error = ValueError("boom")
    with ai_trace.Tracer("agent", tmp_path) as tracer:

        @tracer.traced
        def work() -> None:
            raise error

        with pytest.raises(ValueError) as caught:
            work()
        assert caught.value is error
    (record,) = lines(tmp_path)
    assert record["outcome"] == "error" and record["error"] == "ValueError: boom"


def test_an_exception_given_to_fail_is_told_as_one_that_came_up(tmp_path: Path) -> None:
    """Class and message on one line, the traceback with its cause, always an error."""
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        for given in (ValueError("no\nluck"), KeyError(), asyncio.CancelledError("stop"), Rude()):
            try:
                raise given from OSError("the cause")
            except BaseException as error:
                step = tracer.step("by hand").start().fail(error)
                assert step.error and step.error.startswith(type(error).__name__)
    told = lines(tmp_path)
    assert ["ValueError: no luck", "KeyError", "CancelledError: stop", "Rude: <unprintable: RuntimeError>"] == [
        line["error"] for line in told
    ]
    assert {"error"} == {line["outcome"] for line in told}
    assert all("OSError: the cause" in line["traceback"] for line in told)
