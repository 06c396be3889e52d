"""The end of the process, and the fork: who writes files is told of both, and of nothing at import.

At exit everything watched is closed; in a forked child everything watched is renewed, before any other code runs
there. Watching keeps nothing alive.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Any, Protocol

from . import clock

__all__ = ["Watched", "close_at_the_end", "watch"]


class Watched(Protocol):
    """What can be watched; neither call may raise."""

    def close(self, reason: str = ...) -> None: ...
    def after_fork(self) -> None: ...


_watched: weakref.WeakSet[Any] = weakref.WeakSet()
_hooked = False


def watch(one: Watched) -> None:
    """Have *one* closed at exit and renewed in forked children."""
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_renew_all)
    _watched.add(one)


def _close_all() -> None:
    for one in list(_watched):
        one.close("the process ended")


def _renew_all() -> None:
    clock.active.reseed()
    for one in list(_watched):
        one.after_fork()


def close_at_the_end() -> None:
    """Make sure of the end in a child of `multiprocessing`: it ends by `os._exit`, past `atexit`.

    Such a child runs the finalizers of `multiprocessing` itself, those that were registered in it. Called when
    files are opened, as what a child inherits or imports at its start is registered too early.
    """
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and sys.modules["multiprocessing.process"].parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=0)
