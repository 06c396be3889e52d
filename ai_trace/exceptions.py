"""The errors of `ai_trace`; this room imports nothing.

    Exception
    └── TraceError           anything this library raises on purpose
        ├── UsageError       wrong arguments, or a folder that cannot be used (also a ValueError)
        └── NotATrace        a file that holds no trace at all, by name and reason

Tracing never raises into the agent: only the construction of a `Tracer` and the functions that read
files raise these. Each message is a sentence that says what was found, where, and what to do.
"""

from __future__ import annotations

__all__ = ["TraceError", "UsageError", "NotATrace"]


class TraceError(Exception):
    """Base of every error that `ai_trace` raises on purpose."""


class UsageError(TraceError, ValueError):
    """Arguments that cannot mean anything, or a trace folder that cannot be used."""


class NotATrace(TraceError):
    """A file that is not a trace: *path* is the file, *reason* says what was found in it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is not a trace: {reason}")
        self.path = path
        self.reason = reason


for _error in (TraceError, UsageError, NotATrace):
    _error.__module__ = "ai_trace"  # tracebacks name the public path
