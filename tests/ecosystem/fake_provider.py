"""A model provider on 127.0.0.1 that answers and streams as OpenAI, Anthropic and Google do. Standard library only.

What it answers is fixed: "It is sunny in Oslo.", or, where the request brings tools and no result of one yet, a call
of the first tool with {"city": "Oslo"}. `statuses` are answered first, one for each request; `cut_after` breaks a
stream off after so many events, as a dying connection does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "It is sunny in Oslo."
PIECES = ("It is ", "sunny ", "in Oslo.")
ARGUMENTS = ('{"city": ', '"Oslo"}')


class Provider:
    """The server; `with Provider() as provider:` runs it."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.cut_after: int | None = None
        self.bodies: list[dict[str, Any]] = []
        self.clients: list[Any] = []  # closed at the end, as each holds connections
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.provider = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Provider:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        """A page, for clients that only fetch."""
        self._send(200, {"path": self.path})

    def do_POST(self) -> None:
        """A question to a model."""
        provider: Provider = self.server.provider  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        provider.bodies.append(body)
        if provider.statuses:
            status = provider.statuses.pop(0)
            self._send(status, {"error": {"type": "overloaded", "message": f"answered {status}"}})
            return
        path = self.path.split("?")[0]
        if path.endswith("/chat/completions"):
            self._answer(body, chat, chat_events)
        elif path.endswith("/responses"):
            self._answer(body, response, response_events)
        elif path.endswith("/messages"):
            self._answer(body, message, message_events)
        elif path.endswith("/embeddings"):
            self._send(200, embeddings(body))
        elif path.endswith(":generateContent"):
            self._send(200, gemini(TEXT, True))
        elif path.endswith(":streamGenerateContent"):
            self._stream((None, gemini(piece, piece is PIECES[-1])) for piece in PIECES)
        else:
            self._send(404, {"error": {"message": f"nothing at {path}"}})

    def _answer(self, body: dict[str, Any], whole: Any, events: Any) -> None:
        if body.get("stream"):
            self._stream(events(body))
        else:
            self._send(200, whole(body))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-request-id", "req_1")
        if status >= 400:
            self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[tuple[str | None, Any]]) -> None:
        provider: Provider = self.server.provider  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for count, (name, data) in enumerate(events):
                if count == provider.cut_after:
                    self.close_connection = True
                    return  # without the closing chunk: the client sees the connection die
                head = f"event: {name}\n" if name else ""
                text = data if isinstance(data, str) else json.dumps(data)
                self._chunk(f"{head}data: {text}\n\n".encode())
            self._chunk(b"")
        except OSError:
            self.close_connection = True  # the client has gone

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _tool(body: dict[str, Any]) -> str | None:
    """The tool to call: the first, unless the result of one is among the messages."""
    said = json.dumps(body.get("messages") or body.get("input") or [])
    if not body.get("tools") or '"tool' in said and ("tool_call_id" in said or "tool_result" in said):
        return None
    if "function_call_output" in said:
        return None
    first = body["tools"][0]
    return str(first.get("name") or first["function"]["name"])


def chat(body: dict[str, Any]) -> dict[str, Any]:
    """A ChatCompletion."""
    tool = _tool(body)
    said: dict[str, Any] = {"role": "assistant", "content": None if tool else TEXT, "refusal": None}
    if tool:
        function = {"name": tool, "arguments": "".join(ARGUMENTS)}
        said["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    reason = "tool_calls" if tool else "stop"
    choice = {"index": 0, "message": said, "finish_reason": reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": f"{body['model']}-2026",
            "choices": [choice], "usage": CHAT_USAGE}  # fmt: skip


CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def chat_events(body: dict[str, Any]) -> Iterator[tuple[None, Any]]:
    """ChatCompletionChunks, with usage where it was asked for."""
    tool = _tool(body)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if tool else ""}]
    if tool:
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": ""}}
        deltas.append({"tool_calls": [first]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in ARGUMENTS]
    else:
        deltas += [{"content": piece} for piece in PIECES]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": f"{body['model']}-2026"}
    for delta in deltas:
        yield None, {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if tool else "stop"}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield None, {**chunk, "choices": [], "usage": CHAT_USAGE}
    yield None, "[DONE]"


def response(body: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    """A Response of the responses API."""
    tool = _tool(body)
    if tool:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool, "status": "completed",
                "arguments": "".join(ARGUMENTS)}  # fmt: skip
    else:
        text = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    done = status == "completed"
    usage = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
             "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 27}  # fmt: skip
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": f"{body['model']}-2026",
        "output": [item] if done else [], "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "usage": usage if done else None,
    }  # fmt: skip


def response_events(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The events of a streamed response."""
    whole = response(body)
    item = whole["output"][0]
    started = response(body, "in_progress")
    events: list[dict[str, Any]] = [{"type": "response.created", "response": started}]
    empty = {**item, "status": "in_progress"}
    where = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "message":
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": {**empty, "content": []}})
        events.append({"type": "response.content_part.added", **where, "content_index": 0, "part": part})
        for piece in PIECES:
            events.append({"type": "response.output_text.delta", **where, "content_index": 0, "delta": piece,
                           "logprobs": []})  # fmt: skip
        events.append({"type": "response.output_text.done", **where, "content_index": 0, "text": TEXT, "logprobs": []})
        events.append({"type": "response.content_part.done", **where, "content_index": 0,
                       "part": item["content"][0]})  # fmt: skip
    else:
        events.append({"type": "response.output_item.added", "output_index": 0, "item": {**empty, "arguments": ""}})
        for piece in ARGUMENTS:
            events.append({"type": "response.function_call_arguments.delta", **where, "delta": piece})
        events.append({"type": "response.function_call_arguments.done", **where, "name": item["name"],
                       "arguments": item["arguments"]})  # fmt: skip
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    for number, event in enumerate(events):
        yield event["type"], {**event, "sequence_number": number}


MESSAGE_USAGE = {"input_tokens": 9, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 3, "output_tokens": 7}


def message(body: dict[str, Any]) -> dict[str, Any]:
    """A Message of Anthropic."""
    tool = _tool(body)
    block: dict[str, Any] = {"type": "text", "text": TEXT}
    if tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"city": "Oslo"}}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": f"{body['model']}-2026",
            "content": [block], "stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None,
            "usage": MESSAGE_USAGE}  # fmt: skip


def message_events(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The events of a streamed message."""
    whole = message(body)
    block = whole["content"][0]
    started = {**whole, "content": [], "stop_reason": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": started}
    if block["type"] == "text":
        empty: dict[str, Any] = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in PIECES]
    else:
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENTS]
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": empty}
    yield "ping", {"type": "ping"}
    for delta in deltas:
        yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}}
    yield "message_stop", {"type": "message_stop"}


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Two numbers for each text."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at in range(len(texts))]
    return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def gemini(text: str, last: bool) -> dict[str, Any]:
    """A GenerateContentResponse of Google."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    usage = {"promptTokenCount": 20, "candidatesTokenCount": 4, "thoughtsTokenCount": 3,
             "cachedContentTokenCount": 8, "totalTokenCount": 27}  # fmt: skip
    return {"candidates": [candidate], "usageMetadata": usage if last else None, "modelVersion": "gemini-2026",
            "responseId": "g_1"}  # fmt: skip
