"""The official protocol buffers of OpenTelemetry read what we write, in both forms.

Needs: pip install opentelemetry-proto
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ai_trace.exporters import otlp, protobuf
from ai_trace.exporters.losses import Losses
from tests.ecosystem.runs import recorded
from tests.exporting import hostile, session

service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs opentelemetry-proto"
)
json_format = pytest.importorskip("google.protobuf.json_format")


def _base64_ids(value: Any) -> Any:
    """OTLP/JSON has ids in hex, plain protocol buffers in base64: the one difference."""
    if isinstance(value, list):
        return [_base64_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(part)).decode() if key in ids else _base64_ids(part)
        for key, part in value.items()
    }


@pytest.mark.parametrize("which", ["recorded", "typical", "hostile"])
def test_json_and_binary_form_say_the_same(which: str, tmp_path: Path) -> None:
    """Both parse without an unknown field, and are equal, field for field."""
    one = {"typical": session, "hostile": hostile, "recorded": lambda: recorded(tmp_path)[0]}[which]()
    for line in otlp.export(one, Losses(), with_openinference=True):
        by_json = service.ExportTraceServiceRequest()
        json_format.ParseDict(_base64_ids(json.loads(line)), by_json, ignore_unknown_fields=False)
        by_bytes = service.ExportTraceServiceRequest.FromString(protobuf.encode(json.loads(line)))

        assert by_json == by_bytes
        assert len(one.steps) == sum(len(s.spans) for r in by_json.resource_spans for s in r.scope_spans)


def test_tree_times_and_tokens_arrive(tmp_path: Path) -> None:
    """As the official types see them."""
    one, _ = recorded(tmp_path)
    (line,) = otlp.export(one, Losses())
    request = service.ExportTraceServiceRequest.FromString(protobuf.encode(json.loads(line)))
    spans = {span.name: span for span in request.resource_spans[0].scope_spans[0].spans}
    tokens = {a.key: a.value.int_value for a in spans["ask"].attributes if a.key.startswith("gen_ai.usage")}

    assert one.trace_id == spans["run"].trace_id.hex()
    assert {"ask", "price", "decide", "order"} == {
        n for n, s in spans.items() if s.parent_span_id == spans["run"].span_id
    }
    assert {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5} == tokens
    assert (2, "ValueError: no money") == (spans["order"].status.code, spans["order"].status.message)
    for record in one.steps:
        span = spans[record.name]
        assert abs(span.start_time_unix_nano / 1e9 - (record.started_at or 0)) < 1e-6
        assert (
            abs((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 - (record.duration_ms or 0))
            < 1e-6
        )
