"""What a test here reads from a trace."""

from __future__ import annotations

from typing import Any

import ai_trace
from ai_trace import Tracer

TOKENS = {"input_tokens": 20, "output_tokens": 7, "cached_tokens": 8, "reasoning_tokens": 3}
"""What the provider says each call has used."""


def steps_of(tracer: Tracer) -> list[Any]:
    """The finished and the open steps on disk, by the time of their start."""
    return ai_trace.load(tracer.path).steps if tracer.path.exists() else []


def the_step(tracer: Tracer) -> Any:
    """The only step."""
    (step,) = steps_of(tracer)
    return step


def fields_of(step: Any) -> dict[str, Any]:
    """Context and logs of *step* together; of a name said twice, the last."""
    found = dict(step.context)
    for entry in step.logs:
        found.update(entry)
    return found


def tokens_of(step: Any) -> dict[str, Any]:
    """The tokens of *step*, those that it has."""
    return {key: step.usage[key] for key in TOKENS if key in step.usage}
