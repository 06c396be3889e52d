"""A running Phoenix server shows the run: the right tree, names, times and tokens.

Needs: pip install arize-phoenix (about 300 packages). The server runs on 127.0.0.1 with a database of its
own. Run with `-W ignore`: its own imports warn, and our settings make warnings errors.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ai_trace.session import Session
from tests.cli_world import call
from tests.ecosystem.runs import recorded

pytestmark = pytest.mark.skipif(importlib.util.find_spec("phoenix") is None, reason="needs arize-phoenix")
_PATIENCE_S = 600  # generous: on a busy machine its imports alone take minutes


@pytest.fixture(name="url", scope="module")
def fixture_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("phoenix")
    port, grpc = _free(), _free()
    environment = {**os.environ, "PHOENIX_WORKING_DIR": str(place), "PHOENIX_HOST": "127.0.0.1",
                   "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(grpc),
                   "PHOENIX_TELEMETRY_ENABLED": "false"}  # fmt: skip
    with open(place / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "phoenix.server.main", "serve"], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(_PATIENCE_S):
            if _is_up(url):
                break
            if server.poll() is not None:
                pytest.fail((place / "log").read_text()[-3000:])
            time.sleep(1)
        else:
            pytest.skip(f"Phoenix did not start within {_PATIENCE_S} s")
        yield url
    finally:
        server.terminate()
        server.wait(_PATIENCE_S)


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_PATIENCE_S) as reply:
        return bytes(reply.read())


def _is_up(url: str) -> bool:
    try:
        _get(f"{url}/healthz")
        return True
    except OSError:
        return False


def _spans(url: str, count: int) -> dict[str, Any]:
    for _ in range(_PATIENCE_S):  # Phoenix writes to its database in the background
        found = (
            json.loads(_get(f"{url}/v1/projects/default/spans?limit=100"))["data"] if _project(url) else []
        )
        if len(found) >= count:
            return {span["name"]: span for span in found}
        time.sleep(1)
    raise AssertionError(f"{len(found)} of {count} spans arrived")


def _project(url: str) -> bool:
    return b'"default"' in _get(f"{url}/v1/projects")


@pytest.fixture(name="sent", scope="module")
def fixture_sent(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, dict[str, Any]]:
    """A run that the command line sent, and its spans as Phoenix's own API has them."""
    one, journal = recorded(tmp_path_factory.mktemp("traces"))
    done = call("export", str(journal), "--otlp", url, "--openinference")
    assert (0, "") == (done.code, done.out)
    return one, _spans(url, len(one.steps))


def test_a_run_arrives_with_tree_names_times_and_tokens(sent: tuple[Session, dict[str, Any]]) -> None:
    """Ids, parents, starts, ends, kinds, the error, tokens and model."""
    one, found = sent

    assert {record.name for record in one.steps} == set(found)
    for record in one.steps:
        span = found[record.name]
        start = datetime.fromisoformat(span["start_time"]).timestamp()
        end = datetime.fromisoformat(span["end_time"]).timestamp()
        assert (one.trace_id, record.id) == (span["context"]["trace_id"], span["context"]["span_id"])
        assert record.parent == span["parent_id"]
        assert abs(start - (record.started_at or 0)) < 1e-5
        assert abs((end - start) * 1000 - (record.duration_ms or 0)) < 0.01
    kinds = {name: span["span_kind"] for name, span in found.items()}
    assert {"run": "AGENT", "ask": "LLM", "price": "TOOL", "decide": "CHAIN", "order": "CHAIN"} == kinds
    assert ("ERROR", "ValueError: no money") == (
        found["order"]["status_code"],
        found["order"]["status_message"],
    )
    assert ["exception"] == [event["name"] for event in found["order"]["events"]]
    said = found["ask"]["attributes"]
    assert (12, 5, "gpt-4o") == tuple(
        said[key] for key in ("llm.token_count.prompt", "llm.token_count.completion", "llm.model_name")
    )


@pytest.mark.usefixtures("sent")
def test_phoenix_counts_the_same_tokens(url: str) -> None:
    """Its own sum over the project, which it makes from the attributes it understood."""
    question = {
        "query": "{ projects { edges { node { name tokenCountTotal tokenCountPrompt traceCount } } } }"
    }
    asked = urllib.request.Request(
        f"{url}/graphql", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=_PATIENCE_S) as reply:
        edges = json.loads(reply.read())["data"]["projects"]["edges"]
    (project,) = (edge["node"] for edge in edges if edge["node"]["name"] == "default")

    assert (17.0, 12.0, 1) == (project["tokenCountTotal"], project["tokenCountPrompt"], project["traceCount"])
