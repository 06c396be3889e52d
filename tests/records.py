"""Steps as the reader would hand them out, made by hand: folding and showing are proved on their own."""

from __future__ import annotations

import os
import random
from typing import Any

from ai_trace.record import Record

T0 = 1709300422.0  # 2024-03-01 13:40:22 UTC


def step_id(n: int) -> str:
    return f"{n:016x}"


def step(n: int, parent: int | None = None, *, name: str = "", open: bool = False, **data: Any) -> Record:
    """Step number *n*, which began *n* seconds after `T0` and lasted one, unless *data* says otherwise."""
    fields: dict[str, Any] = {
        "name": name or f"step {n}", "id": step_id(n), "started_at": T0 + n,
        "parent": None if parent is None else step_id(parent),
    }  # fmt: skip
    if not open:
        fields |= {"outcome": "ok", "duration_ms": 1000.0}
    return Record.from_data({**fields, **data}, id="line-000001", offset=n, length=0, open=open)


def failed(n: int, parent: int | None = None, error: str = "ValueError: boom", **data: Any) -> Record:
    return step(n, parent, outcome="error", error=error, **data)


def seeded() -> random.Random:
    """Randomness that a failing run can be given again: `SEED=… pytest`."""
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"SEED={seed}")
    return random.Random(seed)
