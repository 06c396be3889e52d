"""Attributes of other people's classes, modules and objects replaced, and put back exactly.

What was inherited is inherited again afterwards; what somebody else has replaced meanwhile is left in place, and
our function under it only passes on.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from .calls import Source

__all__ = ["Patches", "original_of"]

_MARK = "__ai_trace_original__"
_ABSENT = object()
_MANY = 100


def original_of(function: Any) -> Any:
    """What stood in the place of *function* before we put it there; *function* itself where it is not ours."""
    return getattr(function, _MARK, function)


class Patches:
    """The replacements that one `instrument` made.

    Attributes:
        source: which tracer they record to; None in it once they are put back.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        # Weak, so that a client that was instrumented is let go of like any other.
        self._places: list[tuple[weakref.ref[Any], str, Any, Any]] = []

    def put(self, owner: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Replace the function *name* of *owner* by `make(original)`; nothing where there is none or it is ours."""
        original = getattr(owner, name, None)
        if original is None or hasattr(original, _MARK):
            return
        self.set(owner, name, functools.wraps(original)(make(original)), original)

    def set(self, owner: Any, name: str, ours: Any, original: Any) -> None:
        """Make *ours* the attribute *name* of *owner*, in place of *original*."""
        setattr(ours, _MARK, original)
        own = vars(owner).get(name, _ABSENT)
        setattr(owner, name, ours)
        if len(self._places) > _MANY:  # copies of a client, made for one call each
            self._places = [place for place in self._places if place[0]() is not None]
        self._places.append((weakref.ref(owner), name, own, ours))

    @staticmethod
    def method(function: Callable[..., Any], owner: Any) -> Callable[..., Any]:
        """*function* as an attribute of *owner* alone, with which it is called first, and which it does not keep."""
        ref = weakref.ref(owner)

        def method(*args: Any, **kwargs: Any) -> Any:
            return function(ref(), *args, **kwargs)

        return method

    def restore(self) -> None:
        """Put everything back, the last first."""
        self.source.on = False
        while self._places:
            ref, name, own, ours = self._places.pop()
            owner = ref()
            if owner is None or vars(owner).get(name) is not ours:
                continue
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
