"""Plain data as JSON for programs: strict (RFC 8259), ASCII, safe for every terminal and code page.

A document is laid out for both eyes and tools: the items of a list, and of a list or an iterator one level
down, stand one a line, so that a session of any length streams through.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["compact", "document"]


def document(value: Any) -> Iterator[str]:
    """*value* as one document, in pieces."""
    if not isinstance(value, Mapping):
        yield from _items(value)
        yield "\n"
        return
    between = "{\n"
    for key, part in value.items():
        yield f"{between}{compact(key)}: "
        yield from _items(part)
        between = ",\n"
    yield "\n}\n"


def _items(value: Any) -> Iterator[str]:
    if not isinstance(value, (list, tuple, Iterator)):
        yield compact(value)
        return
    yield "["
    between = "\n"
    for item in value:
        yield between + compact(item)
        between = ",\n"
    yield "]" if between == "\n" else "\n]"


def compact(value: Any) -> str:
    """*value* on one line; numbers that JSON does not know (a foreign file's NaN) as their names."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not -1.8e308 < value < 1.8e308:
        return str(value)
    if isinstance(value, int) and value.bit_length() > 14_000:  # CPython refuses 4,300 digits and more
        return hex(value)
    return value
