"""Requests by the standard `urllib` are steps, and the agent's responses are what they would be."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer, UsageError
from ai_trace.bridges import instrument, instrumented, uninstrument


class Handler(BaseHTTPRequestHandler):
    """Answers what the path says: a status, or a redirect."""

    def do_GET(self) -> None:
        word = self.path.strip("/").split("?")[0]
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if word == "moved":
            self.send_response(302)
            self.send_header("Location", "/200")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(int(word))
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture(name="url")
def fixture_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(name="tracer")
def fixture_tracer(tmp_path: Path) -> Iterator[Tracer]:
    with Tracer("agent", tmp_path / "traces") as tracer:
        yield tracer
        uninstrument()


def steps_of(tracer: Tracer) -> list[Any]:
    return ai_trace.load(tracer.path).steps if tracer.path.exists() else []


def fetch(url: str, data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, data, timeout=600) as response:
        body = response.read()
    assert isinstance(body, bytes)
    return body


def test_a_request_is_a_step(url: str, tracer: Tracer) -> None:
    """Method, URL, status and sizes; the body is still the agent's to read."""
    instrument("urllib", tracer=tracer)
    assert fetch(f"{url}/200?q=x&api_key=k123", b"12345678") == b"hello"
    (step,) = steps_of(tracer)
    assert (step.name, step.outcome) == ("POST 127.0.0.1", "ok")
    assert step.context["url.full"] == f"{url}/200"
    assert step.context["url.query"] == {"q": "x", "api_key": "[redacted]"}
    assert step.context["http.request.body.size"] == 8
    assert step.logs[0]["http.response.status_code"] == 200
    assert step.logs[0]["http.response.body.size"] == 5


def test_redirects_are_part_of_the_request(url: str, tracer: Tracer) -> None:
    """One call is one step."""
    instrument("urllib", tracer=tracer)
    assert fetch(f"{url}/moved") == b"hello"
    assert len(steps_of(tracer)) == 1


def test_an_error_of_the_server_is_the_error_of_the_step(url: str, tracer: Tracer) -> None:
    """The agent gets the same exception; the step has it, and the status."""
    instrument("urllib", tracer=tracer)
    with pytest.raises(urllib.error.HTTPError) as raised:
        fetch(f"{url}/503")
    raised.value.close()
    (step,) = steps_of(tracer)
    assert step.error.startswith("HTTPError: HTTP Error 503")
    assert step.logs[0]["http.response.status_code"] == 503


def test_a_request_belongs_to_the_current_step(url: str, tracer: Tracer) -> None:
    """Without a tracer of its own the bridge records what happens inside of steps, and nothing else."""
    instrument("urllib")
    fetch(f"{url}/200")
    with tracer.step("decide") as decide:
        fetch(f"{url}/200")
    assert [step.parent for step in steps_of(tracer)] == [None, decide.id]


def test_everything_is_put_back(url: str, tracer: Tracer) -> None:
    """The class is what it was, also after doing it twice; a second time changes the tracer."""
    before = dict(vars(urllib.request.OpenerDirector))
    instrument(urllib.request)
    instrument("urllib.request", tracer=tracer)
    assert instrumented() == ["urllib.request"]
    fetch(f"{url}/200")
    uninstrument("urllib")
    assert dict(vars(urllib.request.OpenerDirector)) == before
    fetch(f"{url}/200")
    assert len(steps_of(tracer)) == 1


def test_one_opener_alone(url: str, tracer: Tracer) -> None:
    """A single object can be instrumented; the others are not."""
    opener = instrument(urllib.request.build_opener(), tracer=tracer)
    opener.open(f"{url}/200", timeout=600).close()
    fetch(f"{url}/200")
    assert len(steps_of(tracer)) == 1
    uninstrument(opener)
    assert "open" not in vars(opener)


def test_what_somebody_else_replaced_meanwhile_is_left(url: str, tracer: Tracer) -> None:
    """Another tool's wrapper around ours stays in place and works; ours, inside it, only passes on."""
    original = urllib.request.OpenerDirector.open
    instrument("urllib", tracer=tracer)
    ours = urllib.request.OpenerDirector.open

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    urllib.request.OpenerDirector.open = theirs  # type: ignore[method-assign, assignment]
    try:
        uninstrument()
        assert urllib.request.OpenerDirector.open is theirs
        assert fetch(f"{url}/200") == b"hello"
        assert steps_of(tracer) == []
    finally:
        urllib.request.OpenerDirector.open = original  # type: ignore[method-assign]


@pytest.mark.parametrize("wrong", ["no_such_library", 7, object()])
def test_what_is_unknown_is_said(wrong: Any) -> None:
    """A sentence that names what is known."""
    with pytest.raises(UsageError, match="openai, anthropic"):
        instrument(wrong)
