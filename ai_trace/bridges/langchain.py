"""LangChain and LangGraph into the trace, as a callback handler: chains, graph nodes, models, tools, retrievers.

    from ai_trace.bridges.langchain import Handler
    graph.invoke(inputs, config={"callbacks": [Handler(tracer)]})

A run is a step under its parent run; the outermost under the current step, else it goes to the tracer. While a tool
or a node of a graph runs, its step is current, so that what it logs or calls is in it. Where the model's client is
instrumented, too, its call is a child of LangChain's, and the tokens are counted once. What goes wrong here LangChain
itself catches and logs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from ..current import Node, enter, leave
from ..exceptions import UsageError
from ..genai import ARGUMENTS, CALL_ID, OPERATION, RESULT, TOOL
from .calls import Call, Source
from .patches import Patches
from .words import asked, get, plain_form, without_none

try:
    _callbacks: Any = importlib.import_module("langchain_core.callbacks")
except ImportError as _err:
    raise UsageError(f"the bridge to LangChain needs the package langchain-core: {_err}") from _err

if TYPE_CHECKING:
    from ..tracer import Tracer

    _Base = object
else:
    _Base = _callbacks.BaseCallbackHandler

__all__ = ["Handler", "install"]

ROLES: Final[Mapping[str, str]] = MappingProxyType({"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"})
"""Type of a message -> role, where they differ."""

_PARAMETERS: Final = ("model", "model_name", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed", "stream",
                      "tools", "tool_choice", "response_format", "n")  # fmt: skip


def install(client: Any, source: Source) -> Patches:
    """Record every run, in every thread and context, whoever starts it."""
    handler = Handler()
    handler._source = source
    # The default, not a value: a context made by somebody else has it, too.
    everywhere: ContextVar[Any] = ContextVar("ai_trace.bridges.langchain", default=handler)
    importlib.import_module("langchain_core.tracers.context").register_configure_hook(everywhere, True)
    return Patches(source)


class Handler(_Base):
    """Records runs to *tracer*, or under the step current where the outermost run starts."""

    # In the caller's own thread and task, not in an executor: there the current step is known, and can be set.
    run_inline = True

    def __init__(self, tracer: Tracer | None = None) -> None:
        super().__init__()
        self._source = Source(tracer)
        self._open: dict[UUID, tuple[Call, Node | None]] = {}

    def on_chain_start(self, serialized: Any, inputs: Any, **run: Any) -> None:
        """A chain, a graph or a node of one begins."""
        name = _name(serialized, run, "chain")
        metadata = run.get("metadata") or {}
        node = bool(name) and metadata.get("langgraph_node") == name
        self._begin(run, name, lambda: _chain_context(inputs, run, metadata), current=node)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """It has ended."""
        self._end(run_id, lambda: {"outputs": _plain(outputs)})

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has failed; a graph that waits for a human has not."""
        if any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__):
            self._end(run_id, lambda: {"interrupt": str(error)}, "interrupted")
        else:
            self._end(run_id, None, error=error)

    def on_chat_model_start(self, serialized: Any, messages: Any, **run: Any) -> None:
        """A model is asked."""
        said = [_message(one) for one in messages[0]] if len(messages) == 1 else _plain(messages)
        self._ask("chat", serialized, {"messages": said}, run)

    def on_llm_start(self, serialized: Any, prompts: Any, **run: Any) -> None:
        """A model of texts is asked."""
        self._ask("text_completion", serialized, {"prompt": prompts}, run)

    def _ask(self, operation: str, serialized: Any, body: dict[str, Any], run: dict[str, Any]) -> None:
        given = {**(run.get("options") or {}), **(run.get("invocation_params") or {})}
        wanted = {key: given[key] for key in _PARAMETERS if given.get(key) is not None}
        metadata = run.get("metadata") or {}
        model = wanted.pop("model_name", None) or wanted.get("model") or metadata.get("ls_model_name")
        provider = metadata.get("ls_provider") or _name(serialized, run, "langchain")
        name, context = asked(operation, provider, {**body, **wanted, "model": model})
        self._begin(run, name, lambda: context, model=True)

    def on_llm_new_token(self, token: str, *, run_id: UUID, **_: Any) -> None:
        """A piece of the answer has come."""
        call, _node = self._open.get(run_id, (None, None))
        if call is not None:
            call.item(token)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The model has answered."""
        self._end(run_id, lambda: _answer(response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The model has not answered, or not to the end."""
        self._end(run_id, None, error=error)

    def on_tool_start(self, serialized: Any, input_str: str, *, inputs: Any = None, **run: Any) -> None:
        """A tool begins."""
        name = _name(serialized, run, "tool")
        context = {OPERATION: "execute_tool", TOOL: name, CALL_ID: run.get("tool_call_id"),
                   ARGUMENTS: inputs if inputs is not None else input_str}  # fmt: skip
        self._begin(run, f"execute_tool {name}", lambda: without_none(context), current=True)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """It has answered."""
        result = get(output, "content") if get(output, "type") == "tool" else output
        self._end(run_id, lambda: {RESULT: _plain(result)})

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has failed."""
        self.on_chain_error(error, run_id=run_id)

    def on_retriever_start(self, serialized: Any, query: str, **run: Any) -> None:
        """Documents are sought."""
        name = _name(serialized, run, "retriever")
        self._begin(run, f"retrieval {name}", lambda: {OPERATION: "retrieval", "query": query}, current=True)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """They are found."""
        self._end(run_id, lambda: {"documents": [plain_form(one) for one in documents]})

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """They are not."""
        self._end(run_id, None, error=error)

    def on_retry(self, retry_state: Any, *, run_id: UUID, **_: Any) -> None:
        """A run is tried again."""
        call, _node = self._open.get(run_id, (None, None))
        if call is not None:
            call.log(lambda: {"message": "retry", "retry": get(retry_state, "attempt_number")})

    def _begin(
        self, run: dict[str, Any], name: str, read: Callable[[], dict[str, Any]], *,
        current: bool = False, model: bool = False,
    ) -> None:  # fmt: skip
        above = self._open.get(run.get("parent_run_id") or UUID(int=0))
        step = above[0].step.step(name, **read()).start() if above else self._source.step(name, read())
        if step is None:
            return
        call = Call(step)
        if model:
            call.stream(_Tokens())
            call.announce()
        self._open[run["run_id"]] = call, enter(step, sys._getframe()) if current else None

    def _end(
        self, run_id: UUID, read: Callable[[], dict[str, Any]] | None, outcome: str = "ok", *,
        error: BaseException | None = None,
    ) -> None:  # fmt: skip
        call, node = self._open.pop(run_id, (None, None))
        if node is not None:
            leave(node)
        if call is None:
            return
        if error is not None:
            call.fail(error)
            return
        if read is not None:
            call.log(read)
        call.step.finish(outcome)


class _Tokens:
    """The pieces of an answer, told only where the whole does not come."""

    complete = False

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, token: Any) -> None:
        self._pieces.append(token if isinstance(token, str) else str(token))

    def fields(self) -> dict[str, Any]:
        text = "".join(self._pieces)
        return {"gen_ai.output.messages": [{"role": "assistant", "content": text}]} if text else {}


def _name(serialized: Any, run: Mapping[str, Any], otherwise: str) -> str:
    path = get(serialized or {}, "id")
    last = path[-1] if isinstance(path, list) and path else None
    return str(run.get("name") or get(serialized or {}, "name") or last or otherwise)


def _chain_context(inputs: Any, run: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    told = {"thread_id": metadata.get("thread_id"), "node": metadata.get("langgraph_node"),
            "graph_step": metadata.get("langgraph_step"), "tags": run.get("tags")}  # fmt: skip
    return {"inputs": _plain(inputs), **without_none(told)}


def _plain(value: Any) -> Any:
    """*value* with LangChain's messages in it in the form of `_message`."""
    if get(value, "type") is not None and hasattr(value, "response_metadata"):
        return _message(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def _message(message: Any) -> dict[str, Any]:
    """A message of LangChain in the form of OpenAI."""
    kind = str(get(message, "type"))
    said: dict[str, Any] = {"role": ROLES.get(kind, kind), "content": get(message, "content")}
    calls = [
        {"id": get(one, "id"), "type": "function", "function": {"name": get(one, "name"), "arguments": get(one, "args")}}
        for one in get(message, "tool_calls") or []
    ]
    return said | without_none({"tool_calls": calls, "tool_call_id": get(message, "tool_call_id")})


def _answer(result: Any) -> dict[str, Any]:
    """The fields of an `LLMResult`."""
    generations = [one for some in get(result, "generations") or [] for one in some]
    messages = [message for one in generations if (message := get(one, "message")) is not None]
    said = [_message(one) for one in messages] or [get(one, "text") for one in generations]
    first = messages[0] if messages else None
    usage, about = get(first, "usage_metadata"), get(first, "response_metadata") or {}
    reason = about.get("finish_reason") or about.get("stop_reason") or about.get("status")
    return without_none(
        {
            "gen_ai.response.id": about.get("id") or get(first, "id"),
            "gen_ai.response.model": about.get("model_name") or about.get("model"),
            "gen_ai.response.finish_reasons": [reason] if reason else None,
            "gen_ai.output.messages": said,
            "gen_ai.usage.input_tokens": get(usage, "input_tokens"),
            "gen_ai.usage.output_tokens": get(usage, "output_tokens"),
            "gen_ai.usage.cache_read.input_tokens": get(get(usage, "input_token_details"), "cache_read"),
            "gen_ai.usage.reasoning.output_tokens": get(get(usage, "output_token_details"), "reasoning"),
        }
    )
