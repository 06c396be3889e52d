"""The standard `urllib.request`: each `urlopen` is a step, its redirects included. The body is the agent's to read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from . import web
from .calls import Source
from .patches import Patches, original_of

__all__ = ["install"]


def install(client: Any, source: Source) -> Patches:
    """Record what *client*, an opener, opens, or where it is None, every opener."""
    patches = Patches(source)
    if client is not None:
        wrapper = _open(original_of(type(client).open), source)
        patches.set(client, "open", patches.method(wrapper, client), None)
    else:
        opener = importlib.import_module("urllib.request").OpenerDirector
        patches.put(opener, "open", lambda original: _open(original, source))
    return patches


def _open(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def open(self: Any, fullurl: Any, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        # Of a request object its own words, of a text the text.
        url = getattr(fullurl, "full_url", fullurl)
        sent = data if data is not None else getattr(fullurl, "data", None)
        asked = getattr(fullurl, "get_method", None)
        method = "POST" if asked is None and data is not None else asked() if asked is not None else "GET"
        call = web.begin(source, method, url, sent)
        if call is None:
            return original(self, fullurl, data, *args, **kwargs)
        with call:
            response = original(self, fullurl, data, *args, **kwargs)
        web.end(call, response, getattr(response, "status", None), lambda: None)
        return response

    return open
