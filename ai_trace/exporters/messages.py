"""Messages to and from a model, in whatever form they were logged, read into one form. Total.

Understood are the forms of OpenAI (`content`, `tool_calls`, Responses items), Anthropic (blocks of
`tool_use`, `tool_result`, `thinking`), Google (`parts` with `text`, `functionCall`), and of the
OpenTelemetry conventions (`parts` with a `type`). What is understood in none of them stays as JSON text, so
nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .values import compact, text_of

__all__ = ["Call", "Message", "Result", "arguments_of", "parts", "read"]

_MOST: Final = 10_000  # messages of one call


class Call(NamedTuple):
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: Any


class Result(NamedTuple):
    """What a tool answered to the call *id*."""

    id: str
    value: Any


class Message(NamedTuple):
    """One message: its text, its reasoning, the calls it wishes, the results it brings, and what is left."""

    role: str
    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    other: tuple[Any, ...] = ()  # images, audio, files: as they were logged


def read(value: Any, role: str) -> list[Message]:
    """The messages in *value*; *role* is whose they are where they do not say."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list):
        return [_message(one, role) for one in value[:_MOST]]
    return [_message(value, role)] if value not in (None, "", {}) else []


def parts(messages: list[Message]) -> list[dict[str, Any]]:
    """*messages* in the form of the OpenTelemetry conventions for `gen_ai.input.messages`."""
    return [{"role": message.role, "parts": list(_parts(message))} for message in messages]


def arguments_of(value: Any) -> dict[str, Any]:
    """The arguments of a call as an object, also where they came as JSON text; what is none under "value"."""
    known = _parsed(value) if isinstance(value, str) else value
    if isinstance(known, dict):
        return known
    return {} if known in (None, "") else {"value": known}


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    if message.reasoning:
        yield {"type": "reasoning", "content": message.reasoning}
    if message.text:
        yield {"type": "text", "content": message.text}
    for call in message.calls:
        yield {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
    for result in message.results:
        yield {"type": "tool_call_response", "id": result.id, "response": result.value}
    for one in message.other:
        yield (
            one
            if isinstance(one, dict) and isinstance(one.get("type"), str)
            else {"type": "other", "content": one}
        )


class _Draft:
    """A message while its pieces are found."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[Call] = []
        self.results: list[Result] = []
        self.other: list[Any] = []

    def message(self, role: str) -> Message:
        return Message(
            role, "\n".join(self.text), "\n".join(self.reasoning),
            tuple(self.calls), tuple(self.results), tuple(self.other),
        )  # fmt: skip

    def take(self, piece: Any) -> None:
        """One piece of a message's content."""
        if isinstance(piece, str):
            self.text.append(piece)
        elif isinstance(piece, dict):
            if not self._known(piece, piece.get("type")):
                self.other.append(piece)
        elif piece is not None:
            self.text.append(compact(piece))

    def _known(self, piece: dict[str, Any], kind: Any) -> bool:
        text = piece.get("text", piece.get("content"))
        if kind in ("text", "input_text", "output_text", "refusal", None) and isinstance(text, str):
            (self.reasoning if piece.get("thought") is True else self.text).append(text)
        elif kind in ("reasoning", "thinking"):
            self.reasoning.append(
                text_of(piece.get("thinking") or piece.get("content") or piece.get("summary") or "")
            )
        elif kind in ("tool_use", "tool_call", "function_call", "server_tool_use"):
            self.call(piece)
        elif kind in ("tool_result", "tool_call_response", "function_call_output"):
            answer = next(
                (piece[key] for key in ("content", "response", "result", "output") if key in piece), ""
            )
            self.results.append(Result(_id(piece, "tool_use_id", "call_id", "id"), answer))
        elif isinstance(call := piece.get("functionCall", piece.get("function_call")), dict):
            self.call(call)
        elif isinstance(answer := piece.get("functionResponse", piece.get("function_response")), dict):
            self.results.append(Result(_id(answer, "id", "name"), answer.get("response")))
        else:
            return False
        return True

    def call(self, piece: dict[str, Any]) -> None:
        inner = piece["function"] if isinstance(piece.get("function"), dict) else piece
        given: Any = next((inner[key] for key in ("arguments", "input", "args") if key in inner), {})
        known = _parsed(given) if isinstance(given, str) else given
        self.calls.append(Call(_id(piece, "call_id", "id"), text_of(inner.get("name") or ""), known))


def _message(value: Any, role: str) -> Message:
    draft = _Draft()
    if not isinstance(value, dict):
        draft.take(value)
        return draft.message(role)
    own = value.get("role")
    role = own if isinstance(own, str) and own else role
    content = next((value[key] for key in ("content", "parts") if value.get(key) not in (None, "")), None)
    reasoning = value.get("reasoning_content", value.get("reasoning"))
    if isinstance(reasoning, str) and reasoning:
        draft.reasoning.append(reasoning)
    if role == "tool" and _id(value, "tool_call_id", "call_id"):
        draft.results.append(Result(_id(value, "tool_call_id", "call_id"), content))
    elif content is None and "role" not in value:
        draft.take(value)  # an item of the Responses API, or a block alone
    else:
        for piece in content if isinstance(content, list) else [content]:
            draft.take(piece)
    calls = value.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            draft.call(call)
        else:
            draft.other.append(call)
    return draft.message(role)


def _id(piece: dict[str, Any], *keys: str) -> str:
    """The first of *keys* that has a text."""
    return next((piece[key] for key in keys if isinstance(piece.get(key), str) and piece[key]), "")


def _parsed(text: str) -> Any:
    """*text* as the JSON that it is, else as it is."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
