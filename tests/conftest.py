"""The same surroundings for every run of the tests: nothing of the caller's shell changes what is tested."""

from __future__ import annotations

import os
import signal

# What the code under test, its pager, or the exporters read from the environment.
OURS = ("AI_TRACE", "TRACEPARENT", "OTEL_EXPORTER_OTLP")
TERMINAL = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PAGER", "LESS", "LESSCHARSET", "LV")


def pytest_configure() -> None:
    """Before any test is collected: a clean environment, and Ctrl-C as Python has it.

    A shell starts its `&` jobs with SIGINT ignored, children inherit that, and then no test can interrupt one.
    """
    for name in list(os.environ):
        if name.startswith(OURS) or name in TERMINAL:
            del os.environ[name]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
