"""What a step says about a call to a model or a tool, in the words that other tools know. Pure.

One table names each thing three times: the attribute of the OpenTelemetry semantic conventions for
generative AI, version 1.41 (the last in which they stand in the common repository:
https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-spans.md), the plain
word that an agent may log instead, and the attribute of OpenInference
(https://arize-ai.github.io/openinference/spec/attributes/semantic-conventions.html).

A bridge logs under the GenAI names. `attributes` finds them again in a step, whoever said them:
every top-level key `gen_ai.*` of its context and logs, and in a step that calls a model the plain words, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .record import USAGE_NAMES, Record

__all__ = [
    "AGENT", "ARGUMENTS", "CALL_ID", "CONVENTIONS", "COST", "INPUT_MESSAGES", "INSTRUCTIONS", "LIST_NAMES",
    "MESSAGE_NAMES", "MODEL", "OPENINFERENCE", "OPERATION", "OUTPUT_MESSAGES", "PREFIX", "RESPONSE_MODEL",
    "RESULT", "TABLE", "TOOL", "USAGE", "WORDS", "Name", "attributes", "takes",
]  # fmt: skip

CONVENTIONS: Final = "1.41"
PREFIX: Final = "gen_ai."


class Name(NamedTuple):
    """One thing that can be said, in three vocabularies; None where one has no word for it."""

    genai: str
    word: str | None = None
    openinference: str | None = None


TABLE: Final = (
    Name("gen_ai.operation.name"),
    Name("gen_ai.provider.name", "provider", "llm.provider"),
    Name("gen_ai.agent.name", None, "agent.name"),
    Name("gen_ai.agent.id"),
    Name("gen_ai.conversation.id"),
    # The request
    Name("gen_ai.request.model", "model", "llm.model_name"),
    Name("gen_ai.request.temperature", "temperature"),
    Name("gen_ai.request.top_p", "top_p"),
    Name("gen_ai.request.top_k", "top_k"),
    Name("gen_ai.request.max_tokens", "max_tokens"),
    Name("gen_ai.request.seed", "seed"),
    Name("gen_ai.request.stop_sequences", "stop"),
    Name("gen_ai.request.frequency_penalty", "frequency_penalty"),
    Name("gen_ai.request.presence_penalty", "presence_penalty"),
    Name("gen_ai.request.choice.count"),
    Name("gen_ai.request.stream", "stream"),
    Name("gen_ai.output.type"),
    Name("gen_ai.system_instructions", "system"),
    Name("gen_ai.input.messages", "messages"),
    Name("gen_ai.tool.definitions", "tools"),
    # The answer
    Name("gen_ai.response.model", None, "llm.model_name"),
    Name("gen_ai.response.id", "response_id"),
    Name("gen_ai.response.finish_reasons", "finish_reason", "llm.finish_reason"),
    Name("gen_ai.response.time_to_first_chunk", "time_to_first_chunk"),
    Name("gen_ai.output.messages", "answer"),
    # What it used, by the words of `record.USAGE_NAMES`
    Name("gen_ai.usage.input_tokens", "input_tokens", "llm.token_count.prompt"),
    Name("gen_ai.usage.output_tokens", "output_tokens", "llm.token_count.completion"),
    Name(
        "gen_ai.usage.cache_read.input_tokens", "cached_tokens", "llm.token_count.prompt_details.cache_read"
    ),
    Name("gen_ai.usage.cache_creation.input_tokens", None, "llm.token_count.prompt_details.cache_write"),
    Name(
        "gen_ai.usage.reasoning.output_tokens",
        "reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    # A tool at work
    Name("gen_ai.tool.name", None, "tool.name"),
    Name("gen_ai.tool.description", None, "tool.description"),
    Name("gen_ai.tool.type"),
    Name("gen_ai.tool.call.id", None, "tool.id"),
    Name("gen_ai.tool.call.arguments", None, "tool.parameters"),
    Name("gen_ai.tool.call.result"),
)

OPERATION: Final = "gen_ai.operation.name"
AGENT: Final = "gen_ai.agent.name"
MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL: Final = "gen_ai.tool.name"
CALL_ID: Final = "gen_ai.tool.call.id"
ARGUMENTS: Final = "gen_ai.tool.call.arguments"
RESULT: Final = "gen_ai.tool.call.result"
COST: Final = "ai_trace.usage.cost_usd"  # the conventions have no name for money

MESSAGE_NAMES: Final = (INSTRUCTIONS, INPUT_MESSAGES, OUTPUT_MESSAGES)
LIST_NAMES: Final = (
    "gen_ai.response.finish_reasons",
    "gen_ai.request.stop_sequences",
)  # lists of str, even of one

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {name.word: name.genai for name in TABLE if name.word} | {"cost_usd": COST, "cache_read_input_tokens":
     "gen_ai.usage.cache_read.input_tokens", "finish_reasons": "gen_ai.response.finish_reasons"}
)  # fmt: skip
"""Plain word -> GenAI attribute."""

OPENINFERENCE: Final[Mapping[str, str]] = MappingProxyType(
    {name.genai: name.openinference for name in TABLE if name.openinference} | {COST: "llm.cost.total"}
)
"""GenAI attribute -> OpenInference attribute."""

USAGE: Final[Mapping[str, str]] = MappingProxyType(
    {word: WORDS[word] for word in dict.fromkeys(USAGE_NAMES.values()) if word != "model"}
)
"""Number under `usage` in a step's line -> GenAI attribute."""


def attributes(record: Record) -> dict[str, Any]:
    """GenAI attribute -> value, as *record* said it last; {} for a step that calls neither model nor tool.

    Tokens and cost are the sums over the step, as `record.usage` has them. Where the operation was not named,
    it is "execute_tool" for a step that names a tool, "chat" for one that names a model or tokens.
    """
    found: dict[str, Any] = {}
    for part in (record.context, *record.logs):
        for key, value in part.items():
            if takes(record, key):
                found[WORDS.get(key, key)] = value
    for word, name in USAGE.items():
        if word in record.usage:
            found[name] = record.usage[word]
    if "model" in record.usage and RESPONSE_MODEL not in found:
        found.setdefault(MODEL, record.usage["model"])
    for name in LIST_NAMES:
        if name in found and not isinstance(found[name], list):
            found[name] = [found[name]]
    if found and OPERATION not in found:
        found[OPERATION] = "execute_tool" if TOOL in found else "chat"
    return found


def takes(record: Record, key: str) -> bool:
    """Whether the top-level *key* of a context or log of *record* is one of its GenAI attributes."""
    return key.startswith(PREFIX) or (bool(record.usage) and key in WORDS)
