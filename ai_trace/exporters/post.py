"""Spans to a collector: OTLP over HTTP, by the specification (https://opentelemetry.io/docs/specs/otlp/#otlphttp).

Each request is a gzipped `POST`; JSON first, and for a server that answers 415 the binary form from then
on. 429, 502, 503, 504 and a connection that fails are tried again with growing pauses, or after the pause
that the server asks for (`Retry-After`). Everything else that is no success is not, as the specification
forbids it. What a server accepts only in part is counted and told.

No redirect is followed: where spans go, and with them what the agent saw, is what the user typed. Proxies are
taken from the environment, except to this machine itself.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .. import clock, safe
from ..exceptions import TraceError, UsageError
from .protobuf import encode
from .values import compact

__all__ = ["Collector", "Refused", "Unreachable", "headers_from", "is_url"]

TIMEOUT_S: Final = 10.0  # of one attempt, the default of OpenTelemetry's exporters
TRIES: Final = 6
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
LONGEST_ASKED_S: Final = 300.0  # a server may ask for more, and is asked again anyhow
_ANSWER: Final = 64 * 1024  # bytes of an answer that are read
_AGAIN: Final = (429, 502, 503, 504)
_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"


class Refused(TraceError):
    """The collector will not have these spans, however often they are sent; *status* is its answer."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(TraceError):
    """The collector did not take the spans now, after all tries; later it may."""


class _Answer(NamedTuple):
    status: int
    retry_after: str | None
    body: bytes


class Collector:
    """An OTLP endpoint.

    Attributes:
        url: where requests go.
        rejected: how many spans it said it did not take.
        told: what it said about that, each sentence once, safe for a terminal.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        wait: Callable[[float], object] = time.sleep,
        tries: int = TRIES,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.url = _endpoint(url)
        self.rejected = 0
        self.told: list[str] = []
        self._headers = dict(headers or {})
        self._wait = wait
        self._say = say
        self._tries = tries
        self._form = _JSON
        self._opener = _opener(self.url)

    def send(self, request: Mapping[str, Any]) -> None:
        """Hand over an `ExportTraceServiceRequest`; it returns when the collector has answered.

        Raises:
            Refused: it will never take them.
            Unreachable: it did not answer, or was too busy, as often as it was tried.
        """
        why, pause = "", 0.0
        for attempt in range(self._tries):
            if attempt == 1:
                self._say(
                    f"{self.url} did not take the spans ({safe.one_line(why, 300)}); "
                    f"trying {self._tries - 1} more times"
                )
            if attempt:
                self._wait(pause)
            try:
                answer = self._ask(request)
            except (OSError, http.client.HTTPException) as error:
                pause, why = _pause(attempt, None), str(getattr(error, "reason", None) or error)
                continue
            if 200 <= answer.status < 300:
                self._note_partial(answer)
                return
            if answer.status not in _AGAIN:
                raise Refused(f"{self.url} answers {_status(answer)}", answer.status)
            pause, why = _pause(attempt, answer.retry_after), _status(answer)
        raise Unreachable(
            f"{self.url} did not take the spans in {self._tries} tries: {safe.one_line(why, 300)}"
        )

    def _ask(self, request: Mapping[str, Any]) -> _Answer:
        answer = self._post(request)
        if answer.status == 415 and self._form == _JSON:
            self._form = _PROTOBUF
            answer = self._post(request)
        return answer

    def _post(self, request: Mapping[str, Any]) -> _Answer:
        body = compact(request).encode("ascii") if self._form == _JSON else encode(request)
        headers = {
            "Content-Type": self._form,
            "Content-Encoding": "gzip",
            "User-Agent": "ai_trace",
            **self._headers,
        }
        posted = urllib.request.Request(self.url, gzip.compress(body, 6, mtime=0), headers, method="POST")
        try:
            with self._opener.open(posted, timeout=TIMEOUT_S) as reply:
                return _Answer(reply.status, None, reply.read(_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, error.headers.get("Retry-After"), error.read(_ANSWER))

    def _note_partial(self, answer: _Answer) -> None:
        """A success may still say that some spans were not taken (`partial_success`), or carry a warning."""
        try:
            said = json.loads(answer.body)["partialSuccess"]
            rejected = int(said.get("rejectedSpans") or 0)
            text = said.get("errorMessage") or ""
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # an empty answer, or the binary one: its status alone says that all were taken
        self.rejected += max(0, rejected)
        if text and (line := safe.one_line(str(text), 300)) not in self.told[:20]:
            self.told.append(line)


def is_url(text: str) -> bool:
    """Whether *text* means a server, not a file."""
    return text.lower().startswith(("http://", "https://"))


def headers_from(words: list[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The headers in *words* ("Name: value") over those in `OTEL_EXPORTER_OTLP_HEADERS` ("name=value,…").

    Raises:
        UsageError: a word is no header.
    """
    listed = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        or environment.get("OTEL_EXPORTER_OTLP_HEADERS")
        or ""
    )
    pairs = [pair.partition("=") for pair in listed.split(",") if pair.strip()]
    found = {name.strip(): urllib.parse.unquote(value.strip()) for name, _, value in pairs}
    for word in words:
        name, _, value = word.partition(":")
        found[name.strip()] = value.strip()
    for name, value in found.items():
        if not name or not all(ch.isascii() and (ch.isalnum() or ch in "-_.") for ch in name):
            raise UsageError(f"{safe.one_line(name, 60)!r} is no name of a header; a header is 'Name: value'")
        if not value.isprintable() or not value.isascii():
            raise UsageError(f"the value of the header {name} holds characters that a header cannot")
    return found


def _endpoint(url: str) -> str:
    """*url*, and where it names a server alone, the path of the specification behind it."""
    try:
        parts = urllib.parse.urlsplit(url)
        port_is_known = parts.port != -1
    except ValueError as error:
        raise UsageError(f"{safe.one_line(url, 200)} is no address: {error}") from None
    if not parts.hostname or not port_is_known or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{safe.one_line(url, 200)} is no address; one is http://localhost:4318")
    if parts.username is not None or parts.password is not None:
        raise UsageError("put no password in the address: pass it in OTEL_EXPORTER_OTLP_HEADERS")
    return urllib.parse.urlunsplit(parts._replace(path="/v1/traces")) if parts.path in ("", "/") else url


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    host = urllib.parse.urlsplit(url).hostname or ""
    here = host in ("localhost", "::1") or host.startswith("127.")
    handlers: list[Any] = [_Stay()]
    return urllib.request.build_opener(*handlers, *([urllib.request.ProxyHandler({})] if here else []))


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds until the next try: as the server asked, else twice the last pause, give or take a fifth."""
    seconds = _asked_s(asked)
    if seconds is not None:
        return min(max(seconds, 0.0), LONGEST_ASKED_S)
    pause = min(FIRST_PAUSE_S * float(2**attempt), LONGEST_PAUSE_S)
    # Many senders that failed together must not come back together; a step id is as random as any number.
    return pause * (0.8 + 0.4 * int(clock.active.step_id()[:4], 16) / 0xFFFF)


def _asked_s(asked: str | None) -> float | None:
    """`Retry-After` as seconds from now: a number, or a date (RFC 9110 §10.2.3); None for neither."""
    if asked is None:
        return None
    if asked.strip().isdigit() and len(asked.strip()) < 10:
        return float(asked)
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(asked).timestamp() - clock.active.wall_ns() / 1e9
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _status(answer: _Answer) -> str:
    said = safe.one_line(answer.body[:2000].decode("utf-8", "replace"), 200)
    name = http.client.responses.get(answer.status, "")
    return f"{answer.status} {name}".strip() + (f": {said}" if said.strip() else "")
