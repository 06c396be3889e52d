"""Anthropic: what its messages and streams say.

Anthropic counts input apart: fresh, read from the cache, written to it. `gen_ai.usage.input_tokens` is their sum,
as the GenAI conventions ask, with the cached parts told beside it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from . import stainless
from .calls import Source
from .patches import Patches
from .stainless import Endpoint, Library
from .words import get, plain_form, total, without_none

__all__ = ["MessageFold", "install", "message_answer", "share"]

CLIENTS: Final = (
    "Anthropic", "AnthropicBedrock", "AnthropicVertex", "AnthropicFoundry",
    "AsyncAnthropic", "AsyncAnthropicBedrock", "AsyncAnthropicVertex", "AsyncAnthropicFoundry",
)  # fmt: skip


def message_answer(answer: Any) -> dict[str, Any]:
    """The fields of a `Message`, an object or its JSON."""
    usage, reason = get(answer, "usage"), get(answer, "stop_reason")
    read, written = get(usage, "cache_read_input_tokens"), get(usage, "cache_creation_input_tokens")
    content = [plain_form(block) for block in get(answer, "content") or []]
    return without_none(
        {
            "gen_ai.response.id": get(answer, "id"),
            "gen_ai.response.model": get(answer, "model"),
            "gen_ai.response.finish_reasons": [reason] if reason else None,
            "gen_ai.output.messages": [{"role": "assistant", "content": content}] if content else None,
            "gen_ai.usage.input_tokens": total(get(usage, "input_tokens"), read, written),
            "gen_ai.usage.output_tokens": get(usage, "output_tokens"),
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_creation.input_tokens": written,
        }
    )


class MessageFold:
    """The events of a streamed message, put together to the message."""

    def __init__(self) -> None:
        self.complete = False
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def add(self, event: Any) -> None:
        """Take in a `RawMessageStreamEvent`."""
        kind, at = get(event, "type"), get(event, "index") or 0
        if kind == "message_start":
            message = get(event, "message")
            self._message = {name: get(message, name) for name in ("id", "model")}
            self._count(get(message, "usage"))
        elif kind == "content_block_start":
            self._blocks[at] = dict(plain_form(get(event, "content_block")))
        elif kind == "content_block_delta":
            self._piece(at, get(event, "delta"))
        elif kind == "message_delta":
            self._message["stop_reason"] = get(get(event, "delta"), "stop_reason")
            self._count(get(event, "usage"))
        elif kind == "message_stop":
            self.complete = True

    def _count(self, usage: Any) -> None:
        self._usage.update(without_none(dict(plain_form(usage) or {})))

    def _piece(self, at: int, delta: Any) -> None:
        for name in ("text", "partial_json", "thinking", "signature"):
            piece = get(delta, name)
            if isinstance(piece, str):
                self._pieces.setdefault((at, name), []).append(piece)

    def fields(self) -> dict[str, Any]:
        """What the events said so far."""
        blocks = [self._block(at) for at in sorted({*self._blocks, *(at for at, _ in self._pieces)})]
        return message_answer({**self._message, "content": blocks, "usage": self._usage})

    def _block(self, at: int) -> dict[str, Any]:
        block = dict(self._blocks.get(at, {}))
        for (where, name), pieces in self._pieces.items():
            if where == at:
                text = "".join(pieces)
                block["input" if name == "partial_json" else name] = _arguments(text) if name == "partial_json" else text
        return block


def _arguments(text: str) -> Any:
    """The arguments of a tool call; as text where the stream was broken off within them."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {"/messages": Endpoint("chat", message_answer, MessageFold)}
)


def install(client: Any, source: Source) -> Patches:
    """Record what *client* asks, or where it is None, every client of the library."""
    return stainless.install(_library(), client, source)


def share() -> Patches:
    """What every stream of the library needs."""
    return stainless.share(_library().module)


def _library() -> Library:
    return Library(importlib.import_module("anthropic"), CLIENTS, _provider, ENDPOINTS)


def _provider(client: Any) -> str:
    name = type(client).__name__
    return "aws.bedrock" if "Bedrock" in name else "gcp.vertex_ai" if "Vertex" in name else "anthropic"
