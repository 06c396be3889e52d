"""Log records become part of the step in which they are made."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace import Tracer
from ai_trace.bridges.logging import Handler
from tests.children import run


@pytest.fixture(name="tracer")
def fixture_tracer(tmp_path: Path) -> Iterator[Tracer]:
    with Tracer("agent", tmp_path) as tracer:
        yield tracer


@pytest.fixture(name="logger")
def fixture_logger() -> logging.Logger:
    """A logger without parents: pytest's own handlers would format each record again, and raise."""
    logger = logging.Logger("shop.cart")
    logger.addHandler(Handler())
    return logger


def without_time(step: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "_t"} for entry in step.logs]


def test_a_record_is_logged_in_the_current_step(tracer: Tracer, logger: logging.Logger) -> None:
    """Message, level, logger and what came by `extra`, in the innermost step."""
    with tracer.step("outer") as outer, tracer.step("inner") as inner:
        logger.warning("%d items for %s", 3, "Ann", extra={"order": 7})
    said = {"message": "3 items for Ann", "level": "WARNING", "logger": "shop.cart", "extra": {"order": 7}}
    assert without_time(inner) == [said]
    assert outer.logs == []


def test_outside_of_every_step_nothing_is_recorded(tracer: Tracer, logger: logging.Logger) -> None:
    """A record that belongs to no step makes none."""
    logger.error("nobody listens")
    assert tracer.summary()["steps"] == 0


def test_an_exception_is_recorded_with_its_traceback(tracer: Tracer, logger: logging.Logger) -> None:
    """`logger.exception` brings the whole text."""
    with tracer.step("act") as step:
        try:
            raise ValueError("no stock")
        except ValueError:
            logger.exception("failed")
    text = step.logs[0]["exception"]
    assert text.startswith("Traceback") and text.endswith("ValueError: no stock")


def test_secrets_in_a_message_are_masked(tracer: Tracer, logger: logging.Logger) -> None:
    """The rules of the tracer hold for what loggers say."""
    with tracer.step("act") as step:
        logger.info("login", extra={"password": "hunter2"})
    assert step.logs[0]["extra"] == {"password": "[redacted]"}


def test_nothing_runs_in_a_circle(tracer: Tracer, logger: logging.Logger) -> None:
    """A value that logs while it is recorded, and our own logger, are left out."""

    class Chatty:
        def __str__(self) -> str:
            logger.info("somebody looks at me")
            return "chatty"

    with tracer.step("act") as step:
        logger.info("%s", Chatty())
        logging.getLogger("ai_trace").warning("of ourselves")
    assert [entry["message"] for entry in step.logs] == ["chatty"]


def test_a_message_that_does_not_fit_its_arguments(tracer: Tracer, logger: logging.Logger) -> None:
    """Nothing is raised into the agent, and both are kept."""
    with tracer.step("act") as step:
        logger.info("%d items", "three")
    assert step.logs[0]["message"] == "%d items ('three',)"


def test_a_level_can_be_set(tracer: Tracer) -> None:
    """As with any handler."""
    logger, handler = logging.getLogger("shop.level"), Handler(logging.ERROR)
    logger.addHandler(handler)
    try:
        with tracer.step("act") as step:
            logger.warning("quiet")
            logger.error("loud")
    finally:
        logger.removeHandler(handler)
    assert [entry["message"] for entry in step.logs] == ["loud"]


def test_importing_the_package_imports_no_bridge(tmp_path: Path) -> None:
    """Neither a bridge nor `logging` costs anything until it is asked for."""
    code = (
        "import sys, ai_trace\n"
        "with ai_trace.Tracer('agent', sys.argv[1]).step('one') as step: step.log('said')\n"
        "print(*sorted(m for m in sys.modules if m == 'logging' or m.startswith('ai_trace.bridges')))"
    )
    assert run(code, str(tmp_path), flags=("-S",)).stdout.strip() == ""
