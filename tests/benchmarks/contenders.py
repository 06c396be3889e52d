"""The recorders that are measured: each opens a place in a folder and records steps the way its users would.

A contender is a function `open(folder) -> Recorder`. `step` records one finished step with its context and
one log; `family` records a parent around three such children. All write one file on the same disk,
unbuffered at the end of each step, with the settings they have when nothing is set.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["CONTENDERS", "Recorder", "available"]

Data = dict[str, Any]


class Recorder(NamedTuple):
    step: Callable[[Data, Data], None]
    family: Callable[[Data, Data], None]
    close: Callable[[], None]


def floor(folder: str) -> Recorder:
    """The same record as ours, built by hand: bare dicts, one held encoder, one `os.write`."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    fd = os.open(os.path.join(folder, "floor.jsonl"), flags, 0o600)
    ids = itertools.count(0x9E3779B97F4A7C15)
    write, now, steady = os.write, time.time, time.perf_counter

    def step(context: Data, fields: Data, parent: str | None = None) -> None:
        began, at = steady(), now()
        record = {
            "name": "decision", "outcome": "ok", "started_at": at, "duration_ms": 0.0,
            "id": "%016x" % next(ids), "parent": parent, "error": None, "len": 345,
            "context": {**context}, "logs": [{"_t": at, **fields}], "finished_at": at,
        }  # fmt: skip
        record["duration_ms"] = (steady() - began) * 1000
        write(fd, (encode(record) + "\n").encode())

    def family(context: Data, fields: Data) -> None:
        began, at = steady(), now()
        parent = "%016x" % next(ids)
        step(context, fields, parent)
        step(context, fields, parent)
        step(context, fields, parent)
        record = {
            "name": "decision", "outcome": "ok", "started_at": at, "duration_ms": (steady() - began) * 1000,
            "id": parent, "parent": None, "error": None, "len": 345,
            "context": {**context}, "logs": [{"_t": at, **fields}], "finished_at": at,
        }  # fmt: skip
        write(fd, (encode(record) + "\n").encode())

    return Recorder(step, family, lambda: os.close(fd))


def ai_trace(folder: str) -> Recorder:
    """Ours, or the older package of the same name where its folder was put first on the path."""
    from ai_trace import Tracer

    tracer = Tracer("bench", folder)

    def step(context: Data, fields: Data) -> None:
        with tracer.step("decision", **context) as opened:
            opened.log(**fields)

    def family(context: Data, fields: Data) -> None:
        with tracer.step("decision", **context) as opened:
            opened.log(**fields)
            step(context, fields)
            step(context, fields)
            step(context, fields)

    return Recorder(step, family, getattr(tracer, "close", lambda: None))


def eliot(folder: str) -> Recorder:
    import eliot as package

    file = open(os.path.join(folder, "eliot.jsonl"), "wb", buffering=0)
    destination = package.FileDestination(file=file)
    package.add_destinations(destination)

    def step(context: Data, fields: Data) -> None:
        with package.start_action(action_type="decision", **context) as action:
            action.log(message_type="log", **fields)

    def family(context: Data, fields: Data) -> None:
        with package.start_action(action_type="decision", **context) as action:
            action.log(message_type="log", **fields)
            step(context, fields)
            step(context, fields)
            step(context, fields)

    def close() -> None:
        package.remove_destination(destination)
        file.close()

    return Recorder(step, family, close)


def loguru(folder: str) -> Recorder:
    from loguru import logger

    logger.remove()
    sink = logger.add(os.path.join(folder, "loguru.jsonl"), serialize=True)

    def step(context: Data, fields: Data) -> None:
        with logger.contextualize(**context):
            logger.bind(**fields).info("log")
            logger.info("decision")

    def family(context: Data, fields: Data) -> None:
        with logger.contextualize(**context):
            logger.bind(**fields).info("log")
            step(context, fields)
            step(context, fields)
            step(context, fields)
            logger.info("decision")

    return Recorder(step, family, lambda: logger.remove(sink))


def opentelemetry(folder: str) -> Recorder:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    file = open(os.path.join(folder, "otel.jsonl"), "w", encoding="utf-8")
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")

    def step(context: Data, fields: Data) -> None:
        with tracer.start_as_current_span("decision", attributes=context) as span:
            span.add_event("log", fields)

    def family(context: Data, fields: Data) -> None:
        with tracer.start_as_current_span("decision", attributes=context) as span:
            span.add_event("log", fields)
            step(context, fields)
            step(context, fields)
            step(context, fields)

    def close() -> None:
        provider.shutdown()
        file.close()

    return Recorder(step, family, close)


CONTENDERS: dict[str, Callable[[str], Recorder]] = {
    "floor": floor,
    "ai_trace": ai_trace,
    "ai-decision-tracer": ai_trace,
    "eliot": eliot,
    "loguru": loguru,
    "opentelemetry-sdk": opentelemetry,
}

_IMPORTS = {"eliot": "eliot", "loguru": "loguru", "opentelemetry-sdk": "opentelemetry.sdk"}


def available(name: str, older: str | None) -> bool:
    """Whether contender *name* can be measured here; *older* is the folder of the older package, if given."""
    if name == "floor":
        return False  # it is measured beside each of the others
    if name == "ai-decision-tracer":
        return older is not None
    if name == "ai_trace":
        return _found("ai_trace.tracer")
    return _found(_IMPORTS[name])


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
