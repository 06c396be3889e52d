"""The OpenAI Agents SDK's own tracing into the trace: agents, turns, model calls, tools, handoffs, guardrails.

    from agents import add_trace_processor
    from ai_trace.bridges.openai_agents import TracingProcessor
    add_trace_processor(TracingProcessor(tracer))       # or set_trace_processors([…]), which sends nothing elsewhere

A trace of the SDK is a step under the current one (else under the tracer's root), its spans are the steps below.
While a tool runs, its step is current, so that what the tool logs or calls is in it. Where the model's client is
instrumented, too, its call is a child of the SDK's, and the tokens are counted once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..current import Node, enter, leave
from ..exceptions import UsageError
from ..genai import ARGUMENTS, INPUT_MESSAGES, MODEL, OPERATION, OUTPUT_MESSAGES, RESULT, TOOL
from .calls import Call, Source, quietly
from .openai import response_answer
from .patches import Patches
from .words import get, plain_form, without_none

try:
    _tracing: Any = importlib.import_module("agents.tracing")
except ImportError as _err:
    raise UsageError(f"the bridge to the OpenAI Agents SDK needs the package openai-agents: {_err}") from _err

if TYPE_CHECKING:
    from ..tracer import Tracer

    _Processor = object
else:
    _Processor = _tracing.TracingProcessor

__all__ = ["TracingProcessor", "install"]

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"agent": "invoke_agent", "function": "execute_tool", "generation": "chat", "response": "chat"}
)
"""Type of a span -> GenAI operation."""


def install(client: Any, source: Source) -> Patches:
    """Record every run. The SDK's own processors stay, the one that sends traces to OpenAI included."""
    processor = TracingProcessor()
    processor._source = source
    _tracing.add_trace_processor(processor)
    return Patches(source)


class TracingProcessor(_Processor):
    """Records traces and spans of the SDK to *tracer*, or under the step current where a trace starts."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._source = Source(tracer)
        self._open: dict[str, tuple[Call, Node | None]] = {}  # by the SDK's ids, until they end

    def on_trace_start(self, trace: Any) -> None:
        """A run of an agent begins."""
        context = {"openai_agents.trace_id": trace.trace_id, "gen_ai.conversation.id": get(trace, "group_id"),
                   "metadata": get(trace, "metadata")}  # fmt: skip
        quietly("a trace", self._begin, trace.trace_id, None, trace.name, without_none(context))

    def on_trace_end(self, trace: Any) -> None:
        """A run has ended."""
        quietly("a trace", self._end, trace.trace_id, dict, None)

    def on_span_start(self, span: Any) -> None:
        """Something begins within a run."""
        parent = self._open.get(span.parent_id or "") or self._open.get(span.trace_id)
        quietly("a span", lambda: self._begin(span.span_id, parent, *_asked(span.span_data), span.span_data.type))

    def on_span_end(self, span: Any) -> None:
        """Something has ended within a run."""
        quietly("a span", self._end, span.span_id, lambda: _answered(span.span_data), span.error)

    def _begin(self, key: str, parent: Any, name: str, context: dict[str, Any], kind: str = "") -> None:
        step = parent[0].step.step(name, **context).start() if parent else self._source.step(name, context)
        if step is None:
            return
        call = Call(step)
        if OPERATIONS.get(kind) == "chat":
            call.announce()
        # The SDK starts a tool's span in the task that then runs the tool.
        node = enter(step, sys._getframe()) if kind == "function" else None
        self._open[key] = call, node

    def _end(self, key: str, read: Callable[[], dict[str, Any]], error: Any) -> None:
        call, node = self._open.pop(key, (None, None))
        if node is not None:
            leave(node)
        if call is None:
            return
        call.log(read)
        if error:
            call.step.log(error_data=get(error, "data"))
            call.step.fail(get(error, "message") or str(error))
        else:
            call.step.finish()

    def shutdown(self) -> None:
        """What is open stays open in the trace."""

    def force_flush(self) -> None:
        """Nothing waits to be written."""


def _asked(data: Any) -> tuple[str, dict[str, Any]]:
    """Name and context of the step for a span of *data*; what is not known yet comes with the end."""
    kind, name = data.type, get(data, "name")
    operation = OPERATIONS.get(kind)
    if kind == "function":
        return f"execute_tool {name}", {OPERATION: operation, TOOL: name}
    if kind == "agent":
        tools = {"tools": get(data, "tools"), "handoffs": get(data, "handoffs")}
        return f"invoke_agent {name}", without_none({OPERATION: operation, "gen_ai.agent.name": name, **tools})
    if operation == "chat":
        model = get(data, "model")
        return f"chat {model or ''}".strip(), without_none({OPERATION: operation, MODEL: model})
    if kind == "turn":
        return "turn", without_none({"turn": get(data, "turn"), "gen_ai.agent.name": get(data, "agent_name")})
    return f"{kind} {name}" if name and name != kind else kind, {}


def _answered(data: Any) -> dict[str, Any]:
    """What a span of *data* knows at its end."""
    kind = data.type
    if kind == "response":
        answer = get(data, "response")
        asked = {INPUT_MESSAGES: plain_form(get(data, "input")), MODEL: get(answer, "model"),
                 "gen_ai.system_instructions": get(answer, "instructions")}  # fmt: skip
        return {**without_none(asked), **(response_answer(answer) if answer is not None else {})}
    if kind == "generation":
        usage = get(data, "usage") or {}
        if not any(usage.get(name) for name in ("input_tokens", "output_tokens")):
            usage = {}  # the SDK says 0 where a stream brought no usage: it is unknown
        return without_none(
            {
                MODEL: get(data, "model"),
                INPUT_MESSAGES: get(data, "input"),
                OUTPUT_MESSAGES: get(data, "output"),
                "parameters": get(data, "model_config"),
                "gen_ai.usage.input_tokens": usage.get("input_tokens"),
                "gen_ai.usage.output_tokens": usage.get("output_tokens"),
            }
        )
    if kind == "function":
        return without_none({ARGUMENTS: get(data, "input"), RESULT: get(data, "output"), "mcp": get(data, "mcp_data")})
    if kind == "handoff":
        return without_none({"from_agent": get(data, "from_agent"), "to_agent": get(data, "to_agent")})
    if kind == "guardrail":
        return {"triggered": get(data, "triggered")}
    return without_none({"data": get(data, "data")})
