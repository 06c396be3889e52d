"""Other people's calls become steps. Nothing here is imported by `import ai_trace`.

    import openai, ai_trace
    from ai_trace.bridges import instrument

    tracer = ai_trace.Tracer("agent")
    instrument(openai, tracer=tracer)     # every client; or one: instrument(client, tracer=tracer)

Each call to a model becomes a step with its messages, parameters, answer, tool calls, tokens, finish reason, errors
and retries; a stream when it ends, is broken off, or is abandoned. What the agent gets is the library's own object.

Which tracer: where a step is current, the call becomes its child, whosever tracer that is; elsewhere it goes to the
tracer given here, and where none was given it is not recorded. A fault in a bridge never reaches the agent.

`logging`, `otel`, `langchain` and `openai_agents` are modules with a class to hand to that library, for those who
want it in one place only.
"""

from __future__ import annotations

import importlib
import sys
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from ..exceptions import UsageError
from ..news import complain
from .calls import Source
from .patches import Patches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..tracer import Tracer

__all__ = ["LIBRARIES", "instrument", "instrumented", "uninstrument"]

T = TypeVar("T")

LIBRARIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai": "openai",
        "anthropic": "anthropic",
        "google.genai": "google_genai",
        "litellm": "litellm",
        "httpx": "httpx",
        "requests": "requests",
        "urllib.request": "urllib",
        "mcp": "mcp",
        "langchain_core.callbacks": "langchain",
        "agents.tracing": "openai_agents",
    }
)
"""Library -> the module here that has `install(target, source)`: *target* is a client, or None for all of them."""

_ALSO: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urllib": "urllib.request",
        "langchain": "langchain_core.callbacks",
        "langchain_core": "langchain_core.callbacks",
        "langgraph": "langchain_core.callbacks",
        "agents": "agents.tracing",
    }
)

_whole: dict[str, Patches] = {}
_single: WeakKeyDictionary[Any, tuple[str, Patches]] = WeakKeyDictionary()
_shared: dict[str, Patches] = {}


def instrument(target: T = None, *, tracer: Tracer | None = None) -> T:  # type: ignore[assignment]
    """Record the calls of *target*, and return it. Doing so again only changes the tracer.

    Args:
        target: a library (`openai`, or "openai", which is imported), one client (`OpenAI()`), or None: every
            library of `LIBRARIES` that the process has imported already.
        tracer: where a call goes that is made outside of every step.

    Raises:
        UsageError: a library or an object of which nothing is known here, or which cannot be imported.
    """
    if target is None:
        for library in LIBRARIES:
            if library in sys.modules:
                try:
                    _install(library, None, tracer)
                except Exception as err:  # a version that is made otherwise; the others go on
                    complain(f"{library} is not instrumented", err)
        return target
    library, client = _library(target)
    _install(library, client, tracer)
    return target


def uninstrument(target: object = None) -> None:
    """Put back exactly what `instrument` replaced: of *target*, or of everything.

    LangChain and the Agents SDK take no handler back; it stays with them, and records nothing any more.
    """
    if target is None:
        for patches in [*_whole.values(), *(patches for _, patches in _single.values())]:
            patches.restore()
        _whole.clear()
        _single.clear()
    else:
        library, client = _library(target)
        found = _whole.pop(library, None) if client is None else _single.pop(client, (library, None))[1]
        if found is not None:
            found.restore()
    for library in set(_shared) - set(instrumented()):
        _shared.pop(library).restore()


def instrumented() -> list[str]:
    """The libraries of which anything is recorded now."""
    return sorted({*_whole, *(library for library, _ in _single.values())})


def _install(library: str, client: Any, tracer: Tracer | None) -> None:
    before = _whole.get(library) if client is None else _single.get(client, (library, None))[1]
    if before is not None:
        before.source.tracer = tracer
        return
    room = importlib.import_module(f"{__name__}.{LIBRARIES[library]}")
    if library not in _shared and hasattr(room, "share"):
        _shared[library] = room.share()
    patches = room.install(client, Source(tracer))
    if client is None:
        _whole[library] = patches
    else:
        _single[client] = library, patches


def _library(target: object) -> tuple[str, Any]:
    """Of *target*: the library, imported, and the client, or None where the library itself was meant."""
    if isinstance(target, str) or isinstance(target, ModuleType):
        name = target if isinstance(target, str) else target.__name__
        name = _ALSO.get(name, name)
        if name not in LIBRARIES:
            raise UsageError(f"nothing is known here of {name!r}; the libraries are {', '.join(LIBRARIES)}")
        try:
            importlib.import_module(name)
        except ImportError as err:
            raise UsageError(f"{name} cannot be imported: {err}") from err
        return name, None
    for kind in type(target).__mro__:
        for name in LIBRARIES:
            if f"{kind.__module__}.".startswith(f"{name}."):
                return name, target
    raise UsageError(f"{type(target).__name__} is no client of {', '.join(LIBRARIES)}")
