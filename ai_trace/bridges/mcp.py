"""MCP: what a client asks of a server. Tools, resources, prompts, and the list of tools."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..genai import ARGUMENTS, OPERATION, RESULT, TOOL
from .calls import Call, Source, quietly
from .patches import Patches, original_of
from .words import get, plain_form, without_none

__all__ = ["install"]

_METHODS = {
    "call_tool": "tools/call",
    "read_resource": "resources/read",
    "get_prompt": "prompts/get",
    "list_tools": "tools/list",
}


def install(client: Any, source: Source) -> Patches:
    """Record what *client*, a `ClientSession`, asks, or where it is None, every one."""
    patches = Patches(source)
    kind = importlib.import_module("mcp").ClientSession
    for name, method in _METHODS.items():
        if client is None:
            patches.put(kind, name, lambda original, method=method: _asking(original, method, source))  # type: ignore[misc]
        else:
            wrapper = _asking(original_of(getattr(kind, name)), method, source)
            patches.set(client, name, patches.method(wrapper, client), None)
    return patches


def _asking(original: Callable[..., Any], method: str, source: Source) -> Callable[..., Any]:
    async def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = source.call(lambda: _asked(method, args, kwargs))
        if call is None:
            return await original(self, *args, **kwargs)
        with call:
            answer = await original(self, *args, **kwargs)
        quietly("what a server of MCP answered", _take, call, method, answer)
        return answer

    return ask


def _asked(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    first = args[0] if args else kwargs.get("name") or kwargs.get("uri")
    context: dict[str, Any] = {"mcp.method.name": method}
    if method == "tools/call":
        arguments = args[1] if len(args) > 1 else kwargs.get("arguments")
        context |= without_none({OPERATION: "execute_tool", TOOL: first, ARGUMENTS: arguments})
        return f"execute_tool {first}", context
    if method == "tools/list":
        return method, context
    arguments = args[1] if len(args) > 1 else kwargs.get("arguments")
    about = {"mcp.resource.uri" if method == "resources/read" else "mcp.prompt.name": str(first), "arguments": arguments}
    return f"{method} {first}", {**context, **without_none(about)}


def _take(call: Call, method: str, answer: Any) -> None:
    """A tool that failed answers so; it is the step's error."""

    def read() -> dict[str, Any]:
        if method == "tools/list":
            return {"tools": [get(tool, "name") for tool in get(answer, "tools") or []]}
        said = plain_form(answer)
        return {RESULT: said} if method == "tools/call" else {"result": said}

    failed = method == "tools/call" and (get(answer, "isError") or get(answer, "is_error"))
    texts = [str(text) for one in get(answer, "content") or [] if (text := get(one, "text"))] if failed else []
    call.finish(read, " ".join(texts) or "the tool failed" if failed else None)
