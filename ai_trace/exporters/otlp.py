"""A session as OpenTelemetry spans: OTLP/JSON, one `ExportTraceServiceRequest` a line.

By the OTLP specification 1.7 (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in
hex, times and 64-bit numbers as decimal strings, keys in lowerCamelCase, enumerations as numbers.

A step becomes a span, with its own id where that is 16 hex digits, else one made of it. Its context becomes
attributes `ai_trace.context.<key>`; a key with a dot in it is taken to be an attribute's full name already
(`http.method`), and what speaks of a model or a tool gets the GenAI names (`genai.py`). Numbers, texts,
bools and lists of them keep their type; what is nested becomes JSON text. A log becomes an event named by
its message. An error is the span's status and an `exception` event. A step still open ends with its last
sign of life and has the attribute `ai_trace.unfinished`.

Limits, as the SDKs of OpenTelemetry have them (but for the length of a text, which they do not limit):
`LIMITS`. What is beyond is counted in the span's own `droppedAttributesCount` and `droppedEventsCount`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from .. import genai
from ..record import VERSION, Record, number
from ..session import Session
from . import openinference, values
from .losses import Losses
from .messages import parts, read

__all__ = [
    "BATCH",
    "LIMITS",
    "Limits",
    "Origin",
    "batches",
    "export",
    "origin",
    "request",
    "session_origin",
    "session_spans",
    "span",
]

Plain = dict[str, Any]
BATCH: Final = 512  # spans of one request, as the SDKs' batch processor has it
_BATCH_CHARS: Final = 4 * 1024 * 1024  # and its JSON text: servers and proxies refuse larger bodies

_INTERNAL, _CLIENT = 1, 3  # SpanKind
_LISTS: Final = ({str}, {bool}, {int}, {float})  # the specification wants one type in a list
_OK, _ERROR = 1, 2  # Status.code; 0 is unset
_TYPE: Final = re.compile(r"[A-Za-z_][\w.]{0,200}")


class Limits(NamedTuple):
    """Of one span; what is beyond is dropped and counted, a text is cut and ends in "…"."""

    attributes: int = 128
    events: int = 1000
    event_attributes: int = 128
    text: int = 131_072  # characters


LIMITS: Final = Limits()


class Origin(NamedTuple):
    """What all spans of a session share: their trace id, its start, and the attributes of their resource."""

    trace_id: str
    started_at: float | None
    session_id: str
    agent: str
    resource: Plain


def origin(info: Mapping[str, Any], started_at: float | None = None) -> Origin:
    """The origin of the session whose header is *info*."""
    agent, session_id = (
        text if isinstance(text := info.get(key), str) else "" for key in ("agent", "session_id")
    )
    shared: Plain = {
        "service.name": agent or "unknown_service",
        "telemetry.sdk.name": "ai_trace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": VERSION,
        "ai_trace.session": session_id,
        "host.name": info.get("host"),
        "process.pid": info.get("pid"),
    }
    meta = info.get("meta")
    if isinstance(meta, dict):
        shared.update((_key("ai_trace.meta.", key), value) for key, value in meta.items())
    start = started_at if started_at is not None else number(info.get("started_at"))
    return Origin(values.trace_id(dict(info)), start, session_id, agent, shared)


def session_origin(session: Session) -> Origin:
    """The origin of *session*."""
    info = {**session.info, "agent": session.agent, "session_id": session.id, "meta": session.meta}
    return origin(info, session.started_at)


def export(session: Session, losses: Losses, *, with_openinference: bool = False) -> Iterator[bytes]:
    """The session, one line for each batch of spans."""
    known = session_origin(session)
    for batch in batches(session_spans(session, losses, with_openinference=with_openinference)):
        yield values.compact(request(known, batch)).encode("ascii") + b"\n"
    if session.damage:
        losses.count("stretches of damage in the files, which are no steps", len(session.damage))


def session_spans(session: Session, losses: Losses, *, with_openinference: bool = False) -> Iterator[Plain]:
    """A span for each step, parents before children; each with an id of its own."""
    known, seen = session_origin(session), set[str]()
    remote = session.info.get("parent")
    for record in session.steps:
        node = session.node(record)
        parent = node.parent.record.id if node.parent else None
        if parent is None and record.parent is not None:
            parent = record.parent if record.parent == remote else None
            losses.count("steps whose parent is not in the session, told as roots", parent is None)
        id = values.span_id(record.id)
        if id in seen:
            losses.count("steps with the id of another, which got an id of their own")
            id = values.span_id(f"{id} {len(seen)}")
        seen.add(id)
        made = span(known, record, losses, with_openinference=with_openinference, parent=parent)
        yield {**made, "spanId": id}
        record.shed()


def batches(spans: Iterable[Plain]) -> Iterator[list[Plain]]:
    """*spans* in lists that one request can carry."""
    batch: list[Plain] = []
    size = 0
    for one in spans:
        length = len(values.compact(one))
        if batch and (len(batch) == BATCH or size + length > _BATCH_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch


def request(known: Origin, spans: list[Plain]) -> Plain:
    """An `ExportTraceServiceRequest` with *spans*."""
    resource = {"attributes": _attributes(known.resource, LIMITS.attributes, Losses())[0]}
    scope = {"scope": {"name": "ai_trace", "version": VERSION}, "spans": spans}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def span(
    known: Origin,
    record: Record,
    losses: Losses,
    *,
    with_openinference: bool = False,
    parent: str | None = None,
) -> Plain:
    """The span of one step; *parent* is the id of the step around it."""
    said = genai.attributes(record)
    given = _said(record, said, known)
    most = LIMITS.attributes
    if with_openinference:
        given.update(openinference.attributes(record, said, root=parent is None, session_id=known.session_id))
        most = openinference.ATTRIBUTE_LIMIT
    start = values.start_ns(record, known.started_at)
    end = values.end_ns(record, start)
    attributes, dropped = _attributes(given, most, losses)
    events, dropped_events = _events(record, start, end, losses)
    return {
        "traceId": known.trace_id,
        "spanId": values.span_id(record.id),
        **({"parentSpanId": values.span_id(parent)} if parent else {}),
        "name": _cut(record.name, losses) or "(unnamed)",
        "kind": _CLIENT
        if said.get(genai.OPERATION) not in (None, "execute_tool", "invoke_agent")
        else _INTERNAL,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes,
        "droppedAttributesCount": dropped,
        "events": events,
        "droppedEventsCount": dropped_events,
        "status": _status(record, losses),
    }


def _said(record: Record, said: Plain, known: Origin) -> Plain:
    """The attributes of a span, before limits; ours first, so that a step with too many keeps them."""
    given: Plain = {"ai_trace.outcome": record.outcome, "session.id": known.session_id or None}
    if record.open:
        given["ai_trace.unfinished"] = True
    if record.redacted:
        given["ai_trace.redacted"] = record.redacted
    given.update({"thread.name": record.thread, "ai_trace.task": record.task})
    if record.outcome == "error":
        given["error.type"] = _error(record.error)[0]
    given = {name: value for name, value in given.items() if value is not None}
    if said:
        given[genai.AGENT] = known.agent
        given.update((name, _genai(name, value)) for name, value in said.items())
    for key, value in record.context.items():
        if not genai.takes(record, key):
            given.setdefault(_key("ai_trace.context.", key), value)
    return given


def _genai(name: str, value: Any) -> Any:
    """A GenAI attribute in the form that the conventions give it."""
    if name == genai.INSTRUCTIONS:
        return (
            value
            if isinstance(value, str)
            else [part for one in parts(read(value, "system")) for part in one["parts"]]
        )
    if name in genai.MESSAGE_NAMES:
        return parts(read(value, "user" if name == genai.INPUT_MESSAGES else "assistant"))
    return value


def _key(prefix: str, key: str) -> str:
    return key if "." in key.strip(".") else prefix + (key or "(empty)")


def _attributes(given: Mapping[str, Any], most: int, losses: Losses) -> tuple[list[Plain], int]:
    """*given* as a list of `KeyValue`, and how many were too many."""
    kept = [
        {"key": _cut(key, losses), "value": _any(value, losses)} for key, value in list(given.items())[:most]
    ]
    losses.count(f"attributes beyond the {most:,} of one span", len(given) - len(kept))
    return kept, len(given) - len(kept)


def _any(value: Any, losses: Losses) -> Plain:
    """*value* as an `AnyValue`."""
    if isinstance(value, list) and {type(one) for one in value} in _LISTS:
        return {"arrayValue": {"values": [_any(one, losses) for one in value]}}
    if isinstance(value, str):
        return {"stringValue": _cut(value, losses)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"intValue": str(value)}
    if isinstance(value, float) and number(value) is not None:
        return {"doubleValue": value}
    if value is None:
        losses.format('null is told as the text "null"')
    return {"stringValue": _cut(values.compact(value), losses)}


def _cut(text: str, losses: Losses) -> str:
    if len(text) > LIMITS.text:
        losses.count(f"texts cut to {LIMITS.text:,} characters")
        text = text[: LIMITS.text - 1] + "…"
    return values.valid(text)


def _events(record: Record, start: int, end: int, losses: Losses) -> tuple[list[Plain], int]:
    """The logs as events and, at the end of a step that failed, its exception; and how many were too many."""
    entries = record.logs
    kept = entries[: LIMITS.events]
    losses.count(f"logs beyond the {LIMITS.events:,} of one span", len(entries) - len(kept))
    events = [event for entry in kept if (event := _event(record, entry, start, losses))]
    if record.outcome == "error":
        events.append(_exception(record, end, losses))
    return events, len(entries) - len(kept)


def _event(record: Record, entry: Plain, start: int, losses: Losses) -> Plain | None:
    """The event of one log; None where all that it says are attributes of the span."""
    fields = {key: value for key, value in entry.items() if key != "_t" and not genai.takes(record, key)}
    if not fields and len(entry) > 1:
        return None
    message = fields.pop("message", None)
    name = "log"
    if isinstance(message, str) and message.strip():
        name = message.strip().splitlines()[0][:200]
    if message is not None and name != message:
        fields["message"] = message
    at = values.nanoseconds(number(entry.get("_t")))
    attributes, dropped = _attributes(fields, LIMITS.event_attributes, losses)
    return {
        "timeUnixNano": str(start if at is None else at),
        "name": values.valid(name),
        "attributes": attributes,
        "droppedAttributesCount": dropped,
    }


def _exception(record: Record, end: int, losses: Losses) -> Plain:
    kind, text = _error(record.error)
    fields = {"exception.type": kind, "exception.message": text, "exception.stacktrace": record.traceback}
    known = {name: value for name, value in fields.items() if value is not None}
    return {"timeUnixNano": str(end), "name": "exception", "attributes": _attributes(known, 3, losses)[0]}


def _error(error: str | None) -> tuple[str, str]:
    """The type of the exception, as far as *error* begins with one, and the rest."""
    kind, colon, text = (error or "").partition(": ")
    if colon and _TYPE.fullmatch(kind):
        return kind, text
    return ("_OTHER", error) if error and not _TYPE.fullmatch(error) else (error or "_OTHER", error or "")


def _status(record: Record, losses: Losses) -> Plain:
    if record.outcome == "error":
        return {"code": _ERROR, "message": _cut(record.error or "", losses)}
    return {"code": _OK} if record.outcome == "ok" else {}
