"""litellm: `completion` and `acompletion`, called as `litellm.completion(…)`, plain and streamed.

A name that was taken before (`from litellm import completion`) is the library's own function and is not seen.
litellm itself keeps hold of a stream that nobody reads any more: its step ends with the process, as cancelled.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .calls import Call, Source, quietly
from .openai import ChatFold, chat_answer
from .patches import Patches
from .words import asked

__all__ = ["install", "share"]

_CALL = "_ai_trace_call"
_SECRETS = ("api_key", "client", "extra_headers", "headers", "logger_fn", "shared_session")


def install(client: Any, source: Source) -> Patches:
    """Record every call; litellm has no clients."""
    library, patches = importlib.import_module("litellm"), Patches(source)
    patches.put(library, "completion", lambda original: _completion(original, source))
    patches.put(library, "acompletion", lambda original: _acompletion(original, source))
    return patches


def share() -> Patches:
    """What its streams need."""
    patches = Patches(Source())
    kind = importlib.import_module("litellm.litellm_core_utils.streaming_handler").CustomStreamWrapper
    patches.put(kind, "__next__", _next)
    patches.put(kind, "__anext__", _anext)
    return patches


def _open(source: Source, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    def read() -> tuple[str, dict[str, Any]]:
        body = {**dict(zip(("model", "messages"), args)), **kwargs}
        provider, slash, _ = str(body.get("model")).partition("/")
        kept = {key: value for key, value in body.items() if key not in _SECRETS}
        return asked("chat", body.get("custom_llm_provider") or (provider if slash else "litellm"), kept)

    return source.call(read)


def _completion(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    def completion(*args: Any, **kwargs: Any) -> Any:
        call = _open(source, args, kwargs)
        if call is None:
            return original(*args, **kwargs)
        with call:
            answer = original(*args, **kwargs)
        quietly("what litellm answered", _take, call, answer)
        return answer

    return completion


def _acompletion(original: Callable[..., Any], source: Source) -> Callable[..., Any]:
    async def acompletion(*args: Any, **kwargs: Any) -> Any:
        call = _open(source, args, kwargs)
        if call is None:
            return await original(*args, **kwargs)
        with call:
            answer = await original(*args, **kwargs)
        quietly("what litellm answered", _take, call, answer)
        return answer

    return acompletion


def _take(call: Call, answer: Any) -> None:
    if hasattr(answer, "__next__") or hasattr(answer, "__anext__"):
        call.stream(ChatFold())
        setattr(answer, _CALL, call)
    else:
        call.finish(lambda: chat_answer(answer))


def _next(original: Callable[..., Any]) -> Callable[..., Any]:
    def __next__(self: Any) -> Any:
        call = vars(self).get(_CALL)
        try:
            item = original(self)
        except BaseException as error:
            _ended(call, error)
            raise
        if call is not None:
            call.item(item)
        return item

    return __next__


def _anext(original: Callable[..., Any]) -> Callable[..., Any]:
    async def __anext__(self: Any) -> Any:
        call = vars(self).get(_CALL)
        try:
            item = await original(self)
        except BaseException as error:
            _ended(call, error)
            raise
        if call is not None:
            call.item(item)
        return item

    return __anext__


def _ended(call: Call | None, error: BaseException) -> None:
    if call is None:
        return
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        call.end()
    else:
        call.fail(error)
