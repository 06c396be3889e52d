"""LangChain and LangGraph: runs become a tree of steps."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest

import ai_trace
from ai_trace import Tracer
from ai_trace.bridges import instrument

from .fake_provider import TEXT, Provider
from .reading import TOKENS, fields_of, steps_of, tokens_of

pytest.importorskip("langchain_core", reason="langchain-core is not installed")
langchain_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")

from langchain_core.messages import HumanMessage  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.runnables import RunnableLambda  # noqa: E402
from langchain_core.tools import tool  # noqa: E402

from ai_trace.bridges.langchain import Handler  # noqa: E402


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    ai_trace.log("in the tool", city=city)
    if city == "nowhere":
        raise ValueError("no such city")
    return "sunny"


def model_of(provider: Provider, **options: Any) -> Any:
    return langchain_openai.ChatOpenAI(
        model="gpt-5", api_key="sk-x", base_url=f"{provider.url}/v1", stream_usage=True, **options
    )


def by_name(tracer: Tracer) -> dict[str, Any]:
    return {step.name: step for step in steps_of(tracer)}


def test_a_chain_is_a_tree_of_steps(provider: Provider, tracer: Tracer) -> None:
    """The chain, the prompt and the model, with messages, parameters, answer, tokens and finish reason."""
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")]) | model_of(
        provider, max_tokens=99
    )
    with tracer.step("decide") as decide:
        answer = chain.invoke({"question": "Weather?"}, config={"callbacks": [Handler()]})
    assert answer.content == TEXT
    steps = by_name(tracer)
    chain_step, call = steps["RunnableSequence"], steps["chat gpt-5"]
    assert chain_step.parent == decide.id and call.parent == chain_step.id
    fields = fields_of(call)
    assert fields["gen_ai.input.messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}
    ]  # fmt: skip
    assert fields["gen_ai.request.max_tokens"] == 99
    assert fields["gen_ai.output.messages"] == [{"role": "assistant", "content": TEXT}]
    assert fields["gen_ai.response.finish_reasons"] == ["stop"]
    assert tokens_of(call) == TOKENS


def test_a_stream_and_its_first_token(provider: Provider, tracer: Tracer) -> None:
    """The pieces pass; the step has the whole; what the consumer does between them is not inside it."""
    for _ in model_of(provider).stream("Weather?", config={"callbacks": [Handler(tracer)]}):
        assert ai_trace.current_step() is None
    (call,) = steps_of(tracer)
    assert call.outcome == "ok"
    assert fields_of(call)["gen_ai.output.messages"] == [{"role": "assistant", "content": TEXT}]
    assert "gen_ai.response.time_to_first_chunk" in fields_of(call)
    assert tokens_of(call) == TOKENS


def test_a_tool_is_current_while_it_runs(provider: Provider, tracer: Tracer) -> None:
    """What a tool logs is in its step; a failure is its error."""
    weather.invoke({"city": "Oslo"}, config={"callbacks": [Handler(tracer)]})
    with pytest.raises(ValueError):
        weather.invoke({"city": "nowhere"}, config={"callbacks": [Handler(tracer)]})
    assert ai_trace.current_step() is None
    good, bad = steps_of(tracer)
    assert good.name == "execute_tool weather"
    assert good.context["gen_ai.tool.call.arguments"] == {"city": "Oslo"}
    assert fields_of(good)["message"] == "in the tool"
    assert fields_of(good)["gen_ai.tool.call.result"] == "sunny"
    assert (bad.outcome, bad.error) == ("error", "ValueError: no such city")


def test_tokens_are_counted_once_where_the_client_is_instrumented_too(provider: Provider, tracer: Tracer) -> None:
    """The client's call is below LangChain's, plainly, streamed and asynchronously."""

    async def main() -> None:
        await model.ainvoke("Weather?", config=config)
        async for _ in model.astream("Weather?", config=config):
            pass

    instrument("openai", tracer=tracer)
    model, config = model_of(provider), {"callbacks": [Handler(tracer)]}
    model.invoke("Weather?", config=config)
    list(model.stream("Weather?", config=config))
    asyncio.run(main())
    steps = steps_of(tracer)
    assert len(steps) == 8
    assert [step.parent for step in steps[1::2]] == [step.id for step in steps[0::2]]
    assert sum(step.usage.get("input_tokens", 0) for step in steps) == 4 * TOKENS["input_tokens"]
    assert sum(step.usage.get("output_tokens", 0) for step in steps) == 4 * TOKENS["output_tokens"]


def test_asynchronous_chains_side_by_side(provider: Provider, tracer: Tracer) -> None:
    """Each call is under its own chain."""

    async def main() -> list[Any]:
        chain = RunnableLambda(lambda question: [HumanMessage(question)]) | model_of(provider)
        config = {"callbacks": [Handler(tracer)]}
        return await asyncio.gather(*(chain.ainvoke(f"Weather {n}?", config=config) for n in range(3)))

    assert [one.content for one in asyncio.run(main())] == [TEXT] * 3
    steps = steps_of(tracer)
    chains = {step.id: step for step in steps if step.name == "RunnableSequence"}
    calls = [step for step in steps if step.name == "chat gpt-5"]
    assert {call.parent for call in calls} == set(chains)
    for call in calls:
        asked = call.context["gen_ai.input.messages"][0]["content"]
        assert chains[call.parent].context["inputs"] == asked


def test_a_graph_with_nodes_and_tools(provider: Provider, tracer: Tracer) -> None:
    """LangGraph: the graph, its nodes, the model and the tool; what a node logs is in its step."""
    pytest.importorskip("langgraph", reason="langgraph is not installed")
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    model = model_of(provider).bind_tools([weather])

    def think(state: Any) -> Any:
        ai_trace.log("in the node")
        return {"messages": [model.invoke(state["messages"])]}

    def next_node(state: Any) -> str:
        return "tools" if state["messages"][-1].tool_calls else END

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", next_node)
    graph.add_edge("tools", "think")
    compiled = graph.compile()
    config = {"callbacks": [Handler(tracer)]}
    for _ in compiled.stream({"messages": [("user", "Weather?")]}, config=config):
        assert ai_trace.current_step() is None

    steps = steps_of(tracer)
    names = [step.name for step in steps]
    assert names[0] == "LangGraph" and names.count("think") == 2
    assert names.count("chat gpt-5") == 2 and names.count("execute_tool weather") == 1
    assert {step.outcome for step in steps} == {"ok"}
    think_step = steps[names.index("think")]
    assert think_step.parent == steps[0].id and think_step.logs[0]["message"] == "in the node"
    assert steps[names.index("chat gpt-5")].parent == think_step.id
    tool_step = steps[names.index("execute_tool weather")]
    assert fields_of(tool_step)["gen_ai.tool.call.result"] == "sunny"
    assert fields_of(tool_step)["message"] == "in the tool"


def test_a_graph_that_waits_for_a_human_has_not_failed(tracer: Tracer) -> None:
    """An interrupt of LangGraph is an outcome of its own."""
    pytest.importorskip("langgraph", reason="langgraph is not installed")
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph
    from langgraph.types import interrupt

    class State(TypedDict):
        answer: str

    graph = StateGraph(State)
    graph.add_node("ask", lambda state: {"answer": interrupt("May I?")})
    graph.add_edge(START, "ask")
    compiled = graph.compile(checkpointer=InMemorySaver())
    compiled.invoke({"answer": ""}, config={"callbacks": [Handler(tracer)], "configurable": {"thread_id": "7"}})
    steps = by_name(tracer)
    assert steps["ask"].outcome == "interrupted"
    assert steps["LangGraph"].outcome == "ok"
    assert steps["LangGraph"].context["thread_id"] == "7"


def test_an_error_of_the_model_is_the_error_of_its_step(provider: Provider, tracer: Tracer) -> None:
    """With the status and the error's own text."""
    provider.statuses = [400]
    with pytest.raises(Exception):
        model_of(provider).invoke("Weather?", config={"callbacks": [Handler(tracer)]})
    (call,) = steps_of(tracer)
    assert call.outcome == "error" and "answered 400" in call.error


def test_every_run_in_every_thread_without_naming_the_handler(provider: Provider, tracer: Tracer) -> None:
    """`instrument("langchain_core")` does for all runs what the handler does for one; afterwards nothing is recorded."""
    from concurrent.futures import ThreadPoolExecutor

    from ai_trace.bridges import uninstrument

    instrument("langchain_core", tracer=tracer)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(model_of(provider).invoke, "Weather?").result()
    assert [step.name for step in steps_of(tracer)] == ["chat gpt-5"]
    uninstrument()
    model_of(provider).invoke("Weather?")
    assert len(steps_of(tracer)) == 1
