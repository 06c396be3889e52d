"""Run a callable of any kind inside a context manager, and leave it otherwise as it is.

The wrapper is of the same kind (function, coroutine function, generator function, async generator function),
with the same name, signature and attributes. Exceptions pass as they are, with the wrapper's frame added to
the traceback. What a consumer sends or throws into a generator reaches the generator's own `yield`, closing
included, and its return value is kept. One thing must differ: wrong arguments to a generator or coroutine
function raise when it first runs, not already when it is called.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

from .current import Node, here, lend, take_back

__all__ = ["Around", "Done", "propagate", "surround"]

F = TypeVar("F", bound=Callable[..., Any])
Around = Callable[[tuple[Any, ...], dict[str, Any]], AbstractContextManager[Any]]
Done = Callable[[Any, Any, "int | None"], None]


def propagate(fn: F) -> F:
    """Wrap *fn* so that where it runs (a thread, an executor), the step current here is current there.

    Any number of calls may run at once. When the step has ended meanwhile, the one around it counts.
    Where no step is current, *fn* itself is returned.
    """
    origin = here()
    if origin is None:
        return fn
    return surround(fn, lambda args, kwargs: _Lent(origin), origin=origin)


def surround(fn: F, around: Around, done: Done | None = None, origin: Node | None = None) -> F:
    """Wrap *fn* so that each run of it happens inside a context manager of its own.

    Args:
        fn: any callable; its kind is looked up once, here.
        around: called with the arguments, a tuple and a dict, when a run begins; answers the context manager.
        done: called with what entering that gave, the value returned, and None; for generators at every end,
            with the number of items yielded in place of the None.
        origin: for generators, in place of *around*: the node whose step is current while the body runs.
            None: the one that *around* made current.
    """
    import inspect

    routine = inspect.isroutine(fn) or isinstance(fn, functools.partial)
    called = fn if routine else cast(Any, fn).__call__  # of a callable object, the method tells the kind
    wrapper: Any
    if inspect.iscoroutinefunction(called):
        wrapper = _coroutine(fn, around, done)
    elif inspect.isasyncgenfunction(called):
        wrapper = _async_generator(fn, around if origin is None else _idle, done, origin)
    elif inspect.isgeneratorfunction(called):
        wrapper = _generator(fn, around if origin is None else _idle, done, origin)
        if _unwrapped(called).__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:
            from types import coroutine

            wrapper = coroutine(wrapper)
    else:
        wrapper = _function(fn, around, done)
    return cast(F, functools.wraps(fn)(wrapper))


def _unwrapped(called: Any) -> Any:
    while isinstance(called, functools.partial):
        called = called.func
    return getattr(called, "__func__", called)


def _function(fn: Callable[..., Any], around: Around, done: Done | None) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        with around(args, kwargs) as entered:
            value = fn(*args, **kwargs)
            if done is not None:
                done(entered, value, None)
            return value

    return function


def _coroutine(fn: Callable[..., Any], around: Around, done: Done | None) -> Callable[..., Any]:
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with around(args, kwargs) as entered:
            value = await fn(*args, **kwargs)
            if done is not None:
                done(entered, value, None)
            return value

    return coroutine


def _generator(
    fn: Callable[..., Any], around: Around, done: Done | None, origin: Node | None
) -> Callable[..., Any]:
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with around(args, kwargs) as entered:
            node = here() if origin is None else origin
            inner = fn(*args, **kwargs)
            del args, kwargs  # the body decides how long they live
            resume, sent, count, value = inner.send, None, 0, None
            try:
                while True:
                    relay = lend(node)
                    try:
                        item = resume(sent)
                    except StopIteration as end:
                        value = end.value
                        return value
                    finally:
                        take_back(relay)
                        sent = None  # a thrown exception holds this frame
                    count += 1
                    try:
                        sent = yield item
                        resume = inner.send
                    except BaseException as thrown:  # GeneratorExit, too: it is the body that decides
                        resume, sent = inner.throw, thrown
            finally:
                if done is not None:
                    done(entered, value, count)

    return generator


def _async_generator(
    fn: Callable[..., Any], around: Around, done: Done | None, origin: Node | None
) -> Callable[..., Any]:
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with around(args, kwargs) as entered:
            node = here() if origin is None else origin
            inner = fn(*args, **kwargs)
            del args, kwargs
            resume, sent, count = inner.asend, None, 0
            first = _unannounced(inner)
            try:
                while True:
                    relay = lend(node)
                    try:
                        item = await (resume(sent) if first is None else first)
                    except StopAsyncIteration:
                        return
                    finally:
                        take_back(relay)
                        first = sent = None
                    count += 1
                    try:
                        sent = yield item
                        resume = inner.asend
                    except BaseException as thrown:
                        resume, sent = inner.athrow, thrown
            finally:
                if done is not None:
                    done(entered, None, count)

    return async_generator


def _unannounced(inner: AsyncGenerator[Any, Any]) -> Any:
    """The first `asend` of *inner*, without a word to the event loop.

    The loop closes each async generator it hears of when it shuts down. The wrapper is one and closes the
    inner; were both closed at once, the second would raise "asynchronous generator is already running".
    """
    firstiter, finalizer = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return inner.asend(None)
    finally:
        sys.set_asyncgen_hooks(firstiter, finalizer)


class _Lent:
    """Makes the step of *origin* current for a block."""

    __slots__ = ("origin", "relay")

    def __init__(self, origin: Node) -> None:
        self.origin = origin

    def __enter__(self) -> None:
        self.relay = lend(self.origin)

    def __exit__(self, *_: object) -> None:
        take_back(self.relay)


def _idle(args: tuple[Any, ...], kwargs: dict[str, Any]) -> AbstractContextManager[Any]:
    return nullcontext()
