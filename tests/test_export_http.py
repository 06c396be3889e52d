"""Spans over HTTP to a collector on this machine: what is tried again, what is not, and what is told."""

from __future__ import annotations

import gzip
from email.utils import formatdate

import pytest

from ai_trace import clock
from ai_trace.exceptions import UsageError
from ai_trace.exporters import otlp, post
from ai_trace.exporters.losses import Losses
from ai_trace.exporters.post import Collector, Refused, Unreachable
from tests.exporting import collector, session, spans

REQUEST = otlp.request(otlp.session_origin(session()), list(otlp.session_spans(session(), Losses())))


def sender(url: str, pauses: list[float] | None = None, headers: dict[str, str] | None = None) -> Collector:
    return Collector(url, wait=(pauses if pauses is not None else []).append, headers=headers)


def test_a_request_is_a_gzipped_post_of_json_to_v1_traces() -> None:
    """The path of the specification behind a bare address, JSON in gzip, and the user's headers."""
    with collector() as server:
        sender(server.url, headers={"Authorization": "Basic abc"}).send(REQUEST)
        ((path, headers, body),) = server.requests

    assert "/v1/traces" == path
    assert ("application/json", "gzip", "Basic abc") == tuple(
        headers[name] for name in ("content-type", "content-encoding", "authorization")
    )
    assert ["run", "ask", "price", "order", "wait"] == [span["name"] for span in spans(gzip.decompress(body))]


def test_an_address_with_a_path_is_used_as_it_stands() -> None:
    """Langfuse and others have their own path."""
    with collector() as server:
        sender(server.url + "/api/public/otel/v1/traces?x=1").send(REQUEST)

        assert "/api/public/otel/v1/traces?x=1" == server.requests[0][0]


@pytest.mark.parametrize("status", [429, 502, 503, 504, 0])
def test_a_busy_collector_is_tried_again_with_growing_pauses(status: int) -> None:
    """Pauses of 1, 2, 4 seconds, give or take a fifth; then it has the spans, once."""
    pauses: list[float] = []
    with collector() as server:
        server.answers = [(status, {}, b"")] * 3
        sender(server.url, pauses).send(REQUEST)

        assert 4 == len(server.requests)
        assert 1 == len(server.good)
    assert [True] * 3 == [
        0.8 * want <= got <= 1.2 * want for want, got in zip((1, 2, 4), pauses, strict=True)
    ]


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    """The server says when; up to five minutes."""
    pauses: list[float] = []
    at = clock.active.wall_ns() / 1e9 + 90
    with collector() as server:
        server.answers = [
            (429, {"Retry-After": text}, b"") for text in ("7", formatdate(at, usegmt=True), "99999")
        ]
        sender(server.url, pauses).send(REQUEST)

    assert (7.0, 300.0) == (pauses[0], pauses[2])
    assert 80 < pauses[1] <= 90


def test_nobody_there_ends_after_six_tries() -> None:
    """Where nothing listens the error says so, and how often it was tried."""
    with collector() as server:
        url = server.url
    pauses: list[float] = []

    with pytest.raises(Unreachable, match="in 6 tries"):
        sender(url, pauses).send(REQUEST)
    assert 5 == len(pauses)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500, 302])
def test_other_answers_are_not_tried_again(status: int) -> None:
    """As the specification demands; nor is a redirect followed, which could lead data elsewhere."""
    with collector() as server:
        server.answers = [(status, {"Location": "/v1/traces"}, b"why \x1b[31m not")]
        with pytest.raises(Refused, match=str(status)) as told:
            sender(server.url).send(REQUEST)

        assert 1 == len(server.requests)
    assert "\x1b" not in str(told.value)


def test_partial_success_is_counted_and_told() -> None:
    """A 200 that says that spans were rejected is no quiet success; the numbers may be text or numbers."""
    with collector() as server:
        server.answers = [
            (200, {}, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too \\u001b old"}}'),
            (200, {}, b'{"partialSuccess":{"rejectedSpans":1}}'),
            (200, {}, b'{"partialSuccess":{}}'), (200, {}, b"[]"), (200, {}, b"\xff\x00"), (202, {}, b""),
        ]  # fmt: skip
        to = sender(server.url)
        for _ in range(6):
            to.send(REQUEST)

    assert 3 == to.rejected
    assert ["too \\x1b old"] == to.told


def test_a_server_that_takes_no_json_gets_the_binary_form() -> None:
    """After a 415 the same spans go as protocol buffers, and so do those that follow."""
    with collector() as server:
        server.answers = [(415, {}, b"")]
        to = sender(server.url)
        to.send(REQUEST)
        to.send(REQUEST)
        kinds = [headers["content-type"] for _, headers, _ in server.requests]

    assert ["application/json", "application/x-protobuf", "application/x-protobuf"] == kinds


@pytest.mark.parametrize(
    "url", ["http://", "http://a:b", "http://user:secret@localhost", "http://[", "http://ho st"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    """With a sentence; a password in it is not repeated."""
    with pytest.raises(UsageError) as told:
        Collector(url)
    assert "secret" not in str(told.value)


def test_headers_come_from_the_environment_and_the_command_line() -> None:
    """`OTEL_EXPORTER_OTLP_HEADERS` as the specification has it; a word of the command line wins."""
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20abc, x-team = a "}

    assert {"Authorization": "Basic abc", "x-team": "b"} == post.headers_from(["x-team: b"], environment)
    for word in ("x y: a", "x: a\r\nHost: evil", "ü: x", ": x", "x: ü"):
        with pytest.raises(UsageError):
            post.headers_from([word], {})
