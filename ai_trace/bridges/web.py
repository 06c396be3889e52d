"""What a request over HTTP and its response say, whoever made it: method, URL without secrets, status, sizes.

The URL is told without its user and password, and its query beside it, by names, so that the rules of redaction see
each value under its name. Headers and bodies are not recorded. A status from 400 up is the step's error. A body that
the agent reads as a stream is not counted: its size is told only where the server said it. Requests that a recorded
call to a model makes are part of that call, and make no step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from .calls import STATUS, Call, Source, around
from .words import get, without_none

__all__ = ["begin", "end"]


def begin(source: Source, method: Any, url: Any, sent: Any) -> Call | None:
    """Begin the call for a request; *sent* is its body, where that is bytes or text."""
    outer = around()
    if outer is not None and outer.making:
        return None
    return source.call(lambda: _asked(str(method).upper(), str(url), sent))


def _asked(method: str, url: str, sent: Any) -> tuple[str, dict[str, Any]]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    place = place if parts.port is None else f"{place}:{parts.port}"
    context = {
        "http.request.method": method,
        "url.full": urlunsplit((parts.scheme, place, parts.path, "", "")),
        "url.query": dict(parse_qsl(parts.query, keep_blank_values=True)) or None,
        "server.address": host,
        "http.request.body.size": len(sent) if isinstance(sent, (bytes, bytearray, str)) else None,
    }
    return f"{method} {host}", without_none(context)


def end(call: Call, response: Any, status: Any, size: Callable[[], int | None]) -> None:
    """The response is there; *size* tells what came of its body, in bytes, None where the agent will read it."""

    def read() -> dict[str, Any]:
        headers = get(response, "headers")
        told = headers.get("content-length") if headers is not None else None
        came = size()
        known = came if came is not None else int(str(told)) if str(told).isdecimal() else None
        redirects = len(get(response, "history") or ()) or None
        return without_none({STATUS: status, "http.response.body.size": known, "redirects": redirects})

    reason = get(response, "reason_phrase") or get(response, "reason") or ""
    failed = isinstance(status, int) and status >= 400
    call.finish(read, f"{status} {reason}".strip() if failed else None)
