"""OTLP/JSON: what the specification asks for, whatever the steps hold."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ai_trace.exporters import otlp, protobuf
from ai_trace.exporters.losses import Losses
from ai_trace.session import Session
from tests.exporting import INFO, attributes, hostile, session, spans, valid_json
from tests.records import T0, failed, step, step_id


def exported(one: Session, **how: Any) -> list[dict[str, Any]]:
    """The spans of the exported bytes; every line must be strict JSON."""
    lines = b"".join(otlp.export(one, Losses(), **how)).splitlines()
    assert all(valid_json(line) for line in lines)
    return [span for line in lines for span in spans(line)]


def by_name(one: Session, **how: Any) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in exported(one, **how)}


def test_a_line_is_a_whole_request_with_resource_and_scope() -> None:
    """Each line stands alone: `resourceSpans` with the service, the session and its meta, and the scope."""
    (line,) = b"".join(otlp.export(session(), Losses())).splitlines()
    (part,) = valid_json(line)["resourceSpans"]
    about = attributes(part["resource"])

    assert "trader" == about["service.name"]
    assert ("20240301_134022", 4242, "test") == (
        about["ai_trace.session"], about["process.pid"], about["ai_trace.meta.env"],
    )  # fmt: skip
    assert "ai_trace" == part["scopeSpans"][0]["scope"]["name"]


def test_ids_are_hex_and_times_decimal_strings() -> None:
    """Trace and span ids as they stand in the journal, nanoseconds since 1970 as text, parents by id."""
    run, ask = by_name(session())["run"], by_name(session())["ask"]

    assert INFO["trace_id"] == run["traceId"]
    assert step_id(1) == run["spanId"]
    assert "parentSpanId" not in run
    assert step_id(1) == ask["parentSpanId"]
    assert str(int(T0 + 1) * 10**9) == run["startTimeUnixNano"]
    assert str(int(T0 + 10) * 10**9) == run["endTimeUnixNano"]


def test_an_error_is_status_and_exception_event() -> None:
    """Status 2 with the message, and an event with type, message and stack trace at the end of the step."""
    order = by_name(session())["order"]
    event = order["events"][-1]

    assert {"code": 2, "message": "ValueError: boom"} == order["status"]
    assert ("exception", order["endTimeUnixNano"]) == (event["name"], event["timeUnixNano"])
    assert {
        "exception.type": "ValueError", "exception.message": "boom",
        "exception.stacktrace": "Traceback\nValueError: boom\n",
    } == attributes(event)  # fmt: skip
    assert "ValueError" == attributes(order)["error.type"]


@pytest.mark.parametrize(
    "error, kind",
    [("ValueError: a: b", "ValueError"), ("my.mod.Error: x", "my.mod.Error"), ("it broke", "_OTHER"),
     ("two words: x", "_OTHER"), ("KeyError", "KeyError"), (None, "_OTHER"), ("", "_OTHER")],
)  # fmt: skip
def test_the_type_of_an_error_is_taken_only_where_it_is_one(error: str | None, kind: str) -> None:
    """A reason in words has no type; the conventions call that `_OTHER`."""
    (span,) = exported(session(failed(1, error=error)))  # type: ignore[arg-type]

    assert kind == attributes(span)["error.type"]


def test_an_unfinished_step_is_marked_and_ends_with_its_last_sign_of_life() -> None:
    """No status, an attribute that says so, and the time of its last log as its end."""
    wait = by_name(session())["wait"]

    assert attributes(wait)["ai_trace.unfinished"] is True
    assert {} == wait["status"]
    assert str(int(T0 + 7) * 10**9) == wait["endTimeUnixNano"]
    assert "worker" == attributes(wait)["thread.name"]


def test_logs_are_events_at_their_time() -> None:
    """An event is named by its message and holds the fields."""
    event = by_name(session())["order"]["events"][0]

    assert ("sending", str(int((T0 + 4.5) * 10) * 10**8)) == (event["name"], event["timeUnixNano"])
    assert {"n": 1} == attributes(event)


def test_what_speaks_of_a_model_gets_the_genai_names() -> None:
    """Model, messages in the form of the conventions, tokens as numbers; the span is a client's."""
    ask = by_name(session())["ask"]
    said = attributes(ask)

    assert 3 == ask["kind"]
    assert ("chat", "gpt-4o", 12, 5, 0.25, 0.5) == tuple(
        said[name] for name in ("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens",
                                "gen_ai.usage.output_tokens", "ai_trace.usage.cost_usd",
                                "gen_ai.request.temperature")
    )  # fmt: skip
    assert ["tool_calls"] == said["gen_ai.response.finish_reasons"]
    assert [
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c1", "name": "price", "arguments": {"s": "X"}}]}
    ] == valid_json(said["gen_ai.output.messages"].encode())  # fmt: skip
    assert [] == ask["events"]  # all that the log said stands on the span


def test_plain_words_are_left_alone_where_no_model_is_called() -> None:
    """`temperature` of a weather agent is no parameter of a model."""
    (span,) = exported(session(step(1, context={"temperature": 21.5, "http.method": "GET"})))

    assert 21.5 == attributes(span)["ai_trace.context.temperature"]
    assert "GET" == attributes(span)["http.method"]


def test_values_keep_their_type() -> None:
    """bool, int of 64 bits, float, list of one type; what is nested or too large becomes JSON text."""
    context = {
        "b": True,
        "i": -(2**63),
        "big": 2**63,
        "f": 0.5,
        "l": ["a", "b"],
        "mix": [1, "a"],
        "o": {"x": None},
    }
    (span,) = exported(session(step(1, context=context)))
    said = {key.removeprefix("ai_trace.context."): value for key, value in attributes(span).items()}

    assert (True, -(2**63), str(2**63), 0.5, ["a", "b"]) == tuple(
        said[key] for key in ("b", "i", "big", "f", "l")
    )
    assert ('[1,"a"]', '{"x":null}') == (said["mix"], said["o"])


def test_limits_are_kept_and_what_is_beyond_is_counted() -> None:
    """128 attributes, 1,000 events, 131,072 characters; span and loss report say how many more."""
    context = {f"k{n}": n for n in range(200)}
    logs = [{"_t": T0, "message": f"m{n}"} for n in range(1500)]
    losses = Losses()
    one = session(step(1, context=context, logs=logs), step(2, context={"t": "x" * 200_000}))
    first, second = [span for line in otlp.export(one, losses) for span in spans(line)]

    assert (128, len(attributes(first))) == (len(first["attributes"]), 128)
    assert 74 == first["droppedAttributesCount"]  # two of ours come before them
    assert (1000, 500) == (len(first["events"]), first["droppedEventsCount"])
    assert 131_072 == len(attributes(second)["ai_trace.context.t"])
    assert {"attributes beyond the 128 of one span: 74", "logs beyond the 1,000 of one span: 500",
            "texts cut to 131,072 characters: 1"} <= set(losses.rows())  # fmt: skip


@pytest.mark.parametrize("more", [False, True])
def test_hostile_sessions_come_out_valid(more: bool) -> None:
    """Half surrogates, circles, twins, wild times: ids are hex and unique, times in order and range."""
    found = exported(hostile(), with_openinference=more)
    ids = [span["spanId"] for span in found]

    assert len(hostile().steps) == len(found) == len(set(ids))
    assert all(re.fullmatch("[0-9a-f]{16}", id) for id in ids)
    assert all(re.fullmatch("[0-9a-f]{32}", span["traceId"]) for span in found)
    assert all(span["parentSpanId"] in ids for span in found if "parentSpanId" in span)
    for span in found:
        assert 0 <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) < 2**63
        assert span["name"]
        attributes(span)


def test_steps_of_the_older_package_get_ids_that_stay_the_same() -> None:
    """Without an id of its own a step gets one made of its place; the same session gives the same ids."""
    old = {"agent": "old", "session_id": "20240301_134022", "trace_id": ""}
    one = session(step(1, id="line-000001"), step(2, id="line-000002"), **old)
    again = session(step(1, id="line-000001"), step(2, id="line-000002"), **old)

    assert exported(one) == exported(again)
    assert 2 == len({span["spanId"] for span in exported(one)})


def test_a_parent_in_another_process_stays_the_parent() -> None:
    """A session that was started by a traced process keeps its place under that process's step."""
    (span,) = exported(session(step(1, 0xABC), parent=step_id(0xABC)))

    assert step_id(0xABC) == span["parentSpanId"]


def test_batches_hold_at_most_512_spans_and_four_megabytes() -> None:
    """A request stays below what servers and proxies accept, and every span is in one of them."""
    many = list(otlp.batches({"n": n} for n in range(1300)))
    large = list(otlp.batches({"x": "y" * 1_500_000} for _ in range(5)))

    assert [512, 512, 276] == [len(batch) for batch in many]
    assert [2, 2, 1] == [len(batch) for batch in large]


def test_openinference_stands_beside_the_genai_names() -> None:
    """Kind, model, tokens, flattened messages, input and output: what Phoenix shows."""
    found = by_name(session(), with_openinference=True)
    kinds = {name: attributes(span)["openinference.span.kind"] for name, span in found.items()}
    ask, price, order = (attributes(found[name]) for name in ("ask", "price", "order"))

    assert {"run": "AGENT", "ask": "LLM", "price": "TOOL", "order": "CHAIN", "wait": "CHAIN"} == kinds
    assert ("gpt-4o", 12, 5, 17, 0.25) == tuple(
        ask[name] for name in ("llm.model_name", "llm.token_count.prompt", "llm.token_count.completion",
                               "llm.token_count.total", "llm.cost.total")
    )  # fmt: skip
    assert ("system", "be brief", "user", "buy?") == tuple(
        ask[f"llm.input_messages.{n}.message.{part}"] for n in (0, 1) for part in ("role", "content")
    )
    lead = "llm.output_messages.0.message.tool_calls.0.tool_call"
    assert ("price", '{"s":"X"}') == (ask[f"{lead}.function.name"], ask[f"{lead}.function.arguments"])
    assert ('{"temperature":0.5}', "tool_calls") == (
        ask["llm.invocation_parameters"],
        ask["llm.finish_reason"],
    )
    assert ("price", '{"s":"X"}', '{"price":101.5}') == (
        price["tool.name"], price["input.value"], price["output.value"],
    )  # fmt: skip
    assert ('{"qty":-3}', '{"message":"sending","n":1}') == (order["input.value"], order["output.value"])


def test_a_message_with_a_result_of_a_tool_is_flattened_once() -> None:
    """OpenInference has one `tool_call_id` a message; no empty message follows."""
    told = [{"role": "tool", "tool_call_id": "c1", "content": "101"}, {"role": "user", "content": "so?"}]
    (span,) = exported(session(step(1, context={"gen_ai.input.messages": told})), with_openinference=True)
    said = {k: v for k, v in attributes(span).items() if k.startswith("llm.input_messages")}

    lead = "llm.input_messages"
    assert {
        f"{lead}.0.message.role": "tool",
        f"{lead}.0.message.tool_call_id": "c1",
        f"{lead}.0.message.content": "101",
        f"{lead}.1.message.role": "user",
        f"{lead}.1.message.content": "so?",
    } == said


def test_the_binary_form_knows_every_field_of_the_json_form() -> None:
    """Whatever the JSON holds has a number in the table of the binary form, hostile sessions included."""
    for one in (session(), hostile()):
        for line in otlp.export(one, Losses(), with_openinference=True):
            assert protobuf.encode(valid_json(line))
