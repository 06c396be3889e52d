"""Any session goes through every exporter, and messages in any form are understood."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ai_trace import genai
from ai_trace.exporters import atif, csv, messages, otlp, perfetto, protobuf, sqlite
from ai_trace.exporters.losses import Losses
from ai_trace.record import Record
from ai_trace.session import fold
from tests.exporting import NASTY, valid_json
from tests.records import seeded

KEYS = [name.genai for name in genai.TABLE] + sorted(genai.WORDS) + [
    "role", "content", "parts", "type", "text", "tool_calls", "function", "arguments", "id", "name",
    "input", "output", "message", "_t", "$cut", "summary", "thinking", "functionCall",
    "functionResponse", "response", "args", "a.b", "",
]  # fmt: skip
FIELDS = (
    "name", "outcome", "started_at", "duration_ms", "id", "parent", "error", "usage", "context", "logs",
    "finished_at", "traceback", "thread", "task", "session", "notice", "dropped", "redacted",
)  # fmt: skip
TYPES = [
    "text",
    "tool_use",
    "tool_result",
    "tool_call",
    "function_call",
    "function_call_output",
    "thinking",
    "reasoning",
]


def anything(rng: random.Random, depth: int = 0) -> Any:
    """A random value as a parsed line can hold one."""
    kind = rng.randrange(10 if depth < 4 else 7)
    if kind < 3:
        return rng.choice([*NASTY[:-6], "user", "assistant", "tool", "c1", *TYPES])[:300]
    if kind < 7:
        return rng.choice(
            [None, True, False, 0, -1, 2**64, 10**400, 0.5, -0.0, 1e308, 1709300422.5, rng.random()]
        )
    if kind == 7:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): anything(rng, depth + 1) for _ in range(rng.randrange(5))}


def test_any_session_goes_through_every_format() -> None:
    """800 sessions of steps with random fields: strict JSON, bytes for the binary form, rows, a database."""
    rng = seeded()
    for _ in range(800):
        records = [
            Record.from_data(
                {field: anything(rng) for field in FIELDS if rng.random() < 0.8},
                id=f"line-{n:06d}", offset=n,
                open=rng.random() < 0.2,
            )
            for n in range(rng.randrange(6))
        ]  # fmt: skip
        head = anything(rng)
        one = fold(records, info=head if isinstance(head, dict) else {}, notices=["x"])
        for more in (False, True):
            for line in otlp.export(one, Losses(), with_openinference=more):
                assert protobuf.encode(valid_json(line))
        assert valid_json(b"".join(atif.export(one, Losses())))["steps"]
        valid_json(b"".join(perfetto.export(one, Losses())))
        assert b"".join(csv.export(one, Losses())).decode("utf-8")
        if rng.random() < 0.05:  # the slowest, for its file
            assert b"".join(sqlite.export(one, Losses()))


OPENAI = [
    {"role": "assistant", "content": "let me see", "reasoning_content": "hm",
     "tool_calls": [
         {"id": "c1", "type": "function", "function": {"name": "price", "arguments": '{"s": "X"}'}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "101"},
]  # fmt: skip
RESPONSES = [
    {"type": "reasoning", "summary": "hm"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "let me see"}]},
    {"type": "function_call", "call_id": "c1", "name": "price", "arguments": '{"s": "X"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "101"},
]
ANTHROPIC = [
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "let me see"},
        {"type": "tool_use", "id": "c1", "name": "price", "input": {"s": "X"}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "101"}]},
]  # fmt: skip
GOOGLE = [
    {"role": "model", "parts": [
        {"text": "hm", "thought": True}, {"text": "let me see"},
        {"functionCall": {"id": "c1", "name": "price", "args": {"s": "X"}}}]},
    {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "price", "response": "101"}}]},
]  # fmt: skip
CONVENTIONS = [
    {"role": "assistant", "parts": [
        {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "let me see"},
        {"type": "tool_call", "id": "c1", "name": "price", "arguments": {"s": "X"}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "101"}]},
]  # fmt: skip


@pytest.mark.parametrize("form", [OPENAI, RESPONSES, ANTHROPIC, GOOGLE, CONVENTIONS],
                         ids=["openai", "responses", "anthropic", "google", "conventions"])  # fmt: skip
def test_messages_of_every_provider_say_the_same(form: list[dict[str, Any]]) -> None:
    """Text, reasoning, the wish for a tool and its result, whatever they were called."""
    found = messages.read(form, "assistant")

    assert "let me see" == "".join(one.text for one in found)
    assert "hm" == "".join(one.reasoning for one in found)
    assert [messages.Call("c1", "price", {"s": "X"})] == [call for one in found for call in one.calls]
    assert [("c1", "101")] == [tuple(result) for one in found for result in one.results]


def test_messages_in_the_form_of_the_conventions_stay_as_they_are() -> None:
    """What a bridge logged by the conventions comes out word for word."""
    assert CONVENTIONS == messages.parts(messages.read(CONVENTIONS, "assistant"))


def test_what_no_form_explains_is_kept() -> None:
    """An image or an unknown block goes through as it was."""
    image = {"type": "image_url", "image_url": {"url": "data:…"}}
    found = messages.parts(messages.read([{"role": "user", "content": [image, "look", 3]}], "user"))

    assert [{"role": "user", "parts": [{"type": "text", "content": "look\n3"}, image]}] == found
