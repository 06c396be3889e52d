"""google-genai against a provider on 127.0.0.1."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from ai_trace import Tracer
from ai_trace.bridges import instrument, uninstrument

from .fake_provider import TEXT, Provider
from .reading import TOKENS, fields_of, steps_of, tokens_of

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")

ASK = {"model": "gemini-3", "contents": "Weather in Oslo?"}


def client_of(provider: Provider) -> Any:
    return genai.Client(api_key="k", http_options={"base_url": provider.url})


def check(step: Any) -> None:
    fields = fields_of(step)
    assert (step.name, step.outcome) == ("generate_content gemini-3", "ok")
    assert "Weather in Oslo?" in str(fields["gen_ai.input.messages"])
    assert fields["gen_ai.output.messages"] == [{"role": "model", "parts": [{"text": TEXT}]}]
    assert fields["gen_ai.response.finish_reasons"] == ["STOP"]
    assert tokens_of(step) == TOKENS


def test_plain_and_streamed(provider: Provider, tracer: Tracer) -> None:
    """Messages, parameters, answer and tokens, thoughts in the sum."""
    instrument("google.genai", tracer=tracer)
    client = client_of(provider)
    assert client.models.generate_content(**ASK, config={"temperature": 0.5}).text == TEXT
    assert "".join(piece.text for piece in client.models.generate_content_stream(**ASK)) == TEXT
    plain, streamed = steps_of(tracer)
    check(plain)
    check(streamed)
    assert fields_of(plain)["gen_ai.request.temperature"] == 0.5
    assert "gen_ai.response.time_to_first_chunk" in fields_of(streamed)


def test_asynchronous(provider: Provider, tracer: Tracer) -> None:
    """The same with the asynchronous client."""

    async def main() -> None:
        models = client_of(provider).aio.models
        assert (await models.generate_content(**ASK)).text == TEXT
        stream = await models.generate_content_stream(**ASK)
        assert "".join([piece.text async for piece in stream]) == TEXT

    instrument(genai, tracer=tracer)
    asyncio.run(main())
    steps = steps_of(tracer)
    assert len(steps) == 2
    for step in steps:
        check(step)


def test_errors_and_abandoned_streams(provider: Provider, tracer: Tracer) -> None:
    """An error has its status; a stream that nobody reads on ends its step."""
    instrument(genai, tracer=tracer)
    client = client_of(provider)
    provider.statuses = [400]
    with pytest.raises(Exception):
        client.models.generate_content(**ASK)
    stream = client.models.generate_content_stream(**ASK)
    next(stream)
    del stream
    gc.collect()
    failed, gone = steps_of(tracer)
    assert failed.outcome == "error" and fields_of(failed)["http.response.status_code"] == 400
    assert gone.outcome == "cancelled"
    assert fields_of(gone)["gen_ai.output.messages"] == [{"role": "model", "parts": [{"text": "It is "}]}]


def test_everything_is_put_back(tracer: Tracer) -> None:
    """The classes are what they were."""
    from google.genai import models

    before = [dict(vars(kind)) for kind in (models.Models, models.AsyncModels)]
    instrument(genai, tracer=tracer)
    uninstrument()
    assert [dict(vars(kind)) for kind in (models.Models, models.AsyncModels)] == before
