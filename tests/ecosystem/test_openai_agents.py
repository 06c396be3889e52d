"""The OpenAI Agents SDK: a run with a tool becomes a tree of steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer
from ai_trace.bridges import instrument

from .fake_provider import TEXT, Provider
from .reading import TOKENS, fields_of, steps_of

agents = pytest.importorskip("agents", reason="openai-agents is not installed")

from openai import AsyncOpenAI  # noqa: E402

from ai_trace.bridges.openai_agents import TracingProcessor  # noqa: E402


@agents.function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    ai_trace.log("in the tool", city=city)
    if city == "nowhere":
        raise ValueError("no such city")
    return "sunny"


@pytest.fixture(name="processed")
def fixture_processed(tracer: Tracer) -> Iterator[Tracer]:
    """A tracer that the SDK's tracing goes to, and to nothing else."""
    agents.set_trace_processors([TracingProcessor(tracer)])
    yield tracer
    agents.set_trace_processors([])


def ask(provider: Provider, kind: str, streamed: bool = False) -> Any:
    """Run an agent that calls its tool once and answers."""

    async def main() -> Any:
        async with AsyncOpenAI(api_key="sk-x", base_url=f"{provider.url}/v1") as client:
            of_kind = {"chat": agents.OpenAIChatCompletionsModel, "responses": agents.OpenAIResponsesModel}[kind]
            model = of_kind(model="gpt-5", openai_client=client)
            settings = agents.ModelSettings(include_usage=True)
            agent = agents.Agent("Forecaster", tools=[weather], model=model, model_settings=settings)
            if not streamed:
                return (await agents.Runner.run(agent, "Weather in Oslo?")).final_output
            result = agents.Runner.run_streamed(agent, "Weather in Oslo?")
            async for _ in result.stream_events():
                pass
            return result.final_output

    return asyncio.run(main())


def above(step: Any, steps: list[Any]) -> list[str]:
    """The names of the steps around *step*, the nearest first."""
    by_id, names = {one.id: one for one in steps}, []
    while step.parent in by_id:
        step = by_id[step.parent]
        names.append(step.name)
    return names


@pytest.mark.parametrize("kind", ["responses", "chat"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_run_is_a_tree_of_steps(provider: Provider, processed: Tracer, kind: str, streamed: bool) -> None:
    """Run, agent, two calls to the model and the tool between them, with what was said and used."""
    assert ask(provider, kind, streamed) == TEXT
    steps = steps_of(processed)
    assert all(step.outcome == "ok" for step in steps)
    assert steps[0].name == "Agent workflow"
    first, second = [step for step in steps if step.name.startswith("chat")]
    (tool,) = [step for step in steps if step.name == "execute_tool weather"]
    assert "invoke_agent Forecaster" in above(tool, steps) and above(tool, steps)[-1] == "Agent workflow"
    assert fields_of(tool)["gen_ai.tool.call.result"] == "sunny"
    assert fields_of(tool)["message"] == "in the tool"
    assert "weather" in str(fields_of(first)["gen_ai.output.messages"])
    assert TEXT in str(fields_of(second)["gen_ai.output.messages"])
    assert first.usage["input_tokens"] == TOKENS["input_tokens"]
    assert second.usage["output_tokens"] == TOKENS["output_tokens"]


def test_a_run_belongs_to_the_current_step_and_counts_tokens_once(provider: Provider, processed: Tracer) -> None:
    """With the client instrumented, too, its calls are below the SDK's, and the session's tokens are right."""
    instrument("openai")
    with processed.step("decide") as decide:
        ask(provider, "responses")
    session = ai_trace.load(processed.path)
    (workflow,) = [step for step in session.steps if step.name == "Agent workflow"]
    assert workflow.parent == decide.id
    calls = [step for step in session.steps if step.name == "chat gpt-5"]
    assert [above(call, session.steps)[0].split()[0] for call in calls] == ["chat", "chat"]
    assert sum(step.usage.get("input_tokens", 0) for step in session.steps) == 2 * TOKENS["input_tokens"]


def test_errors_of_tools_are_told(provider: Provider, processed: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK hands a tool's failure to the model; the step has it as its error."""
    monkeypatch.setattr("tests.ecosystem.fake_provider.ARGUMENTS", ('{"city": ', '"nowhere"}'))
    ask(provider, "responses")
    (tool,) = [step for step in steps_of(processed) if step.name == "execute_tool weather"]
    assert tool.outcome == "error"


def test_without_naming_the_processor(provider: Provider, tracer: Tracer) -> None:
    """`instrument("agents")` adds it."""
    from ai_trace.bridges import uninstrument

    agents.set_trace_processors([])
    instrument("agents", tracer=tracer)
    ask(provider, "responses")
    assert steps_of(tracer)[0].name == "Agent workflow"
    count = len(steps_of(tracer))
    uninstrument()
    ask(provider, "responses")
    assert len(steps_of(tracer)) == count
    agents.set_trace_processors([])
