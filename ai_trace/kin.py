"""Whether two places in what steps saw and said may hold the same thing: by their paths, and by what stands beside. Pure.

- `price`, `data.price` and `result.data.price` are akin: words that only wrap, as `data`, are no part of a name;
  `order.price` is another thing, and so is `positions.ETH.qty` beside `positions.BTC.qty`;
- two objects are about different things where both hold an identifying key (`id`, `user_id`, `name`, `symbol`, …)
  with different values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .record import Record, number

__all__ = ["akin", "alike", "beside", "tail"]

_WRAPS: Final = frozenset((
    "body", "content", "context", "data", "event", "info", "item", "message", "output", "payload", "record", "response",
    "result", "results", "state", "update", "value", "values",
))  # fmt: skip
_IDENTIFIES: Final = re.compile(r"(?i)(.*_)?(id|name|no|number|symbol|ticker|pair|code|sku|key|path|url|city)")


def tail(path: str) -> str:
    """The last key of *path*."""
    return path.rpartition(".")[2] if "." in path else path


def akin(one: str, other: str) -> bool:
    """Whether both paths name the same thing, however it is wrapped."""
    return one == other or _bare(one) == _bare(other)


def _bare(path: str) -> str:
    first, dot, rest = path.partition(".")
    while dot and first in _WRAPS:
        first, dot, rest = rest.partition(".")
    return f"{first}{dot}{rest}"


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether no identifying key stands in both objects with different values."""
    return all(
        other[key] == value
        for key, value in one.items()
        if key in other and type(value) in (str, int) and type(other[key]) in (str, int) and _IDENTIFIES.fullmatch(key)
    )


def beside(step: Record, where: str, path: str, at: float) -> Mapping[str, Any]:
    """The object in which *path* stands, as *step* saw it or said it *at* that time; {} where it stands in none."""
    if "." not in path:
        return {}
    entries = [step.context] if where == "context" else [entry for entry in step.logs if number(entry.get("_t")) == at]
    found: Mapping[str, Any] = next((holder for entry in entries for holder in _holders(entry, path)), {})
    step.shed()
    return found


def _holders(pairs: Mapping[str, Any], path: str) -> Iterator[Mapping[str, Any]]:
    """The objects in *pairs*, however deep, that hold the value at *path* as one of their own."""
    waiting: list[tuple[str, Any]] = [("", pairs)]
    while waiting:
        prefix, holder = waiting.pop()
        if type(holder) is dict:
            inside = [(f"{prefix}.{key}" if prefix else key, value) for key, value in holder.items()]
            if any(place == path for place, _ in inside):
                yield holder
        else:
            inside = [(f"{prefix}[{at}]", value) for at, value in enumerate(holder)]
        waiting += [
            (place, value) for place, value in inside
            if type(value) in (dict, list) and path.startswith(place) and path != place
        ]  # fmt: skip
