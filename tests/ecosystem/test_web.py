"""httpx and requests against a server on 127.0.0.1: a step per call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ai_trace import Tracer
from ai_trace.bridges import instrument, uninstrument

from .fake_provider import Provider
from .reading import fields_of, steps_of, the_step


def check(step: Any, provider: Provider, body: bytes) -> None:
    fields = fields_of(step)
    assert (step.name, step.outcome) == ("GET 127.0.0.1", "ok")
    assert fields["url.full"] == f"{provider.url}/page"
    assert fields["url.query"] == {"q": "1", "token": "[redacted]"}
    assert fields["http.response.status_code"] == 200
    assert fields["http.response.body.size"] == len(body)


def test_httpx(provider: Provider, tracer: Tracer) -> None:
    """Plain and asynchronous; a failed status is an error; a stream is the agent's to read."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")

    async def main() -> bytes:
        async with httpx.AsyncClient() as client:
            return bytes((await client.get(url)).content)

    instrument(httpx, tracer=tracer)
    url = f"{provider.url}/page?q=1&token=abc"
    body = httpx.get(url).content
    assert asyncio.run(main()) == body
    with httpx.stream("GET", url) as response:
        assert response.read() == body
    assert httpx.post(f"{provider.url}/nowhere", json={}).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://127.0.0.1:9/")
    *good, missing, broken = steps_of(tracer)
    assert len(good) == 3
    for step in good:
        check(step, provider, body)
    assert (missing.outcome, missing.error) == ("error", "404 Not Found")
    assert broken.error.startswith("ConnectError")


def test_requests(provider: Provider, tracer: Tracer) -> None:
    """The same, one session alone included."""
    requests = pytest.importorskip("requests", reason="requests is not installed")
    instrument(requests, tracer=tracer)
    url = f"{provider.url}/page?q=1&token=abc"
    body = requests.get(url).content
    with requests.get(url, stream=True) as response:
        assert response.content == body
    plain, streamed = steps_of(tracer)
    check(plain, provider, body)
    check(streamed, provider, body)
    uninstrument()
    with requests.Session() as session:
        instrument(session, tracer=tracer).get(url)
        requests.get(url)
    assert len(steps_of(tracer)) == 3


def test_requests_of_a_model_call_are_part_of_it(provider: Provider, tracer: Tracer) -> None:
    """The client's own request makes no second step."""
    openai = pytest.importorskip("openai", reason="openai is not installed")
    for name in ("httpx", "openai"):
        instrument(name, tracer=tracer)
    with openai.OpenAI(api_key="sk-x", base_url=f"{provider.url}/v1") as client:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Weather?"}])
    assert the_step(tracer).name == "chat gpt-5"
