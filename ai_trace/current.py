"""Which step is current: the one that a new step, begun here and now, belongs under.

Promises:
- A `with` block makes its step current for what runs inside it: in the same thread, in the same asyncio task,
  and in tasks that are started there.
- A step that a generator holds open across a `yield` is current only while that generator runs, in whatever
  thread or context it is resumed; it is never the parent of what its consumer does meanwhile. The body of
  `with helper():`, where helper is made by `contextlib.contextmanager`, is inside the helper's steps.
- Ends may come late, twice, in any order, in another context or thread, or from the garbage collector:
  `leave` never raises, and afterwards nothing here keeps the step alive.

How: one `ContextVar` holds a chain of light nodes (never the steps' data). Steps of generators are not in it:
they are *bound* to the generator's frame, in a table by the frame's identity, and looked up by walking the
calling stack; the walk is paid only while some generator of the process holds a step open. The table keeps
identities, not frames, because a frame would keep an abandoned generator's variables alive, and then
a generator in a cycle would never be closed.

Where a parent is one ancestor higher than one may wish: tasks started in the body of an async generator that
says `with step` itself (under `Tracer.traced` they are right), the test around a pytest `yield` fixture, the
block of a `contextmanager` helper that takes its step from another generator by `yield from`. A step that an
ordinary function, called by a generator, enters by hand and leaves open is current for the consumer, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, Final

__all__ = ["Node", "enter", "leave", "current", "find", "here", "lend", "take_back"]

GENERATOR: Final = 0x20 | 0x200  # CO_GENERATOR | CO_ASYNC_GENERATOR, as in `inspect`
AWAITED_GENERATOR: Final = 0x100  # CO_ITERABLE_COROUTINE: made by `types.coroutine`, driven like a coroutine

# Functions that enter a context manager for the one who called them; what they enter outlives them.
PASS_ON: Final = frozenset({"__enter__", "__aenter__", "enter_context", "enter_async_context"})
ENTERS: Final = frozenset({"__enter__", "__aenter__"})
CONTEXTLIB: Final = frozenset({"contextlib", "contextlib2"})


class Node:
    """One step that was made current. *step* is None once it has ended; *back* is what was current before."""

    __slots__ = ("step", "back")

    # Only a Seat has its own; here they say "no generator was running" and "not bound".
    within: Seat | None = None
    key = 0

    # No __init__: a call of it is a third of the cost of `enter`, which sets these two.
    step: Any
    back: Node | None


class Seat(Node):
    """A node to which generators matter: *within* is the innermost running one that held a step open.

    Where it is bound itself, *key* is the identity of the generator's frame and *code* its code, because
    identities are used again: a step that was never left must not claim another function's frame.
    """

    __slots__ = ("within", "key", "code")

    def __init__(self, step: Any, back: Node | None, within: Seat | None) -> None:
        self.step = step
        self.back = back
        self.within = within
        self.key = 0
        self.code: CodeType | None = None


class Relay(Seat):
    """Makes the step of another node current somewhere else, or what is still open around that step."""

    __slots__ = ("origin",)

    @property
    def step(self) -> Any:
        return next(_outwards(self.origin), None)

    @step.setter
    def step(self, origin: Node | None) -> None:
        self.origin = origin


_innermost: ContextVar[Node | None] = ContextVar("ai_trace.current", default=None)
_get = _innermost.get
_set = _innermost.set

# Identity of a generator's frame -> the innermost step it holds open. Single dict operations, so no lock:
# only the thread that runs a generator enters steps in it.
_bound: dict[int, Seat] = {}


def enter(step: object, frame: FrameType) -> Node:
    """Make *step* current for the `with` block that *frame* has reached, and answer what `leave` needs.

    *frame* is the caller of `__enter__`. Let this be the last thing done there: an exception (Ctrl-C) between
    this and the block would leave the step current for ever.
    """
    code = frame.f_code
    if _bound or code.co_flags & GENERATOR or code.co_name in PASS_ON:
        return _take_seat(step, frame)
    back = _get()
    while back is not None and back.step is None:
        back = back.back
    node = Node()
    node.step = step
    node.back = back
    try:
        _set(node)
    except BaseException:  # Ctrl-C at the last moment: nobody will call `leave`
        node.step = None
        raise
    return node


def leave(node: Node) -> None:
    """End *node*, in whatever order, context or thread. Never raises.

    Contexts that hold the node are left alone: an ended node is passed over wherever it is met. That takes
    no write to a context, half the cost of a step, and is as right in a context copied long ago.
    """
    node.step = None
    back = node.back
    if back is not None and back.step is None:
        while back is not None and back.step is None:
            back = back.back
        node.back = back  # a context that keeps this node must not keep a growing row of ended ones
    if node.key and _bound.get(node.key) is node:
        outer = node.within
        while outer is not None and outer.key == node.key and outer.step is None:
            outer = outer.within
        if outer is not None and outer.key == node.key:
            _bound[node.key] = outer
        else:
            _bound.pop(node.key, None)


def current() -> Any:
    """The innermost step that is open around the caller, or None."""
    node = _around(sys._getframe()) if _bound else _get()
    while node is not None:
        step = node.step
        if step is not None:
            return step
        node = node.back
    return None


def find(fits: Callable[[Any], bool]) -> Any:
    """The innermost step open around the caller for which *fits* is true, or None."""
    return next(filter(fits, _outwards(_around(sys._getframe()))), None)


def here() -> Node | None:
    """The node of the current step, to be lent to code that runs elsewhere."""
    return _around(sys._getframe())


def lend(node: Node | None) -> Node:
    """Make the step of *node* current here, without a `with` block, until `take_back`.

    It stays current in tasks that were started meanwhile. When that step has ended, the one around it counts.
    """
    relay = Relay(node, _head(), _running(sys._getframe()))
    _set(relay)
    return relay


def take_back(relay: Node) -> None:
    """Make current again what was so before `lend`, also where steps were entered since and left open."""
    node = _get()
    while node is not None:
        if node is relay:
            _set(relay.back)
            return
        node = node.back


def _take_seat(step: object, frame: FrameType) -> Node:
    within = _running(frame)
    head = _head()
    home = _home(frame)
    if home is None:
        seat = Seat(step, head, within)
        _set(seat)
    else:
        seat = Seat(step, _inner(head, within), within)
        seat.key = id(home)
        seat.code = home.f_code
        _bound[seat.key] = seat
    return seat


def _home(frame: FrameType | None) -> FrameType | None:
    """The generator frame to which a step entered by *frame* belongs, or None where it is no generator's."""
    while frame is not None:
        code = frame.f_code
        if code.co_flags & GENERATOR and not code.co_flags & AWAITED_GENERATOR:
            resumer = frame.f_back
            if resumer is None or not _enters_helper(resumer):
                return frame
            frame = resumer.f_back  # whoever wrote `with helper():`
        elif code.co_name in PASS_ON:
            frame = frame.f_back
        else:
            return None
    return None


def _enters_helper(frame: FrameType) -> bool:
    """True for contextlib's own `__enter__` of a generator that serves as a context manager."""
    return frame.f_code.co_name in ENTERS and frame.f_globals.get("__name__") in CONTEXTLIB


def _head() -> Node | None:
    """The innermost open step of this context, generators aside."""
    node = _get()
    while node is not None and node.step is None:
        node = node.back
    return node


def _running(frame: FrameType | None) -> Seat | None:
    """The innermost generator on the stack, from *frame* outwards, that holds a step open."""
    if not _bound:
        return None
    find = _bound.get
    while frame is not None:
        seat = find(id(frame))
        if seat is not None and seat.code is frame.f_code:
            return seat
        frame = frame.f_back
    return None


def _inner(head: Node | None, running: Seat | None) -> Node | None:
    """The inner one of the context's step and a generator's: *head*, if it began inside that generator."""
    if running is None:
        return head
    outer = None if head is None else head.within
    while outer is not None:
        if outer is running:
            return head
        outer = outer.within
    return running


def _around(frame: FrameType) -> Node | None:
    return _inner(_head(), _running(frame))


def _outwards(node: Node | None) -> Iterator[Any]:
    """The open steps from *node* outwards."""
    while node is not None:
        if isinstance(node, Relay):
            yield from _outwards(node.origin)
        elif node.step is not None:
            yield node.step
        node = node.back if node.key else _inner(node.back, node.within)
