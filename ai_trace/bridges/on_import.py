"""Libraries instrumented when the program imports them: what `ai-trace run` needs, which comes before all imports.

Nothing is imported here that the program does not import, and a library of which something goes wrong here is as it
would be without us.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..news import complain
from . import LIBRARIES, instrument

if TYPE_CHECKING:
    from ..tracer import Tracer

__all__ = ["watch"]


def watch(tracer: Tracer) -> None:
    """Instrument what is imported already now, and the rest of `LIBRARIES` when it is imported."""
    instrument(tracer=tracer)
    sys.meta_path.insert(0, _Finder({name for name in LIBRARIES if name not in sys.modules}, tracer))


class _Finder:
    """First among the finders: lets the others find, and looks in after the module has run."""

    def __init__(self, waiting: set[str], tracer: Tracer) -> None:
        self._waiting = waiting
        self._tracer = tracer

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec that the other finders have for a library that is waited for; None for all else."""
        if name not in self._waiting:
            return None
        self._waiting.discard(name)
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                self._follow(name, spec.loader)
                return spec  # type: ignore[no-any-return]
        return None

    def _follow(self, name: str, loader: Any) -> None:
        original = getattr(loader, "exec_module", None)
        if original is None:
            return

        def exec_module(module: ModuleType) -> None:
            original(module)
            try:
                instrument(name, tracer=self._tracer)
            except Exception as err:
                complain(f"{name} is not instrumented", err)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass  # a loader that cannot be followed: the library stays as it is
