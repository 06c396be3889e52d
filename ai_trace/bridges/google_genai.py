"""Google's `google-genai`: what its requests and streams say.

Each request to the model is a step, those that automatic function calling makes included. Google counts thoughts
apart: `gen_ai.usage.output_tokens` is the answer and the thoughts together, as the GenAI conventions ask.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any

from .calls import Call, Source
from .patches import Patches
from .words import asked, get, plain_form, total, without_none

__all__ = ["GeminiFold", "gemini_answer", "install"]

_STREAM = "_stream"
_END = object()


def install(client: Any, source: Source) -> Patches:
    """Record what every client asks; one alone cannot be told apart, as its parts are made anew."""
    models = importlib.import_module("google.genai.models")
    patches = Patches(source)
    for kind in (models.Models, models.AsyncModels):
        is_async = kind is models.AsyncModels
        # The inner functions make one request each; where a version has none, the outer ones.
        for name in ("generate_content", "generate_content_stream"):
            inner = f"_{name}" if hasattr(kind, f"_{name}") else name
            wrap = _WRAPPERS[is_async, name.endswith(_STREAM)]
            patches.put(kind, inner, lambda original, wrap=wrap: wrap(original, source))  # type: ignore[misc]
    return patches


def _open(source: Source, kwargs: Mapping[str, Any]) -> Call | None:
    def read() -> tuple[str, dict[str, Any]]:
        config = plain_form(kwargs.get("config")) or {}
        contents = kwargs.get("contents")
        said = [plain_form(one) for one in contents] if isinstance(contents, list) else plain_form(contents)
        body = {"model": kwargs.get("model"), "contents": said, **dict(config)}
        return asked("generate_content", "gcp.gemini", body)

    return source.call(read)


def _plain(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _open(source, kwargs)
        if call is None:
            return original(self, *args, **kwargs)
        with call:
            answer = original(self, *args, **kwargs)
        call.finish(lambda: gemini_answer(answer))
        return answer

    return generate


def _async_plain(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    async def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _open(source, kwargs)
        if call is None:
            return await original(self, *args, **kwargs)
        with call:
            answer = await original(self, *args, **kwargs)
        call.finish(lambda: gemini_answer(answer))
        return answer

    return generate


def _stream(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _open(source, kwargs)
        stream = original(self, *args, **kwargs)
        if call is None:
            return stream
        call.stream(GeminiFold())
        return _watched(stream, call)

    return generate


def _watched(inner: Any, call: Call) -> Generator[Any, None, None]:
    """A generator, as the library's own is; dropped before its first item, it lets go of *call*, which ends."""
    try:
        while (item := _pull(inner, call)) is not _END:
            call.item(item)
            yield item
        call.end()
    except GeneratorExit:
        inner.close()
        call.stop("closed before its end")
        raise


def _pull(inner: Any, call: Call) -> Any:
    with call:  # the request is made when the first item is asked for
        return next(inner, _END)


def _async_stream(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    async def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _open(source, kwargs)
        if call is None:
            return await original(self, *args, **kwargs)
        with call:
            stream = await original(self, *args, **kwargs)
        call.stream(GeminiFold())
        return _async_watched(stream, call)

    return generate


async def _async_watched(inner: Any, call: Call) -> AsyncGenerator[Any, None]:
    try:
        async for item in inner:
            call.item(item)
            yield item
        call.end()
    except GeneratorExit:
        await inner.aclose()
        call.stop("closed before its end")
        raise
    except BaseException as error:
        call.fail(error)
        raise


_WRAPPERS = {
    (False, False): _plain, (True, False): _async_plain, (False, True): _stream, (True, True): _async_stream
}  # fmt: skip


def gemini_answer(answer: Any) -> dict[str, Any]:
    """The fields of a `GenerateContentResponse`."""
    candidates = [plain_form(one) for one in get(answer, "candidates") or []]
    usage = plain_form(get(answer, "usage_metadata")) or {}
    return without_none(
        {
            "gen_ai.response.id": get(answer, "response_id"),
            "gen_ai.response.model": get(answer, "model_version"),
            "gen_ai.response.finish_reasons": [why for one in candidates if (why := get(one, "finish_reason"))],
            "gen_ai.output.messages": [content for one in candidates if (content := get(one, "content"))],
            "gen_ai.usage.input_tokens": total(get(usage, "prompt_token_count"), get(usage, "tool_use_prompt_token_count")),
            "gen_ai.usage.output_tokens": total(get(usage, "candidates_token_count"), get(usage, "thoughts_token_count")),
            "gen_ai.usage.cache_read.input_tokens": get(usage, "cached_content_token_count"),
            "gen_ai.usage.reasoning.output_tokens": get(usage, "thoughts_token_count"),
        }
    )  # fmt: skip


class GeminiFold:
    """The pieces of a streamed answer: the parts one after the other, adjacent texts joined."""

    def __init__(self) -> None:
        self.complete = False
        self._head: dict[str, Any] = {}
        self._candidates: dict[int, dict[str, Any]] = {}

    def add(self, piece: Any) -> None:
        """Take in a `GenerateContentResponse`."""
        for name in ("response_id", "model_version", "usage_metadata"):
            value = get(piece, name)
            if value is not None:
                self._head[name] = value
        for candidate in get(piece, "candidates") or []:
            said = plain_form(candidate)
            known = self._candidates.setdefault(get(said, "index") or 0, {"content": {"role": "model", "parts": []}})
            known["finish_reason"] = get(said, "finish_reason") or known.get("finish_reason")
            for part in get(get(said, "content"), "parts") or []:
                _join(known["content"]["parts"], part)
        self.complete = bool(self._candidates) and all(one["finish_reason"] for one in self._candidates.values())

    def fields(self) -> dict[str, Any]:
        """What the pieces said so far."""
        return gemini_answer({**self._head, "candidates": list(self._candidates.values())})


def _join(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add *part*; a text goes on where the last one, of the same kind, stopped."""
    last = parts[-1] if parts else None
    if last and "text" in part and "text" in last and {**last, "text": ""} == {**part, "text": ""}:
        last["text"] += part["text"]
    else:
        parts.append(dict(part))
