"""A step's GenAI attributes in the words of OpenInference, which Phoenix and its kin read. Pure.

They stand beside the GenAI attributes on the same span. Messages are flattened as OpenInference has them:
`llm.input_messages.0.message.role`. The names are in `genai.TABLE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from .. import genai
from ..record import Record
from .messages import Message, read
from .values import compact, text_of, whole

__all__ = ["ATTRIBUTE_LIMIT", "attributes"]

ATTRIBUTE_LIMIT: Final = 10_000  # of one span, as OpenInference's own instrumentation sets it

_KINDS: Final = {
    "chat": "LLM", "generate_content": "LLM", "text_completion": "LLM", "embeddings": "EMBEDDING",
    "execute_tool": "TOOL", "retrieval": "RETRIEVER", "invoke_agent": "AGENT", "create_agent": "AGENT",
}  # fmt: skip
_PARAMETERS: Final = "gen_ai.request."


def attributes(record: Record, said: dict[str, Any], *, root: bool, session_id: str) -> dict[str, Any]:
    """The attributes of the span of *record*; *said* is what `genai.attributes` found in it."""
    kind = "AGENT" if root else "CHAIN"
    if said:
        kind = _KINDS.get(str(said[genai.OPERATION]), "CHAIN")
    found: dict[str, Any] = {"openinference.span.kind": kind, "session.id": session_id}
    found.update((genai.OPENINFERENCE[name], said[name]) for name in said if name in genai.OPENINFERENCE)
    if kind == "LLM":
        found.update(_model_call(said))
    elif kind == "TOOL":
        found.update(_value("input", said.get(genai.ARGUMENTS)))
        found.update(_value("output", said.get(genai.RESULT)))
        if "tool.parameters" in found:
            found["tool.parameters"] = text_of(found["tool.parameters"])
    if "input.value" not in found:
        found.update(_value("input", _others(record, record.context.items())))
    if "output.value" not in found:
        logged = [item for entry in record.logs for item in entry.items() if item[0] not in ("_t", "$cut")]
        found.update(_value("output", _others(record, logged)))
    return {name: value for name, value in found.items() if value is not None}


def _model_call(said: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    asked = read(said.get(genai.INSTRUCTIONS), "system") + read(said.get(genai.INPUT_MESSAGES), "user")
    answered = read(said.get(genai.OUTPUT_MESSAGES), "assistant")
    yield from _messages("llm.input_messages", asked)
    yield from _messages("llm.output_messages", answered)
    if asked:
        yield from _value("input", said.get(genai.INPUT_MESSAGES, said.get(genai.INSTRUCTIONS))).items()
    if answered:
        texts = [message.text for message in answered if message.text]
        yield from _value("output", "\n".join(texts) or said.get(genai.OUTPUT_MESSAGES)).items()
    used = [whole(said.get(genai.USAGE[word])) for word in ("input_tokens", "output_tokens")]
    if None not in used:
        yield "llm.token_count.total", sum(count for count in used if count is not None)
    if isinstance(reasons := said.get("gen_ai.response.finish_reasons"), list):
        yield "llm.finish_reason", text_of(reasons[-1]) if reasons else None
    given = {name.removeprefix(_PARAMETERS): said[name] for name in said if name.startswith(_PARAMETERS)}
    given.pop("model", None)
    if given:
        yield "llm.invocation_parameters", compact(given)


def _messages(prefix: str, messages: Iterable[Message]) -> Iterator[tuple[str, Any]]:
    for at, message in enumerate(_one_result_each(messages)):
        lead = f"{prefix}.{at}.message"
        yield f"{lead}.role", message.role
        text = message.text or "\n".join(map(compact, message.other))
        if message.results:
            yield f"{lead}.tool_call_id", message.results[0].id
            text = text_of(message.results[0].value)
        if text:
            yield f"{lead}.content", text
        for number, call in enumerate(message.calls):
            below = f"{lead}.tool_calls.{number}.tool_call"
            yield f"{below}.id", call.id
            yield f"{below}.function.name", call.name
            yield f"{below}.function.arguments", text_of(call.arguments)


def _one_result_each(messages: Iterable[Message]) -> Iterator[Message]:
    """A message for each result of a tool: OpenInference has one `tool_call_id` a message."""
    for message in messages:
        for result in message.results:
            yield Message("tool", results=(result,))
        if not message.results or message.text or message.calls or message.other:
            yield message._replace(results=())


def _value(side: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    kind = "text/plain" if isinstance(value, str) else "application/json"
    return {f"{side}.value": text_of(value), f"{side}.mime_type": kind}


def _others(record: Record, items: Iterable[tuple[str, Any]]) -> dict[str, Any] | None:
    """What *items* say beside the GenAI attributes; None for nothing."""
    return {key: value for key, value in items if not genai.takes(record, key)} or None
