"""OTLP in its binary form: the request of `otlp.py` as protocol buffers, for servers that take no JSON.

`_FIELDS` is the part of opentelemetry-proto 1.7 that we write
(https://github.com/open-telemetry/opentelemetry-proto); the encoding is
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from .values import valid

__all__ = ["encode"]

_FIELDS: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = MappingProxyType(
    {
        "ExportTraceServiceRequest": {"resourceSpans": (1, "ResourceSpans")},
        "ResourceSpans": {"resource": (1, "Resource"), "scopeSpans": (2, "ScopeSpans")},
        "Resource": {"attributes": (1, "KeyValue")},
        "ScopeSpans": {"scope": (1, "Scope"), "spans": (2, "Span")},
        "Scope": {"name": (1, "string"), "version": (2, "string")},
        "Span": {
            "traceId": (1, "hex"), "spanId": (2, "hex"), "parentSpanId": (4, "hex"), "name": (5, "string"),
            "kind": (6, "varint"), "startTimeUnixNano": (7, "fixed64"), "endTimeUnixNano": (8, "fixed64"),
            "attributes": (9, "KeyValue"), "droppedAttributesCount": (10, "varint"), "events": (11, "Event"),
            "droppedEventsCount": (12, "varint"), "status": (15, "Status"),
        },
        "Event": {
            "timeUnixNano": (1, "fixed64"), "name": (2, "string"), "attributes": (3, "KeyValue"),
            "droppedAttributesCount": (4, "varint"),
        },
        "Status": {"message": (2, "string"), "code": (3, "varint")},
        "KeyValue": {"key": (1, "string"), "value": (2, "AnyValue")},
        "AnyValue": {
            "stringValue": (1, "string"), "boolValue": (2, "varint"), "intValue": (3, "varint"),
            "doubleValue": (4, "double"), "arrayValue": (5, "ArrayValue"),
        },
        "ArrayValue": {"values": (1, "AnyValue")},
    }
)  # fmt: skip
"""Message -> name of a field in JSON -> its number, and its type or message."""

_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types


def encode(request: Mapping[str, Any]) -> bytes:
    """The bytes of an `ExportTraceServiceRequest`, given as its JSON."""
    return _message("ExportTraceServiceRequest", request)


def _message(kind: str, value: Mapping[str, Any]) -> bytes:
    fields = _FIELDS[kind]
    return b"".join(
        piece
        for name, content in value.items()
        for one in (content if isinstance(content, list) else [content])
        for piece in _field(*fields[name], one)
    )


def _field(number: int, kind: str, value: Any) -> Iterator[bytes]:
    if kind == "varint":
        yield _varint(number << 3 | _VARINT) + _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)
    elif kind == "fixed64":
        yield _varint(number << 3 | _FIXED64) + struct.pack("<Q", int(value))
    elif kind == "double":
        yield _varint(number << 3 | _FIXED64) + struct.pack("<d", value)
    else:
        body = _body(kind, value)
        yield _varint(number << 3 | _BYTES) + _varint(len(body))
        yield body


def _body(kind: str, value: Any) -> bytes:
    if kind == "string":
        return valid(value).encode()
    return bytes.fromhex(value) if kind == "hex" else _message(kind, value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
