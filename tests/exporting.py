"""For the tests of exporters: sessions to export, text that fights back, and a collector on this machine."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ai_trace.session import Session, fold
from tests.journals import strict_json
from tests.records import T0, failed, step

INFO: dict[str, Any] = {
    "agent": "trader", "session_id": "20240301_134022", "trace_id": "0123456789abcdef" * 2,
    "meta": {"env": "test"}, "pid": 4242, "host": "here", "started_at": T0, "format": 1, "writer": "1.0.0",
}  # fmt: skip

NASTY = (
    "=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "\x1b]0;title\x07",
    "\ud800 half", "\udc00\ud800", "\0", "</script><script>", "'; DROP TABLE steps; --", "\u202egnp.exe",
    "\u2028", '"', "\\ud800", "x" * 200_000, "", " ", "日本 \U0001f680", "a\r\nb", "[{", '{"role":',
    "gen_ai.request.model",
)  # fmt: skip
"""Texts that break a format which does not expect them."""

CHAT: list[dict[str, Any]] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "buy?"}]
WISH: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "price", "arguments": '{"s":"X"}'}}
        ],
    }
]


def session(*records: Any, **info: Any) -> Session:
    """A session of *records*, or a small true one: a root, a model call, a tool, a failure, an open step."""
    return fold(records or typical(), info={**INFO, **info}, state="died", size=1)


def typical() -> list[Any]:
    """The steps of a small run."""
    return [
        step(1, name="run", duration_ms=9000.0, context={"symbol": "ACME"}),
        step(
            2, 1, name="ask",
            usage={"model": "gpt-4o", "input_tokens": 12, "output_tokens": 5, "cost_usd": 0.25},
            context={"gen_ai.request.model": "gpt-4o", "gen_ai.input.messages": CHAT, "temperature": 0.5},
            logs=[{"_t": T0 + 2.5, "gen_ai.output.messages": WISH, "gen_ai.usage.input_tokens": 12,
                   "gen_ai.response.finish_reasons": "tool_calls"}],
        ),
        step(
            3, 1, name="price", duration_ms=250.0,
            context={"gen_ai.tool.name": "price", "gen_ai.tool.call.id": "c1",
                     "gen_ai.tool.call.arguments": {"s": "X"}},
            logs=[{"_t": T0 + 3.1, "gen_ai.tool.call.result": {"price": 101.5}}],
        ),
        failed(4, 1, name="order", context={"qty": -3}, traceback="Traceback\nValueError: boom\n",
               logs=[{"_t": T0 + 4.5, "message": "sending", "n": 1}]),
        step(5, 1, name="wait", open=True, thread="worker", logs=[{"_t": T0 + 7, "message": "still here"}]),
    ]  # fmt: skip


def hostile() -> Session:
    """A session with hostile text in every field that has text, and hostile values in every other."""
    records = [
        step(
            n, n - 1 if n % 3 else None, name=text, error=text, outcome="error" if n % 2 else text,
            thread=text, task=text, traceback=text,
            usage={"model": text, "input_tokens": 2**80, "cost_usd": -1.5},
            context={text: text, "n": None, "deep": {text: [text, {text: 2**70}]}, "mixed": [1, "a", None],
                     "gen_ai.input.messages": text, "gen_ai.output.messages": [{
                         "role": text, "content": [text, {"type": text}],
                         "tool_calls": [text, {"id": text, "function": {"name": text, "arguments": text}}]}]},
            logs=[{"_t": "never", "message": text, text: text}, {"message": {text: text}}, {"_t": 1e300}],
        )
        for n, text in enumerate(NASTY, 1)
    ]  # fmt: skip
    more = [step(90, started_at=None, name="no time"), step(91, started_at=-5.0), step(92, started_at=1e18),
            step(93, duration_ms=-1.0), step(94, 95), step(95, 94), step(96, 96), step(96, name="same id"),
            step(97, 12345, name="orphan")]  # fmt: skip
    everywhere = NASTY[9]
    about = {"agent": everywhere, "session_id": everywhere, "meta": {text: text for text in NASTY},
             "trace_id": "no", "pid": "x", "host": everywhere}  # fmt: skip
    return fold([*records, *more], info=about, state="unknown", notices=list(NASTY[:12]))


class Collector:
    """What a fake OTLP collector on 127.0.0.1 was sent, and how it answers.

    `answers` are (status, headers, body) for the next requests; after them it says 200.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []  # path, headers, body as it came
        self.url = ""
        self.arrived = threading.Condition()

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The spans of all requests that were answered with success."""
        return [span for _, headers, body in self.good for span in spans(_plain(headers, body))]

    @property
    def good(self) -> list[tuple[str, dict[str, str], bytes]]:
        return [request for request in self.requests if request[1].get("x-answer") == "200"]

    def wait_for(self, count: int, seconds: float = 600.0) -> None:
        """Until *count* spans have been taken."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.taken) >= count, seconds), len(self.taken)


def _plain(headers: dict[str, str], body: bytes) -> bytes:
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


def valid_json(raw: bytes) -> Any:
    """The value of *raw*: strict JSON, and nowhere half a surrogate pair (UTF-8 has none)."""
    found = strict_json(raw)
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


def spans(line: bytes) -> list[dict[str, Any]]:
    """The spans of one request in JSON."""
    request = json.loads(line)
    return [
        one for part in request["resourceSpans"] for scope in part["scopeSpans"] for one in scope["spans"]
    ]


def value(any_value: dict[str, Any]) -> Any:
    """What an `AnyValue` holds."""
    ((kind, held),) = any_value.items()
    if kind == "arrayValue":
        return [value(one) for one in held["values"]]
    return int(held) if kind == "intValue" else held


def attributes(part: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span, an event or a resource; each key must stand there once."""
    found = {one["key"]: value(one["value"]) for one in part["attributes"]}
    assert len(found) == len(part["attributes"])
    return found


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that lives as long as the block."""
    state = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, said = state.answers.pop(0) if state.answers else (200, {}, b"{}")
            with state.arrived:
                known = {name.lower(): text for name, text in self.headers.items()}
                state.requests.append((self.path, {**known, "x-answer": str(status)}, body))
                state.arrived.notify_all()
            if status == 0:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(status)
            for name, text in {
                "Content-Length": str(len(said)),
                "Content-Type": "application/json",
                **headers,
            }.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
