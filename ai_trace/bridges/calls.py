"""One call to a model, a tool or a server on its way: its step, from the request to the end of the answer.

Guarantees: no method of a `Call` raises; what went wrong here is logged in the step as `bridge_error`. Items of
a stream pass as they are, and each is looked at once, when it passes. A call ends once: what comes first counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

from .. import clock
from ..current import Node, enter, leave
from ..genai import RESPONSE_MODEL
from ..news import complain
from ..step import Step, current_step

if TYPE_CHECKING:
    from ..tracer import Tracer

__all__ = ["STATUS", "AsyncWatch", "Call", "Fold", "Source", "Watch", "around", "quietly"]

_NOWHERE = object()  # announced outside of every step
STATUS = "http.response.status_code"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
USAGE = "gen_ai.usage."

# The call in which others may be made: a framework's call to a model, and the client's call that it makes.
_around: ContextVar[Call | None] = ContextVar("ai_trace.bridges.call", default=None)


class Fold(Protocol):
    """Puts the items of a stream together to an answer.

    Attributes:
        complete: the answer has come to its end, also where more items may follow.
    """

    complete: bool

    def add(self, item: Any, /) -> None:
        """Take in one item."""

    def fields(self) -> dict[str, Any]:
        """What is known of the answer now, as fields to log."""


class Source:
    """Where the calls of one `instrument` are recorded."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer
        self.on = True

    def step(self, name: str, context: dict[str, Any]) -> Step | None:
        """A started step: a child of the current one, else of the tracer, else None. Never raises."""
        step = self.unstarted(name, context)
        return step.start() if step is not None else None

    def unstarted(self, name: str, context: dict[str, Any]) -> Step | None:
        """The same, before its start: its ids may still be set."""
        step = current_step()
        call = around()
        parent = (call.step if call is not None and call.encloses(step) else step) or self.tracer
        if not self.on or parent is None:
            return None
        try:
            return parent.step(name, **context)
        except Exception as err:
            complain("a call is not recorded", err)
            return None

    def call(self, read: Callable[[], tuple[str, dict[str, Any]] | None]) -> Call | None:
        """Begin the call that *read* describes by name and context; None where it is not to be recorded."""
        if not self.on or (self.tracer is None and current_step() is None and around() is None):
            return None
        try:
            described = read()
        except Exception as err:
            complain("a call is not recorded", err)
            return None
        step = self.step(*described) if described is not None else None
        return Call(step) if step is not None else None


class Call:
    """A call that has begun.

    Attributes:
        step: its step.
        counted: a call inside this one has logged its tokens, so this one must not.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.counted = False
        self._began = clock.active.steady_ns()
        self._outer = around()
        self._fold: Fold | None = None
        self._first = True
        self._announced: object = None

    def __enter__(self) -> Call:
        """Make the step current for a block in which the call is made. Leaving the block does not end the call."""
        self._token: Token[Call | None] = _around.set(self)
        self._node: Node = enter(self.step, sys._getframe(1))
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(self._node)
        _around.reset(self._token)
        if error is not None and not isinstance(error, (StopIteration, StopAsyncIteration)):
            self.fail(error)

    @property
    def making(self) -> bool:
        """The block in which the call is made is running, and will not run the agent's own code."""
        return self._announced is None

    def announce(self) -> None:
        """Let calls made from here on, in this context, be inside this one until it ends.

        For frameworks, which only tell that a call begins: its step is not current, as the code of the agent
        may run before the call ends, between the pieces of a stream.
        """
        self._announced = current_step() or _NOWHERE
        _around.set(self)

    def encloses(self, current: Step | None) -> bool:
        """Whether a call made where *current* is the current step is inside this one, which was announced."""
        return self._announced is (current or _NOWHERE)

    def log(self, read: Callable[[], dict[str, Any]]) -> None:
        """Log what *read* answers."""
        try:
            fields = read()
        except Exception as err:
            fields = {"bridge_error": f"{type(err).__name__}: {err}"}
        if any(key.startswith(USAGE) for key in fields):
            if self.counted:
                fields = {k: v for k, v in fields.items() if not k.startswith(USAGE) and k != RESPONSE_MODEL}
            if self._outer is not None:
                self._outer.counted = True
        if fields and not self.step.ended:
            self.step.log(**fields)

    def finish(self, read: Callable[[], dict[str, Any]] | None = None, error: str | None = None) -> None:
        """The answer is there; *error* is what it says went wrong."""
        if not self.step.ended:
            if read is not None:
                self.log(read)
            if error is None:
                self.step.finish()
            else:
                self.step.fail(error)

    def fail(self, error: BaseException) -> None:
        """The call, or the stream, ended by *error*."""
        if not self.step.ended:
            self._log_answer()
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            if isinstance(status, int) and 100 <= status < 600:
                self.step.log(**{STATUS: status})
            self.step.__exit__(type(error), error, error.__traceback__)

    # A stream

    def stream(self, fold: Fold) -> None:
        """The answer comes in pieces, which *fold* puts together."""
        self._fold = fold

    def item(self, item: Any) -> None:
        """One piece has come."""
        if self._fold is None or self.step.ended:
            return
        if self._first:
            self._first = False
            seconds = (clock.active.steady_ns() - self._began) / 1e9
            self.step.log(**{FIRST_CHUNK: round(seconds, 6)})
        try:
            self._fold.add(item)
        except Exception as err:
            self.step.log(bridge_error=f"{type(err).__name__}: {err}")

    def end(self) -> None:
        """The stream came to its end."""
        if not self.step.ended:
            self._log_answer()
            self.step.finish()

    def stop(self, why: str) -> None:
        """Nobody reads on: "cancelled", unless the answer was complete already."""
        if self.step.ended:
            return
        complete = self._fold is not None and self._fold.complete
        self._log_answer()
        if not complete:
            self.step.log(why)
        self.step.finish("ok" if complete else "cancelled")

    def _log_answer(self) -> None:
        fold, self._fold = self._fold, None
        if fold is not None:
            self.log(fold.fields)

    def __del__(self) -> None:
        if not self.step.ended:
            quietly("a call that nobody waits for", self.stop, "abandoned before its end")


def around() -> Call | None:
    """The call inside which this code runs, if it has not ended."""
    call = _around.get()
    return call if call is not None and not call.step.ended else None


def quietly(what: str, act: Callable[..., object], *args: Any) -> None:
    """Do *act*; where it raises, say so on stderr, and let the agent go on. *what* is what is recorded by it."""
    try:
        act(*args)
    except Exception as err:
        complain(f"{what} is not recorded", err)


class Watch:
    """An iterator in the place of *inner* that shows each item to *call*."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner = inner
        self.call = call

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Any:
        try:
            item = self._inner.__next__()
        except StopIteration:
            self.call.end()
            raise
        except BaseException as error:
            self.call.fail(error)
            raise
        self.call.item(item)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def close(self) -> None:
        """Close what is watched."""
        try:
            self._inner.close()
        finally:
            self.call.stop("closed before its end")


class AsyncWatch:
    """An asynchronous iterator in the place of *inner* that shows each item to *call*."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner = inner
        self.call = call

    def __aiter__(self) -> AsyncWatch:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await self._inner.__anext__()
        except StopAsyncIteration:
            self.call.end()
            raise
        except BaseException as error:
            self.call.fail(error)
            raise
        self.call.item(item)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def aclose(self) -> None:
        """Close what is watched."""
        try:
            await self._inner.aclose()
        finally:
            self.call.stop("closed before its end")
