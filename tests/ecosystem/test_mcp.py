"""MCP: a client's calls of a server in the same process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer
from ai_trace.bridges import instrument, uninstrument

from .reading import fields_of, steps_of

mcp = pytest.importorskip("mcp", reason="mcp is not installed")


def ask(act: Any) -> Any:
    """Run *act* with a client of a server that has one tool, one resource and one prompt."""
    if not hasattr(mcp, "Client"):
        pytest.skip("this version of mcp has no client for a server in the same process")
    from mcp.server import MCPServer

    server = MCPServer("weather")

    @server.tool()
    def weather(city: str) -> str:
        """The weather in a city."""
        if city == "nowhere":
            raise ValueError("no such city")
        return "sunny"

    @server.resource("weather://today")
    def today() -> str:
        """Today's weather."""
        return "sunny today"

    async def main() -> Any:
        async with mcp.Client(server) as client:
            return await act(client)

    return asyncio.run(main())


def test_calls_are_steps(tracer: Tracer) -> None:
    """The tool, its arguments and result; a tool that fails; a resource; the list of tools."""

    async def act(client: Any) -> Any:
        answer = await client.call_tool("weather", {"city": "Oslo"})
        await client.call_tool("weather", {"city": "nowhere"})
        await client.read_resource("weather://today")
        await client.list_tools()
        return answer

    instrument(mcp, tracer=tracer)
    answer = ask(act)
    assert answer.content[0].text == "sunny"
    steps = {f"{step.name} {step.outcome}": step for step in steps_of(tracer)}
    good, bad = steps["execute_tool weather ok"], steps["execute_tool weather error"]
    assert good.context["gen_ai.tool.call.arguments"] == {"city": "Oslo"}
    assert fields_of(good)["gen_ai.tool.call.result"]["content"][0]["text"] == "sunny"
    assert "nowhere" in str(bad.context) and bad.error
    assert "sunny today" in str(steps["resources/read weather://today ok"].logs)
    assert fields_of(steps["tools/list ok"])["tools"] == ["weather"]


def test_calls_belong_to_the_current_step_and_are_put_back(tracer: Tracer) -> None:
    """As with the other bridges."""

    async def act(client: Any) -> None:
        with tracer.step("decide"):
            await client.call_tool("weather", {"city": "Oslo"})
            assert ai_trace.current_step() is not None

    before = dict(vars(mcp.ClientSession))
    instrument(mcp)
    ask(act)
    names = [step.name for step in steps_of(tracer)]
    assert names[:2] == ["decide", "execute_tool weather"]
    uninstrument()
    assert dict(vars(mcp.ClientSession)) == before
