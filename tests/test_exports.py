"""What the package offers is what its design names, no more and no less."""

from __future__ import annotations

import inspect
import re

import ai_trace

PROMISED = {
    "Tracer", "Step", "current_step", "log", "propagate",  # recording
    "Limits", "Rules", "DEFAULT_RULES",  # what a tracer is given
    "sessions", "load", "read", "follow", "Session",  # reading
    "TraceError", "UsageError", "NotATrace",
}  # fmt: skip


def test_all_names_the_public_api_and_nothing_else() -> None:
    """`__all__` cannot change by accident."""
    assert sorted(PROMISED) == sorted(set(ai_trace.__all__) - {"__version__"})
    assert len(ai_trace.__all__) == len(set(ai_trace.__all__))


def test_every_public_name_is_there_and_documented() -> None:
    """Each name can be imported, has a docstring, and shows in tracebacks under the package's own name."""
    for name in PROMISED:
        thing = getattr(ai_trace, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), name
            assert thing.__module__.startswith("ai_trace"), name


def test_the_errors_form_one_tree() -> None:
    """`except TraceError` catches whatever this library raises on purpose; wrong arguments are
    ValueErrors, too.
    """
    assert issubclass(ai_trace.UsageError, ai_trace.TraceError)
    assert issubclass(ai_trace.UsageError, ValueError)
    assert issubclass(ai_trace.NotATrace, ai_trace.TraceError)
    assert not issubclass(ai_trace.TraceError, ValueError)


def test_the_version_is_a_plain_literal() -> None:
    """Asking for the version costs no look-up of the installed package's metadata."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", ai_trace.__version__)
