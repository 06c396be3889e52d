"""httpx: each request of a client is a step, its redirects included. `httpx2`, its successor, is the same."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from . import web
from .calls import Call, Source
from .patches import Patches, original_of

__all__ = ["install"]


def install(client: Any, source: Source) -> Patches:
    """Record what *client* sends, or where it is None, every client."""
    patches = Patches(source)
    if client is not None:
        _install_on(client, patches)
        return patches
    importlib.import_module("httpx")
    for name in ("httpx", "httpx2"):
        library = sys.modules.get(name)
        if library is not None:
            patches.put(library.Client, "send", lambda original: _send(original, source))
            patches.put(library.AsyncClient, "send", lambda original: _async_send(original, source))
    return patches


def _install_on(client: Any, patches: Patches) -> None:
    original = original_of(type(client).send)
    wrap = _async_send if hasattr(client, "aclose") else _send
    patches.set(client, "send", patches.method(wrap(original, patches.source), client), None)


def _send(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin(source, request)
        if call is None:
            return original(self, request, *args, **kwargs)
        with call:
            response = original(self, request, *args, **kwargs)
        _end(call, response)
        return response

    return send


def _async_send(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin(source, request)
        if call is None:
            return await original(self, request, *args, **kwargs)
        with call:
            response = await original(self, request, *args, **kwargs)
        _end(call, response)
        return response

    return send


def _begin(source: Source, request: Any) -> Call | None:
    return web.begin(source, request.method, request.url, getattr(request, "_content", None))


def _end(call: Call, response: Any) -> None:
    def size() -> int | None:
        return len(response.content) if response.is_stream_consumed else None

    web.end(call, response, response.status_code, size)
