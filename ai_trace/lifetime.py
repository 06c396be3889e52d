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

__all__ = ["Watched", "watch"]


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
    # The children of `multiprocessing` end by `os._exit`, past `atexit`; they run its own finalizers.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_close_all, lambda _: util.Finalize(None, _close_all, exitpriority=0))
