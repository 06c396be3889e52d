"""The flight recorder for AI agents.

    from ai_trace import Tracer
    tracer = Tracer("trading_agent", meta={"model": "claude-haiku-4-5"})
    with tracer.step("decision", signal=0.87) as step:
        step.log(action="BUY", reason="SuperTrend bullish + volume spike")

A value is captured, made plain, made safe, made one line, appended once; a reader that believes nothing turns
lines back into steps; everything a person sees is a fold over steps. The rooms, from the ground up: `record clock
disk safe` know nothing of each other; `plain redact` make any value harmless; `line live` are the bytes on disk;
`capture blackbox journal recorder` write them, `reader session` read them; `step tracer` are what an agent holds,
`folder follow render snapshot` what a reader holds; `cli` puts them together. `tests/test_layers.py` has the map.
"""

from typing import TYPE_CHECKING, Any

from .exceptions import NotATrace, TraceError, UsageError
from .record import VERSION as __version__
from .record import Limits
from .redact import DEFAULT_RULES, Rules
from .step import Step, current_step, log
from .surround import propagate
from .tracer import Tracer

if TYPE_CHECKING:
    from .folder import load, sessions
    from .follow import follow
    from .reader import read
    from .session import Session

__all__ = [
    "DEFAULT_RULES", "Limits", "NotATrace", "Rules", "Session", "Step", "TraceError", "Tracer", "UsageError",
    "__version__", "current_step", "follow", "load", "log", "propagate", "read", "sessions",
]  # fmt: skip

# The reading side comes when it is first asked for: an agent that only records need not wait for it.
_LATE = {"load": "folder", "sessions": "folder", "follow": "follow", "read": "reader", "Session": "session"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    import_module(f"{__name__}.notebook")  # whoever reads may want to see it in a notebook
    thing = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
