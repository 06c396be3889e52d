"""OpenAI's client against a provider on 127.0.0.1: what the agent gets is unchanged, what happened is in the trace."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer
from ai_trace.bridges import instrument, instrumented, uninstrument

from .fake_provider import TEXT, Provider
from .reading import TOKENS, fields_of, steps_of, the_step, tokens_of

openai = pytest.importorskip("openai", reason="openai is not installed")

ASK = {"model": "gpt-5", "messages": [{"role": "user", "content": "Weather in Oslo?"}]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def client_of(provider: Provider, **options: Any) -> Any:
    client = openai.OpenAI(api_key="sk-x", base_url=f"{provider.url}/v1", **options)
    provider.clients.append(client)
    return client


def async_client_of(provider: Provider, **options: Any) -> Any:
    return openai.AsyncOpenAI(api_key="sk-x", base_url=f"{provider.url}/v1", **options)


def test_a_chat_completion_is_a_step(provider: Provider, tracer: Tracer) -> None:
    """Model, messages, parameters, answer, tokens and finish reason of one plain call."""
    instrument(openai, tracer=tracer)
    answer = client_of(provider).chat.completions.create(**ASK, temperature=0.5, metadata={"run": "7"})

    step = the_step(tracer)
    fields = fields_of(step)
    assert answer.choices[0].message.content == TEXT
    assert (step.name, step.outcome) == ("chat gpt-5", "ok")
    assert fields["gen_ai.input.messages"] == ASK["messages"]
    assert fields["gen_ai.request.temperature"] == 0.5
    assert fields["parameters"] == {"metadata": {"run": "7"}}
    assert fields["gen_ai.output.messages"] == [{"role": "assistant", "content": TEXT}]
    assert fields["gen_ai.response.finish_reasons"] == ["stop"]
    assert step.usage["model"] == "gpt-5-2026"
    assert tokens_of(step) == TOKENS


def test_a_call_is_a_child_of_the_current_step(provider: Provider, tracer: Tracer, tmp_path: Any) -> None:
    """Where a step is current, its tracer gets the call, whatever tracer was given."""
    other = Tracer("other", tmp_path / "other")
    instrument(openai, tracer=other)
    with tracer.step("decide") as decide:
        client_of(provider).chat.completions.create(**ASK)
    call = steps_of(tracer)[1]
    assert call.parent == decide.id
    assert other.summary()["steps"] == 0
    other.close()


def test_without_tracer_and_step_nothing_is_recorded(provider: Provider, tracer: Tracer) -> None:
    """A bridge invents no session."""
    instrument(openai)
    assert client_of(provider).chat.completions.create(**ASK).id == "chatcmpl-1"
    assert not tracer.path.exists()


def test_a_stream_is_recorded_when_it_ends(provider: Provider, tracer: Tracer) -> None:
    """The pieces reach the agent one by one; the step holds the whole, and the time to the first."""
    instrument(openai, tracer=tracer)
    stream = client_of(provider).chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    assert type(stream) is openai.Stream
    assert ai_trace.current_step() is None
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    step = the_step(tracer)
    fields = fields_of(step)
    assert text == TEXT
    assert step.outcome == "ok"
    assert fields["gen_ai.output.messages"] == [{"role": "assistant", "content": TEXT}]
    assert 0 < fields["gen_ai.response.time_to_first_chunk"] < 60
    assert tokens_of(step) == TOKENS


def test_tool_calls_of_a_stream_are_put_together(provider: Provider, tracer: Tracer) -> None:
    """Name, id and arguments of a tool call whose pieces came one by one."""
    instrument(openai, tracer=tracer)
    list(client_of(provider).chat.completions.create(**ASK, tools=[TOOL], stream=True))
    (said,) = fields_of(the_step(tracer))["gen_ai.output.messages"]
    (call,) = said["tool_calls"]
    assert call == {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


def test_a_stream_that_is_closed_is_recorded_as_cancelled(provider: Provider, tracer: Tracer) -> None:
    """What had come until then is kept, and the step ends at the close, not later."""
    instrument(openai, tracer=tracer)
    with client_of(provider).chat.completions.create(**ASK, stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    step = the_step(tracer)
    assert step.outcome == "cancelled"
    assert fields_of(step)["gen_ai.output.messages"] == [{"role": "assistant", "content": "It is "}]


def test_an_abandoned_stream_is_recorded(provider: Provider, tracer: Tracer) -> None:
    """A stream that nobody reads any more ends its step when it is let go of."""
    instrument(openai, tracer=tracer)
    stream = client_of(provider).chat.completions.create(**ASK, stream=True)
    next(stream)
    del stream
    gc.collect()
    assert the_step(tracer).outcome == "cancelled"


def test_a_stream_that_breaks_is_an_error(provider: Provider, tracer: Tracer) -> None:
    """The agent gets the library's error; the step has it, too, and the text that came before."""
    instrument(openai, tracer=tracer)
    provider.cut_after = 3
    with pytest.raises(Exception) as raised:
        list(client_of(provider).chat.completions.create(**ASK, stream=True))
    step = the_step(tracer)
    assert step.outcome == "error"
    assert type(raised.value).__name__ in step.error
    assert fields_of(step)["gen_ai.output.messages"][0]["content"] == "It is sunny "


def test_retries_and_errors_are_told(provider: Provider, tracer: Tracer) -> None:
    """Two refusals and an answer are one step with two retries; a call that fails has its status and error."""
    instrument(openai, tracer=tracer)
    provider.statuses = [429, 500]
    client_of(provider).chat.completions.create(**ASK)
    provider.statuses = [400]
    with pytest.raises(openai.BadRequestError):
        client_of(provider).chat.completions.create(**ASK)
    retried, failed = steps_of(tracer)
    assert [entry["message"] for entry in retried.logs[:2]] == ["retry after status 429", "retry after status 500"]
    assert retried.outcome == "ok"
    assert failed.outcome == "error" and failed.error.startswith("BadRequestError: ")
    assert fields_of(failed)["http.response.status_code"] == 400


def test_responses_plain_and_streamed(provider: Provider, tracer: Tracer) -> None:
    """The responses API, its tool calls, its stream and its `stream()` helper."""
    instrument(openai, tracer=tracer)
    client = client_of(provider)
    assert client.responses.create(model="gpt-5", input="Weather?", instructions="Be brief.").output_text == TEXT
    client.responses.create(model="gpt-5", input="Weather?", tools=[{"type": "function", "name": "weather"}])
    list(client.responses.create(model="gpt-5", input="Weather?", stream=True))
    with client.responses.stream(model="gpt-5", input="Weather?") as stream:
        assert stream.get_final_response().output_text == TEXT

    plain, tool, streamed, helped = steps_of(tracer)
    assert fields_of(plain)["gen_ai.system_instructions"] == "Be brief."
    assert fields_of(tool)["gen_ai.output.messages"][0]["name"] == "weather"
    for step in (plain, streamed, helped):
        assert fields_of(step)["gen_ai.output.messages"][0]["content"][0]["text"] == TEXT
        assert tokens_of(step) == TOKENS
    assert "gen_ai.response.time_to_first_chunk" in fields_of(streamed)


def test_a_broken_off_response_keeps_its_pieces(provider: Provider, tracer: Tracer) -> None:
    """Before the last event the pieces are all there is."""
    instrument(openai, tracer=tracer)
    stream = client_of(provider).responses.create(model="gpt-5", input="Weather?", stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    step = the_step(tracer)
    assert step.outcome == "cancelled"
    assert fields_of(step)["gen_ai.output.messages"] == [{"role": "assistant", "content": "It is "}]


def test_helpers_and_raw_responses_are_seen(provider: Provider, tracer: Tracer) -> None:
    """`stream()`, `parse`, `with_raw_response` (plain and streamed) and embeddings pass the same place."""
    instrument(openai, tracer=tracer)
    client = client_of(provider)
    with client.chat.completions.stream(**ASK) as stream:
        assert stream.get_final_completion().choices[0].message.content == TEXT
    client.chat.completions.parse(**ASK)
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.parse().choices[0].message.content == TEXT
    streamed = client.chat.completions.with_raw_response.create(**ASK, stream=True).parse()
    assert len(list(streamed)) == 5
    client.embeddings.create(model="e-3", input=["a", "b"], encoding_format="float")

    *chats, embedded = steps_of(tracer)
    assert len(chats) == 4
    for step in chats:
        assert step.outcome == "ok"
        assert fields_of(step)["gen_ai.output.messages"][0]["content"] == TEXT
    assert (embedded.name, embedded.usage["input_tokens"]) == ("embeddings e-3", 4)


def test_streaming_responses_are_not_read(provider: Provider, tracer: Tracer) -> None:
    """`with_streaming_response` gives the body to the agent unread; of a stream of events, reading it is seen."""
    instrument(openai, tracer=tracer)
    client = client_of(provider)
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        assert TEXT in response.read().decode()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        assert len(list(response.parse())) == 5
    plain, streamed = steps_of(tracer)
    assert fields_of(plain)["http.response.status_code"] == 200
    assert fields_of(streamed)["gen_ai.output.messages"][0]["content"] == TEXT


def test_asynchronous_calls_and_streams(provider: Provider, tracer: Tracer) -> None:
    """The same with `AsyncOpenAI`: calls side by side, each under the step of its own task."""

    async def ask(number: int) -> Any:
        async with tracer.step(f"task {number}"):
            answer = await client.chat.completions.create(**ASK)
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert type(stream) is openai.AsyncStream
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return answer.choices[0].message.content, "".join(pieces)

    async def main() -> list[Any]:
        async with client:
            return await asyncio.gather(ask(1), ask(2))

    instrument(openai)
    client = async_client_of(provider)
    assert asyncio.run(main()) == [(TEXT, TEXT)] * 2
    steps = steps_of(tracer)
    tasks = {step.id: step for step in steps if step.name.startswith("task")}
    calls = [step for step in steps if step.name == "chat gpt-5"]
    assert sorted(tasks[call.parent].name for call in calls) == ["task 1", "task 1", "task 2", "task 2"]
    assert {fields_of(call)["gen_ai.output.messages"][0]["content"] for call in calls} == {TEXT}


def test_an_asynchronous_stream_broken_off(provider: Provider, tracer: Tracer) -> None:
    """Closing ends the step; a cancelled task ends it as cancelled."""

    async def main() -> None:
        async with async_client_of(provider) as client:
            async with await client.chat.completions.create(**ASK, stream=True) as stream:
                async for _ in stream:
                    break
            provider.statuses = [500]
            with pytest.raises(openai.InternalServerError):
                await client.with_options(max_retries=0).chat.completions.create(**ASK)

    instrument(openai, tracer=tracer)
    asyncio.run(main())
    assert [step.outcome for step in steps_of(tracer)] == ["cancelled", "error"]


def test_one_client_alone(provider: Provider, tracer: Tracer) -> None:
    """`instrument(client)` records this client and its copies and no other, and once where the library is, too."""
    client = instrument(client_of(provider), tracer=tracer)
    client_of(provider).chat.completions.create(**ASK)
    assert tracer.summary()["steps"] == 0
    client.chat.completions.create(**ASK)
    list(client.with_options(timeout=9).chat.completions.create(**ASK, stream=True))
    assert [step.outcome for step in steps_of(tracer)] == ["ok", "ok"]
    instrument(openai, tracer=tracer)
    client.chat.completions.create(**ASK)
    assert len(steps_of(tracer)) == 3


def test_uninstrument_puts_everything_back(provider: Provider, tracer: Tracer) -> None:
    """Classes and clients are what they were, also where it was done twice; a client is not kept alive."""
    kinds = (openai.OpenAI, openai.AsyncOpenAI, openai.Stream, openai.AsyncStream)
    before = [dict(vars(kind)) for kind in kinds]
    client = client_of(provider)
    own = dict(vars(client))
    instrument(openai, tracer=tracer)
    instrument("openai", tracer=tracer)
    instrument(client)
    assert instrumented() == ["openai"]
    uninstrument(client)
    assert vars(client) == own
    uninstrument()
    assert [dict(vars(kind)) for kind in kinds] == before
    assert instrumented() == []
    client.chat.completions.create(**ASK)
    assert tracer.summary()["steps"] == 0


def test_a_fault_in_the_bridge_does_not_reach_the_agent(
    provider: Provider, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent has its answer, whatever goes wrong in reading it."""
    from ai_trace.bridges import openai as bridge

    def broken(*_: object) -> Any:
        raise RuntimeError("bridge")

    monkeypatch.setattr(bridge.ChatFold, "add", broken)
    monkeypatch.setattr(bridge.ChatFold, "fields", broken)
    instrument(openai, tracer=tracer)
    assert len(list(client_of(provider).chat.completions.create(**ASK, stream=True))) == 5
    assert fields_of(the_step(tracer))["bridge_error"] == "RuntimeError: bridge"
