"""What is asked of a model, as fields under the GenAI names (`ai_trace.genai`). Pure, and the same for all providers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..genai import INPUT_MESSAGES, INSTRUCTIONS, MODEL, OPERATION, WORDS

__all__ = ["asked", "get", "plain_form", "total", "without_none"]

REQUEST: Final[Mapping[str, str]] = MappingProxyType(
    {
        word: WORDS[word]
        for word in ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop", "frequency_penalty",
                     "presence_penalty", "stream", "tools")
    }
    | {
        "model": MODEL,
        "messages": INPUT_MESSAGES,
        "input": INPUT_MESSAGES,
        "contents": INPUT_MESSAGES,
        "prompt": INPUT_MESSAGES,
        "system": INSTRUCTIONS,
        "instructions": INSTRUCTIONS,
        "system_instruction": INSTRUCTIONS,
        "max_completion_tokens": "gen_ai.request.max_tokens",
        "max_output_tokens": "gen_ai.request.max_tokens",
        "stop_sequences": "gen_ai.request.stop_sequences",
        "n": "gen_ai.request.choice.count",
        "candidate_count": "gen_ai.request.choice.count",
    }
)  # fmt: skip
"""Key of a provider's request -> GenAI attribute. Every other key goes under `parameters`."""

UNSAID: Final = ("NotGiven", "Omit")  # what the clients put in place of an argument that was not given


def asked(operation: str, provider: str, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the step and its context for a request *body*: "chat gpt-5", and what the model was asked."""
    context: dict[str, Any] = {OPERATION: operation, "gen_ai.provider.name": provider}
    parameters: dict[str, Any] = {}
    for key, value in body.items():
        if value is None or type(value).__name__ in UNSAID:
            continue
        name = REQUEST.get(key)
        if name is None:
            parameters[key] = value
        else:
            context[name] = value
    if parameters:
        context["parameters"] = parameters
    return f"{operation} {body.get('model') or ''}".strip(), context


def get(thing: Any, name: str) -> Any:
    """The attribute or the key *name* of *thing*; None where it has none."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def plain_form(thing: Any) -> Any:
    """A model of pydantic as a dict without its Nones, anything else as it is."""
    dump = getattr(thing, "model_dump", None)
    if dump is None or isinstance(thing, type):
        return thing
    try:
        return dump(mode="json", exclude_none=True, warnings=False)
    except Exception:  # a form that pydantic cannot dump; the recorder's own reading of it will do
        return thing


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """*fields* without those that are None or empty lists."""
    return {key: value for key, value in fields.items() if value is not None and value != []}


def total(*counts: Any) -> int | None:
    """The sum of those of *counts* that are numbers; None where none is."""
    numbers = [count for count in counts if isinstance(count, int)]
    return sum(numbers) if numbers else None
