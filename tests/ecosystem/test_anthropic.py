"""Anthropic's client against a provider on 127.0.0.1: what the agent gets is unchanged, what happened is in the trace."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from ai_trace import Tracer
from ai_trace.bridges import instrument, uninstrument

from .fake_provider import TEXT, Provider
from .reading import fields_of, steps_of, the_step, tokens_of

anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed")

ASK = {"model": "claude-5", "max_tokens": 99, "messages": [{"role": "user", "content": "Weather in Oslo?"}]}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
TOKENS = {"input_tokens": 20, "output_tokens": 7, "cached_tokens": 8}  # 9 fresh, 8 from the cache, 3 written to it
ANSWER = [{"role": "assistant", "content": [{"type": "text", "text": TEXT}]}]


def client_of(provider: Provider, **options: Any) -> Any:
    client = anthropic.Anthropic(api_key="sk-x", base_url=provider.url, **options)
    provider.clients.append(client)
    return client


def test_a_message_is_a_step(provider: Provider, tracer: Tracer) -> None:
    """Model, messages, parameters, answer, finish reason, and tokens with the cached ones in the sum."""
    instrument(anthropic, tracer=tracer)
    answer = client_of(provider).messages.create(**ASK, system="Be brief.", tool_choice={"type": "auto"})

    step = the_step(tracer)
    fields = fields_of(step)
    assert answer.content[0].text == TEXT
    assert (step.name, step.outcome) == ("chat claude-5", "ok")
    assert fields["gen_ai.input.messages"] == ASK["messages"]
    assert fields["gen_ai.system_instructions"] == "Be brief."
    assert fields["gen_ai.request.max_tokens"] == 99
    assert fields["parameters"] == {"tool_choice": {"type": "auto"}}
    assert fields["gen_ai.output.messages"] == ANSWER
    assert fields["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert fields["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert tokens_of(step) == TOKENS


def test_streams_are_recorded_when_they_end(provider: Provider, tracer: Tracer) -> None:
    """`create(stream=True)` and the `stream()` helper with its text and its final message."""
    instrument(anthropic, tracer=tracer)
    client = client_of(provider)
    stream = client.messages.create(**ASK, stream=True)
    assert type(stream) is anthropic.Stream
    assert [event.type for event in stream][-1] == "message_stop"
    with client.messages.stream(**ASK) as helper:
        assert "".join(helper.text_stream) == TEXT
        assert helper.get_final_message().usage.output_tokens == 7

    steps = steps_of(tracer)
    assert [step.outcome for step in steps] == ["ok", "ok"]
    for step in steps:
        fields = fields_of(step)
        assert fields["gen_ai.output.messages"] == ANSWER
        assert fields["gen_ai.response.finish_reasons"] == ["end_turn"]
        assert 0 < fields["gen_ai.response.time_to_first_chunk"] < 60
        assert tokens_of(step) == TOKENS


def test_tool_calls_of_a_stream_are_put_together(provider: Provider, tracer: Tracer) -> None:
    """The pieces of the arguments become the arguments."""
    instrument(anthropic, tracer=tracer)
    list(client_of(provider).messages.create(**ASK, tools=[TOOL], stream=True))
    (said,) = fields_of(the_step(tracer))["gen_ai.output.messages"]
    assert said["content"] == [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}]


def test_streams_broken_off_and_abandoned(provider: Provider, tracer: Tracer) -> None:
    """Closed within the helper, let go of, and broken by the connection: each step ends, with what had come."""
    instrument(anthropic, tracer=tracer)
    client = client_of(provider)
    with client.messages.stream(**ASK) as stream:
        next(stream.text_stream)
    abandoned = client.messages.create(**ASK, stream=True)
    next(abandoned)
    del abandoned
    gc.collect()
    provider.cut_after = 5
    with pytest.raises(Exception):
        list(client.messages.create(**ASK, stream=True))

    closed, gone, broken = steps_of(tracer)
    assert [closed.outcome, gone.outcome, broken.outcome] == ["cancelled", "cancelled", "error"]
    assert fields_of(closed)["gen_ai.output.messages"][0]["content"][0]["text"] == "It is "
    assert fields_of(broken)["gen_ai.output.messages"][0]["content"][0]["text"] == "It is sunny "


def test_retries_and_errors_are_told(provider: Provider, tracer: Tracer) -> None:
    """A refusal and an answer are one step with one retry; a call that fails has its status and error."""
    instrument(anthropic, tracer=tracer)
    client = client_of(provider)
    provider.statuses = [529]
    client.messages.create(**ASK)
    provider.statuses = [400]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ASK)
    retried, failed = steps_of(tracer)
    assert retried.logs[0]["message"] == "retry after status 529"
    assert failed.outcome == "error" and failed.error.startswith("BadRequestError: ")
    assert fields_of(failed)["http.response.status_code"] == 400


def test_asynchronous_calls_and_streams(provider: Provider, tracer: Tracer) -> None:
    """The same with `AsyncAnthropic`, its helper included."""

    async def main() -> None:
        async with anthropic.AsyncAnthropic(api_key="sk-x", base_url=provider.url) as client:
            await client.messages.create(**ASK)
            stream = await client.messages.create(**ASK, stream=True)
            assert [event.type async for event in stream][-1] == "message_stop"
            async with client.messages.stream(**ASK) as helper:
                assert await helper.get_final_text() == TEXT
            async with client.messages.stream(**ASK) as helper:
                async for _ in helper.text_stream:
                    break

    instrument(anthropic, tracer=tracer)
    asyncio.run(main())
    steps = steps_of(tracer)
    assert [step.outcome for step in steps] == ["ok", "ok", "ok", "cancelled"]
    assert all(fields_of(step)["gen_ai.output.messages"] == ANSWER for step in steps[:3])
    assert all(tokens_of(step) == TOKENS for step in steps[:3])


def test_raw_responses_and_beta(provider: Provider, tracer: Tracer) -> None:
    """`with_raw_response` and the beta messages pass the same place."""
    instrument(anthropic, tracer=tracer)
    client = client_of(provider)
    assert client.messages.with_raw_response.create(**ASK).parse().content[0].text == TEXT
    client.beta.messages.create(**ASK)
    assert [fields_of(step)["gen_ai.output.messages"] for step in steps_of(tracer)] == [ANSWER, ANSWER]


def test_uninstrument_puts_everything_back(provider: Provider, tracer: Tracer) -> None:
    """Classes are what they were, and a call leaves no step."""
    names = ("Anthropic", "AsyncAnthropic", "AnthropicBedrock", "Stream", "AsyncStream")
    before = {name: dict(vars(getattr(anthropic, name))) for name in names}
    instrument(anthropic, tracer=tracer)
    uninstrument(anthropic)
    assert {name: dict(vars(getattr(anthropic, name))) for name in names} == before
    client_of(provider).messages.create(**ASK)
    assert steps_of(tracer) == []
