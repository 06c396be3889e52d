"""OpenTelemetry spans become steps, so whatever is instrumented for it (or for OpenInference) lands in local files.

    provider.add_span_processor(SpanProcessor(tracer))                             # live: a started span is visible
    provider.add_span_processor(BatchSpanProcessor(SpanExporter("agent")))         # afterwards, with a session of its own

A step has its span's id as it stands, and the parent's; a root span's trace id is its `otel.trace_id`. Attributes
are the context, those set later and the events are logged; a status of error is the step's error. Names of older
GenAI conventions and of OpenInference are told under the current GenAI names, too, so that tokens are counted.

`SpanProcessor` follows the rule of `ai_trace.bridges`: a root span is a child of the current step, else it goes to
its tracer. Its times are taken when the SDK calls it, which is at the start and the end of the span.
`SpanExporter` takes the times of the spans, events included.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .. import clock
from ..exceptions import UsageError
from ..genai import OPENINFERENCE, RESPONSE_MODEL
from ..step import Step
from ..tracer import Tracer
from .calls import Source, quietly

try:
    _trace: Any = importlib.import_module("opentelemetry.sdk.trace")
    _export: Any = importlib.import_module("opentelemetry.sdk.trace.export")
except ImportError as _err:
    raise UsageError(f"the bridge to OpenTelemetry needs the package opentelemetry-sdk: {_err}") from _err

if TYPE_CHECKING:
    _Processor = object
    _Exporter = object
else:
    _Processor, _Exporter = _trace.SpanProcessor, _export.SpanExporter

__all__ = ["SpanExporter", "SpanProcessor"]

OLDER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gen_ai.system": "gen_ai.provider.name",
        "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
        "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
        **{theirs: ours for ours, theirs in OPENINFERENCE.items() if ours != RESPONSE_MODEL},
    }
)
"""A name of an older convention, or of OpenInference -> the GenAI attribute."""


class SpanProcessor(_Processor):
    """Records each span while it happens, to *tracer*, or under the step current where the span starts."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._source = Source(tracer)
        self._open: dict[int, Step] = {}  # span id -> its step, until it ends

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span has started."""
        quietly("a span", self._start, span)

    def on_end(self, span: Any) -> None:
        """A span has ended."""
        step = self._open.pop(span.context.span_id, None)
        if step is not None:
            quietly("a span", _end, step, span)

    def _start(self, span: Any) -> None:
        above = self._open.get(span.parent.span_id) if span.parent is not None else None
        name, context = span.name, _context(span)
        step = above.step(name, **context) if above is not None else self._source.unstarted(name, context)
        if step is not None:
            _identify(step, span, step.parent if above is not None else None)
            self._open[span.context.span_id] = step.start()

    def shutdown(self) -> None:
        """Spans still open stay open in the trace, as they are."""
        self._open.clear()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits to be written."""
        return True


class SpanExporter(_Exporter):
    """Records spans that have ended, as a session of *agent* in *trace_dir*.

    Attributes:
        tracer: the tracer they go to. Its clock is the spans'; it is for nothing else.
    """

    def __init__(self, agent: str, trace_dir: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self._time = _SpanTime()
        with _making:
            before, clock.active = clock.active, self._time
            try:
                self.tracer = Tracer(agent, trace_dir, **options)
            finally:
                clock.active = before

    def export(self, spans: Iterable[Any]) -> Any:
        """Record *spans*, and answer SUCCESS: what could not be kept is in `tracer.dropped`."""
        for span in spans:
            quietly("a span", self._record, span)
        return _export.SpanExportResult.SUCCESS

    def _record(self, span: Any) -> None:
        if not self.tracer.meta and span.resource is not None:
            self.tracer.meta = {"resource": dict(span.resource.attributes)}
        with self._time.at(span.start_time) as at:
            step = self.tracer.step(span.name, **_context(span))
            _identify(step, span, None)
            step.start()
            _end(step, span, at)

    def shutdown(self) -> None:
        """Let go of the files."""
        self.tracer.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits to be written."""
        return True


_making = threading.Lock()


class _SpanTime(clock.Clock):
    """A clock that a thread can set to the time of a span; elsewhere it tells the true time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = threading.local()
        self.wall_ns: Callable[[], int] = lambda: getattr(self._now, "ns", 0) or clock.Clock.wall_ns()
        self.steady_ns: Callable[[], int] = lambda: getattr(self._now, "ns", 0) or clock.Clock.steady_ns()

    def at(self, ns: int) -> _SpanTime:
        """Set the time of this thread; for a `with` block, which gives it back."""
        self._now.ns = ns
        return self

    def __enter__(self) -> _SpanTime:
        return self

    def __exit__(self, *_: object) -> None:
        self._now.ns = 0


def _identify(step: Step, span: Any, parent: str | None) -> None:
    """Give *step* the ids of *span*; *parent* is known where the parent is recorded by us under another id."""
    step.id = f"{span.context.span_id:016x}"
    if parent is None and span.parent is not None:
        step.parent = f"{span.parent.span_id:016x}"


def _context(span: Any) -> dict[str, Any]:
    context = _attributes(span)
    if span.parent is None or span.parent.is_remote:
        context["otel.trace_id"] = f"{span.context.trace_id:032x}"
    kind = span.kind.name.lower()
    if kind != "internal":
        context["otel.kind"] = kind
    if span.links:
        context["otel.links"] = [f"{one.context.trace_id:032x}-{one.context.span_id:016x}" for one in span.links]
    return context


def _attributes(span: Any) -> dict[str, Any]:
    """The span's attributes, with the current GenAI name beside an older one."""
    given = dict(span.attributes or {})
    known = {OLDER[key]: value for key, value in given.items() if key in OLDER}
    return {**known, **given}


def _end(step: Step, span: Any, time: _SpanTime | None = None) -> None:
    """Log what *span* has learned since it started, and end *step* as it ended."""
    for event in span.events:
        if time is not None:
            time.at(event.timestamp)
        step.log(event.name, **dict(event.attributes or {}))
    if time is not None:
        time.at(span.end_time)
    before = step.context
    later = {key: value for key, value in _attributes(span).items() if before.get(key) != _comparable(value)}
    if span.name != step.name:
        later["otel.name"] = span.name
    if later:
        step.log(**later)
    if span.status.status_code.name == "ERROR":
        step.fail(span.status.description or "error")
    else:
        step.finish()


def _comparable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
