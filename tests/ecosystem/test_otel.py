"""OpenTelemetry's SDK: spans become steps, live by the processor, afterwards by the exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer

from .reading import fields_of, steps_of

pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor  # noqa: E402
from opentelemetry.trace import Link, SpanKind, Status, StatusCode  # noqa: E402

from ai_trace.bridges.otel import SpanExporter, SpanProcessor  # noqa: E402


def hex_of(span: Any) -> str:
    return f"{span.get_span_context().span_id:016x}"


def make_spans(provider: TracerProvider) -> tuple[Any, Any, Any]:
    """A root with a model call and a failure below it."""
    maker = provider.get_tracer("shop")
    with maker.start_as_current_span("plan", attributes={"city": "Oslo"}) as root:
        with maker.start_as_current_span("chat", kind=SpanKind.CLIENT) as call:
            call.set_attribute("gen_ai.request.model", "gpt-5")
            call.set_attribute("gen_ai.usage.prompt_tokens", 20)
            call.set_attribute("gen_ai.usage.output_tokens", 7)
            call.add_event("first token", {"n": 1})
        with pytest.raises(ValueError):
            with maker.start_as_current_span("order", links=[Link(root.get_span_context())]) as order:
                raise ValueError("no money")
    return root, call, order


def check(steps: list[Any], spans: tuple[Any, Any, Any]) -> None:
    plan, chat, order = sorted(steps, key=lambda step: ["plan", "chat", "order"].index(step.name))
    assert [plan.id, chat.id, order.id] == [hex_of(span) for span in spans]
    assert [chat.parent, order.parent] == [plan.id, plan.id]
    assert plan.context["city"] == "Oslo"
    assert plan.context["otel.trace_id"] == f"{spans[0].get_span_context().trace_id:032x}"
    assert chat.context["otel.kind"] == "client"
    assert (chat.usage["model"], chat.usage["input_tokens"], chat.usage["output_tokens"]) == ("gpt-5", 20, 7)
    assert chat.logs[0]["message"] == "first token" and chat.logs[0]["n"] == 1
    assert (order.outcome, order.error) == ("error", "ValueError: no money")
    assert order.logs[0]["exception.type"] == "ValueError"
    assert len(order.context["otel.links"]) == 1


def test_the_processor_records_spans_as_they_happen(tracer: Tracer) -> None:
    """Ids, tree, attributes, events, status and tokens; a started span is on disk before it ends."""
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor(tracer))
    span = provider.get_tracer("shop").start_span("early")
    (step,) = steps_of(tracer)
    assert (step.id, step.open) == (hex_of(span), True)
    span.end()
    spans = make_spans(provider)
    check(steps_of(tracer)[1:], spans)
    provider.shutdown()


def test_a_root_span_is_a_child_of_the_current_step(tracer: Tracer) -> None:
    """Spans made within a step belong to it, whatever tracer was given."""
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    with tracer.step("decide") as decide:
        make_spans(provider)
    make_spans(provider)
    steps = steps_of(tracer)
    assert len(steps) == 4
    assert [step.parent for step in steps if step.name == "plan"] == [decide.id]
    provider.shutdown()


@pytest.mark.parametrize("through", [SimpleSpanProcessor, BatchSpanProcessor])
def test_the_exporter_keeps_the_times_of_the_spans(tmp_path: Path, through: Any) -> None:
    """Start, end and events are when they were, though they are written later; the resource is the session's meta."""
    exporter = SpanExporter("agent", tmp_path)
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(through(exporter))
    spans = make_spans(provider)
    provider.force_flush()
    provider.shutdown()

    session = ai_trace.load(exporter.tracer.path)
    check(session.steps, spans)
    by_id = {step.id: step for step in session.steps}
    for span in spans:
        step = by_id[hex_of(span)]
        assert step.started_at == pytest.approx(span.start_time / 1e9, abs=1e-5)
        assert step.duration_ms == pytest.approx((span.end_time - span.start_time) / 1e6, abs=1e-2)
    assert by_id[hex_of(spans[1])].logs[0]["_t"] == pytest.approx(spans[1].events[0].timestamp / 1e9, abs=1e-5)
    assert session.meta["resource"]["service.name"] == "shop"


def test_openinference_names_are_counted(tracer: Tracer) -> None:
    """What is instrumented for OpenInference has its tokens and its model in the step."""
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor(tracer))
    attributes = {"llm.model_name": "m", "llm.token_count.prompt": 5, "llm.token_count.completion": 2}
    with provider.get_tracer("x").start_as_current_span("llm", attributes=attributes) as span:
        span.set_status(Status(StatusCode.OK))
    (step,) = steps_of(tracer)
    assert (step.usage["model"], step.usage["input_tokens"], step.usage["output_tokens"]) == ("m", 5, 2)
    assert fields_of(step)["llm.model_name"] == "m"
    provider.shutdown()
