"""The standard `logging` into the trace: each record is logged in the step that is current where it is made.

    import logging
    from ai_trace.bridges.logging import Handler
    logging.getLogger().addHandler(Handler())

Outside of every step a record is not recorded. What recording a record says itself (a value's `__str__` that logs)
and what a logger named `ai_trace` says is left out, so nothing runs in a circle. Nothing is raised into the agent.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from ..step import current_step

__all__ = ["Handler"]

# What every record has; the rest came by `extra=`.
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Handler(logging.Handler):
    """Logs message, level, logger, `extra` fields and the exception's text in the current step."""

    def __init__(self, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Take down *record*."""
        if getattr(self._here, "busy", False) or record.name.split(".")[0] == "ai_trace":
            return
        step = current_step()
        if step is None:
            return
        self._here.busy = True
        try:
            step.log(self._message(record), **self._fields(record))
        except Exception:
            self.handleError(record)
        finally:
            self._here.busy = False

    def _message(self, record: logging.LogRecord) -> str:
        """The message; where it does not fit its arguments (which `logging` reports elsewhere), both as they are."""
        try:
            return record.getMessage()
        except Exception:
            return f"{record.msg} {record.args!r}"

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {"level": record.levelname, "logger": record.name}
        extra = {key: value for key, value in vars(record).items() if key not in _KNOWN}
        if extra:
            fields["extra"] = extra
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
        elif record.exc_text:
            fields["exception"] = record.exc_text
        if record.stack_info:
            fields["stack"] = record.stack_info
        return fields
