"""OpenAI: what its answers and streams say. Chat completions, responses, completions and embeddings.

Tokens are OpenAI's own: `input_tokens` includes those cached, `output_tokens` those of reasoning. A chat stream
brings them only where the agent asked for them (`stream_options={"include_usage": True}`): nothing is added to
a request here, so elsewhere they stay unknown.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from . import stainless
from .calls import Source
from .patches import Patches
from .stainless import Endpoint, Library
from .words import get, plain_form, without_none

__all__ = ["ChatFold", "ResponseFold", "chat_answer", "install", "response_answer", "share"]


def chat_answer(answer: Any) -> dict[str, Any]:
    """The fields of a `ChatCompletion`, an object or its JSON."""
    choices = get(answer, "choices") or []
    return without_none(
        {
            "gen_ai.response.id": get(answer, "id"),
            "gen_ai.response.model": get(answer, "model"),
            "gen_ai.response.finish_reasons": [reason for one in choices if (reason := get(one, "finish_reason"))],
            "gen_ai.output.messages": [_said(one) for one in choices],
            **_chat_usage(get(answer, "usage")),
        }
    )


def _said(choice: Any) -> Any:
    return plain_form(get(choice, "message")) or {"role": "assistant", "content": get(choice, "text")}


def _chat_usage(usage: Any) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": get(usage, "prompt_tokens"),
        "gen_ai.usage.output_tokens": get(usage, "completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": get(get(usage, "prompt_tokens_details"), "cached_tokens"),
        "gen_ai.usage.reasoning.output_tokens": get(get(usage, "completion_tokens_details"), "reasoning_tokens"),
    }


class ChatFold:
    """The chunks of a chat completion, put together to the messages they make."""

    def __init__(self) -> None:
        self.complete = False
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Any) -> None:
        """Take in a `ChatCompletionChunk`."""
        for name in ("id", "model", "usage"):
            value = get(chunk, name)
            if value is not None:
                self._head[name] = plain_form(value)
        for choice in get(chunk, "choices") or []:
            self._choices.setdefault(get(choice, "index") or 0, _Choice()).add(choice)
        self.complete = bool(self._choices) and all(one.reason for one in self._choices.values())

    def fields(self) -> dict[str, Any]:
        """What the chunks said so far."""
        choices = [self._choices[at] for at in sorted(self._choices)]
        said = [{"message": one.message(), "finish_reason": one.reason} for one in choices]
        return chat_answer({**self._head, "choices": said})


class _Choice:
    """One of the answers that are streamed side by side."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._role: str = "assistant"
        self._texts: dict[str, list[str]] = {}  # content, refusal, and reasoning where a server streams it
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, choice: Any) -> None:
        self.reason = get(choice, "finish_reason") or self.reason
        delta = get(choice, "delta")
        self._role = get(delta, "role") or self._role
        if delta is None:
            self._text("content", get(choice, "text"))
        for name in ("content", "refusal", "reasoning_content"):
            self._text(name, get(delta, name))
        for call in get(delta, "tool_calls") or []:
            self._call(call)

    def _text(self, name: str, piece: Any) -> None:
        if isinstance(piece, str) and piece:
            self._texts.setdefault(name, []).append(piece)

    def _call(self, call: Any) -> None:
        known = self._calls.setdefault(get(call, "index") or 0, {"id": None, "name": None, "arguments": []})
        function = get(call, "function")
        known["id"] = get(call, "id") or known["id"]
        known["name"] = get(function, "name") or known["name"]
        known["arguments"].append(get(function, "arguments") or "")

    def message(self) -> dict[str, Any]:
        said: dict[str, Any] = {"role": self._role} | {name: "".join(text) for name, text in self._texts.items()}
        if self._calls:
            said["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": "".join(call["arguments"])},
                }
                for _, call in sorted(self._calls.items())
            ]
        return said


def response_answer(answer: Any) -> dict[str, Any]:
    """The fields of a `Response` of the responses API, an object or its JSON."""
    usage = get(answer, "usage")
    why = get(get(answer, "incomplete_details"), "reason") or get(answer, "status")
    return without_none(
        {
            "gen_ai.response.id": get(answer, "id"),
            "gen_ai.response.model": get(answer, "model"),
            "gen_ai.response.finish_reasons": [why] if why else None,
            "gen_ai.output.messages": [plain_form(item) for item in get(answer, "output") or []],
            "gen_ai.usage.input_tokens": get(usage, "input_tokens"),
            "gen_ai.usage.output_tokens": get(usage, "output_tokens"),
            "gen_ai.usage.cache_read.input_tokens": get(get(usage, "input_tokens_details"), "cached_tokens"),
            "gen_ai.usage.reasoning.output_tokens": get(get(usage, "output_tokens_details"), "reasoning_tokens"),
            "error.message": get(get(answer, "error"), "message"),
        }
    )


class ResponseFold:
    """The events of a streamed response; the last brings the whole, and before it the pieces are kept."""

    def __init__(self) -> None:
        self.complete = False
        self._response: Any = None
        self._items: dict[int, Any] = {}
        self._texts: dict[int, list[str]] = {}

    def add(self, event: Any) -> None:
        """Take in a `ResponseStreamEvent`."""
        kind, at = str(get(event, "type")), get(event, "output_index") or 0
        if get(event, "response") is not None:
            self._response = get(event, "response")
            self.complete = kind in ("response.completed", "response.incomplete", "response.failed")
        elif kind == "response.output_item.done":
            self._items[at] = plain_form(get(event, "item"))
        elif kind in ("response.output_text.delta", "response.function_call_arguments.delta"):
            self._texts.setdefault(at, []).append(get(event, "delta") or "")

    def fields(self) -> dict[str, Any]:
        """What the events said so far."""
        fields = response_answer(self._response)
        if not self.complete:
            partial = {at: {"role": "assistant", "content": "".join(text)} for at, text in self._texts.items()}
            partial.update(self._items)
            fields["gen_ai.output.messages"] = [partial[at] for at in sorted(partial)]
        return without_none(fields)


def _embedding_answer(answer: Any) -> dict[str, Any]:
    usage = get(answer, "usage")
    return without_none(
        {
            "gen_ai.response.model": get(answer, "model"),
            "gen_ai.usage.input_tokens": get(usage, "prompt_tokens"),
            "embeddings": len(get(answer, "data") or []),
        }
    )


ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {
        "/chat/completions": Endpoint("chat", chat_answer, ChatFold),
        "/responses": Endpoint("chat", response_answer, ResponseFold),
        "/completions": Endpoint("text_completion", chat_answer, ChatFold),
        "/embeddings": Endpoint("embeddings", _embedding_answer, ChatFold),
    }
)


def install(client: Any, source: Source) -> Patches:
    """Record what *client* asks, or where it is None, every client of the library."""
    return stainless.install(_library(), client, source)


def share() -> Patches:
    """What every stream of the library needs."""
    return stainless.share(_library().module)


def _library() -> Library:
    return Library(importlib.import_module("openai"), ("OpenAI", "AsyncOpenAI"), _provider, ENDPOINTS)


def _provider(client: Any) -> str:
    return "azure.ai.openai" if "Azure" in type(client).__name__ else "openai"
