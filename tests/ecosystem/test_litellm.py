"""litellm against a provider on 127.0.0.1."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ai_trace import Tracer
from ai_trace.bridges import instrument, uninstrument

from .fake_provider import TEXT, Provider
from .reading import TOKENS, fields_of, steps_of

litellm = pytest.importorskip("litellm", reason="litellm is not installed")


def asked(provider: Provider, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Weather?"}]
    return {"model": "openai/gpt-5", "messages": messages, "api_key": "sk-x", "api_base": f"{provider.url}/v1", **more}


def test_plain_streamed_and_asynchronous(provider: Provider, tracer: Tracer) -> None:
    """Each is one step with the answer and the tokens; the key is not in it."""

    async def main() -> None:
        assert (await litellm.acompletion(**asked(provider))).choices[0].message.content == TEXT
        async for _ in await litellm.acompletion(**asked(provider, stream=True)):
            pass

    instrument("litellm", tracer=tracer)
    assert litellm.completion(**asked(provider)).choices[0].message.content == TEXT
    stream = litellm.completion(**asked(provider, stream=True, stream_options={"include_usage": True}))
    assert "".join(piece.choices[0].delta.content or "" for piece in stream if piece.choices) == TEXT
    asyncio.run(main())
    steps = steps_of(tracer)
    assert [(step.name, step.outcome) for step in steps] == [("chat openai/gpt-5", "ok")] * 4
    for step in steps:
        assert fields_of(step)["gen_ai.output.messages"][0]["content"] == TEXT
        assert "sk-x" not in str(step.context)
    assert [step.usage["input_tokens"] for step in steps[:3]] == [TOKENS["input_tokens"]] * 3


def test_with_the_client_below_the_tokens_are_counted_once(provider: Provider, tracer: Tracer) -> None:
    """litellm asks OpenAI through its client; that call is the child."""
    instrument("litellm", tracer=tracer)
    instrument("openai", tracer=tracer)
    litellm.completion(**asked(provider))
    outer, inner = steps_of(tracer)
    assert inner.parent == outer.id
    assert outer.usage.get("input_tokens", 0) + inner.usage["input_tokens"] == TOKENS["input_tokens"]


def test_errors_and_the_way_back(provider: Provider, tracer: Tracer) -> None:
    """As with the other bridges."""
    before = litellm.completion
    instrument("litellm", tracer=tracer)
    provider.statuses = [400]
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**asked(provider, num_retries=0, max_retries=0))
    assert [step.outcome for step in steps_of(tracer)] == ["error"]
    uninstrument()
    assert litellm.completion is before
