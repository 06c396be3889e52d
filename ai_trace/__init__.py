"""The flight recorder for AI agents.

    app value -> step -> capture -> recorder -> journal and black box == files == reader -> session -> what a person sees

The rooms, from the ground up: `exceptions record clock disk safe` know nothing of each other; `plain redact` make
any value harmless; `line live` are the bytes on disk; `capture blackbox journal reader session` write and read
them; `step recorder follow folder render snapshot` and `tracer` are what a user holds; `cli` shows it.

    from ai_trace import Tracer
    tracer = Tracer("trading_agent", meta={"model": "claude-haiku-4-5"})
    with tracer.step("decision", signal=0.87) as step:
        step.log(action="BUY", reason="SuperTrend bullish + volume spike")
"""

from .exceptions import NotATrace, TraceError, UsageError
from .folder import load, sessions
from .follow import follow
from .reader import read
from .record import VERSION as __version__
from .record import Limits
from .redact import DEFAULT_RULES, Rules
from .session import Session
from .step import Step, current_step, log
from .traced import propagate
from .tracer import Tracer

__all__ = [
    "DEFAULT_RULES", "Limits", "NotATrace", "Rules", "Session", "Step", "TraceError", "Tracer", "UsageError",
    "__version__", "current_step", "follow", "load", "log", "propagate", "read", "sessions",
]  # fmt: skip
