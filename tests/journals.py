"""Journals read with no help from `ai_trace`: the strictest reader that the standard library gives.

A promise about what is written must not be proved by the code that may share its mistake.
"""

from __future__ import annotations

import glob
import json
import os
from typing import Any

__all__ = ["lines", "strict_json"]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON (RFC 8259 §6)")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name twice in one object: {[k for k, _ in pairs]!r:.200}")
    return found


def strict_json(raw: bytes) -> Any:
    """The value of *raw*, which must be ASCII JSON: no NaN, no name twice in one object, nothing behind."""
    return json.loads(raw.decode("ascii"), parse_constant=_no_constant, object_pairs_hook=_no_twins)


def lines(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Each line of each journal in *folder*; every one must be whole, strict, and say its own length
    truly.
    """
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(os.fspath(folder)), "*.jsonl"))):
        with open(path, "rb") as file:
            raw = file.read()
        assert not raw or raw.endswith(b"\n"), f"{path} ends in half a line"
        for line in raw.split(b"\n")[:-1]:
            record = strict_json(line)
            assert record["len"] == len(line) + 1, (
                f"len is {record['len']}, the line has {len(line) + 1} bytes"
            )
            found.append(record)
    return found
