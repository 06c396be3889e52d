"""`ai-trace serve`: the folder as pages, for this computer alone, read and nothing else."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace.cli import listing
from ai_trace.serve import Server
from tests.browser import PATIENCE_S
from tests.cli_world import START, World, command, environment, step
from tests.payloads import PAYLOADS


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    world.session(steps=[step("decide", context={"rate": 0.51})])
    (tmp_path / "secret.jsonl").write_bytes((world.path / "trader_20260225_061320.jsonl").read_bytes())
    yield world
    world.release()


@pytest.fixture(name="server")
def fixture_server(world: World) -> Iterator[Server]:
    folder = str(world.path)
    server = Server(folder, facts=lambda entries: listing.facts_of(entries, folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stop()
    thread.join()


def _ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=600)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def test_the_list_leads_to_the_page_of_each_session(server: Server) -> None:
    """The first page names the sessions; each link answers the session's report."""
    status, headers, text = _ask(server, "/")
    link = text.partition('href="')[2].partition('"')[0]

    assert (200, "/session/trader_20260225_061320") == (status, link)
    status, headers, text = _ask(server, link)
    assert status == 200 and "rate" in text and "0.51" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "no-store" == headers["Cache-Control"] and "nosniff" == headers["X-Content-Type-Options"]


def test_the_list_says_how_each_run_went(server: Server, world: World) -> None:
    """As `ai-trace list` does: what failed stands out, with steps, errors and duration."""
    world.session("crash", "20260226_061320", steps=[step("a"), step("run", "error", duration_ms=2500.0)])

    _, _, text = _ask(server, "/")
    newest, older = [row for row in text.split("<tr>")[2:]]
    assert '<span class="state failed">failed</span>' in newest
    assert "<td class=num>2.50 s</td><td class=num>2</td><td class=num>1</td>" in newest
    assert '<span class="state ended">ended</span>' in older


def test_it_listens_on_this_computer_alone(server: Server) -> None:
    """The socket is bound to 127.0.0.1, whatever the computer's other addresses are."""
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}", ""])
def test_a_request_under_another_name_is_refused(server: Server, host: str) -> None:
    """A web site that points its own name at 127.0.0.1 reads nothing."""
    status, _, text = _ask(server, "/", Host=host.format(port=server.server_port))

    assert status == 403
    assert "trader" not in text


def test_localhost_is_a_name_of_this_computer(server: Server) -> None:
    """The name that people type works, too."""
    assert _ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_but_reading_is_answered(server: Server, world: World, method: str) -> None:
    """Other methods are not implemented, and the folder is as it was."""
    before = sorted(os.listdir(world.path))

    assert _ask(server, "/session/trader_20260225_061320", method)[0] == 501
    assert before == sorted(os.listdir(world.path))


def test_a_head_has_no_body(server: Server) -> None:
    """HEAD answers as GET does, without the page."""
    status, headers, text = _ask(server, "/", "HEAD")

    assert (200, "") == (status, text)
    assert int(headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    "path",
    [
        "/session/../secret", "/session/..%2fsecret", "/session/%2e%2e%2fsecret.jsonl", "/../secret.jsonl",
        "/session/..%5csecret", "/session//etc/passwd", "/session/%2fetc%2fpasswd", "/session/trader_20260225_061320.jsonl",
        "/session/trader", "/session/", "/session", "/session/trader_20260225_061320/events/x", "/%00", "/session/%ff",
        "/session/trader_20260225_061320/..", "/trader_20260225_061320.jsonl", "*",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_the_folder_or_to_a_file(server: Server, path: str) -> None:
    """A session is found by its name among those of the folder; whatever else is asked for is not there."""
    status, _, text = _ask(server, path)

    assert status == 404
    assert "0.51" not in text and "root:" not in text


@pytest.mark.parametrize("payload", [text for text in PAYLOADS if "/" not in text and "\0" not in text])
def test_a_name_that_would_act_is_only_text(server: Server, world: World, payload: str) -> None:
    """An agent's name stands in the list as text; a script of its own is not in it."""
    world.session(agent="x", id="20260301_000000", steps=[step("a")], meta={})
    path = world.path / "x_20260301_000000.jsonl"
    import json

    row = json.loads(path.read_bytes())
    row["session"]["agent"] = payload
    path.write_text(json.dumps(row) + "\n")

    text = _ask(server, "/")[2]

    assert "<script" not in text and "onload=alert" not in text.replace("&", "<").partition("<svg")[0]


def test_a_broken_file_is_a_sentence_and_the_server_goes_on(server: Server, world: World) -> None:
    """What cannot be read says so; the next page comes."""
    (world.path / "bad_20260301_000000.jsonl").write_bytes(b"\xff\xfe\x00not a trace\n")

    status, _, text = _ask(server, "/session/bad_20260301_000000")

    assert status == 404 and "bad_20260301_000000" in text
    assert _ask(server, "/")[0] == 200


def test_our_own_mistake_is_a_sentence_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot be made says so, and the next request is answered."""
    monkeypatch.setattr("ai_trace.render.html.page", lambda *_, **__: 1 / 0)

    status, _, text = _ask(server, "/session/trader_20260225_061320")

    assert status == 500 and "ZeroDivisionError" in text
    assert _ask(server, "/")[0] == 200


def test_a_folder_that_is_not_there_yet_is_an_empty_list(tmp_path: Path) -> None:
    """The server may be started before the agent."""
    server = Server(str(tmp_path / "later"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        status, _, text = _ask(server, "/")
        assert status == 200 and "0 sessions" in text
    finally:
        server.stop()
        thread.join()


def test_a_running_session_tells_each_change_and_its_end(server: Server, world: World) -> None:
    """The live view hears "changed" when a step ends, and "over" when the session does."""
    row = step("wait", started_at=START + 5, id="f" * 16)
    path = world.running(id="20260301_000000", steps=[step("begin")], open_steps=[row])
    page = _ask(server, "/session/trader_20260301_000000")
    assert '"live":"/session/trader_20260301_000000/events"' in page[2]
    assert "connect-src 'self'" in page[1]["Content-Security-Policy"]

    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=600)
    connection.request("GET", "/session/trader_20260301_000000/events")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert _next_event(answer) == "changed"  # how it is now
    world.ends(path, row)
    assert _next_event(answer) == "changed"
    world.end(path)
    events = [_next_event(answer)]
    while events[-1] != "over":
        events.append(_next_event(answer))
    assert answer.read() == b"data:\n\n"  # and there it ends
    connection.close()


def _next_event(answer: http.client.HTTPResponse) -> str:
    while not (line := answer.readline()).startswith(b"event: "):
        assert line, "the stream ended"
    return line.decode().removeprefix("event: ").strip()


def test_stopping_ends_the_live_views(server: Server, world: World) -> None:
    """No open page keeps the server from ending."""
    world.running(id="20260301_000000", steps=[step("begin")])
    with socket.create_connection(("127.0.0.1", server.server_port), PATIENCE_S) as page:
        page.sendall(
            f"GET /session/trader_20260301_000000/events HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
        )
        assert page.recv(1)
        server.stopping.set()
        while page.recv(65536):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of Unix")
def test_ctrl_c_ends_the_command_without_a_traceback(world: World) -> None:
    """The command says its address, and ends with exit code 0 and not a word."""
    words = command("--dir", str(world.path), "serve", "--port", "0")
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)

    assert "http://127.0.0.1:" in said
    assert (0, "", "") == (process.returncode, out, err)


def test_a_port_that_is_taken_is_a_sentence(server: Server, world: World) -> None:
    """Exit code 1, and what to do."""
    done = world.call("serve", "--port", str(server.server_port))

    assert done.code == 1
    assert "--port 0" in done.err
