"""requests: each request of a session is a step, its redirects included."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from . import web
from .calls import Source
from .patches import Patches, original_of

__all__ = ["install"]


def install(client: Any, source: Source) -> Patches:
    """Record what *client*, a session, sends, or where it is None, every session."""
    patches = Patches(source)
    if client is not None:
        send = _send(original_of(type(client).send), source)
        patches.set(client, "send", patches.method(send, client), None)
    else:
        session = importlib.import_module("requests").Session
        patches.put(session, "send", lambda original: _send(original, source))
    return patches


def _send(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = web.begin(source, request.method, request.url, request.body)
        if call is None:
            return original(self, request, *args, **kwargs)
        with call:
            response = original(self, request, *args, **kwargs)
        streamed = kwargs.get("stream")
        web.end(call, response, response.status_code, lambda: None if streamed else len(response.content))
        return response

    return send
