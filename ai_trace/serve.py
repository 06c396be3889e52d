"""A folder of traces as pages on this computer: the list of sessions, each session's page, live while it runs.

Guarantees:
- it listens on 127.0.0.1 alone, and answers only requests that name it so (`Host`): a web site that points its
  own name at this address (DNS rebinding) reads nothing;
- it only reads (what it counted is remembered in the index): GET and HEAD, and no address becomes a path: a
  session is found by its name among those of the folder, so nothing outside can be asked for;
- whatever a file holds, the answer is a page or a sentence, and the server goes on.

Other users of this computer can reach 127.0.0.1 as well; end the server when you are done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import quote, unquote

from . import clock, folder
from .exceptions import TraceError
from .follow import Follower
from .record import VERSION
from .render import html, html_document, html_list

__all__ = ["Server"]

_MAX_LISTENERS: Final = 32  # pages that follow a session at one time, a thread each
_LOOK_S: Final = 0.25  # between two looks at a running session
_SIGN_OF_LIFE_S: Final = 10.0  # a page that went away is noticed when it is written to
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


class Server(ThreadingHTTPServer):
    """Serves *trace_dir* on 127.0.0.1, port *port* (0: any free one), between `serve_forever` and `stop`.

    *facts* tells for each of some sessions what stands in the list beside its name (`html_list.page`).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        trace_dir: str,
        port: int = 0,
        facts: Callable[[Sequence[folder.Entry]], Iterable[Mapping[str, Any]]] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.trace_dir = trace_dir
        self.facts = facts
        self.stopping = threading.Event()
        self.listeners = threading.BoundedSemaphore(_MAX_LISTENERS)

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.server_port}/"

    def stop(self) -> None:
        """End `serve_forever`, from another thread, and all live views; let go of the port."""
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Without the base's look-up of the host's name, which may ask the network."""
        self.allow_reuse_address = True
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"ai-trace/{VERSION}", ""
    timeout = 60  # seconds for a request to arrive
    _begun = False  # to answer

    def do_GET(self) -> None:
        self._begun = False
        port = self.server.server_port
        if self.headers.get_all("Host") not in ([f"127.0.0.1:{port}"], [f"localhost:{port}"]):
            self._sentence(HTTPStatus.FORBIDDEN, "This server answers only to 127.0.0.1 and localhost.")
            return
        try:
            self._answer([unquote(part) for part in self.path.partition("?")[0].split("/")[1:]])
        except TraceError as error:
            self._sentence(HTTPStatus.NOT_FOUND, str(error))
        except Exception as error:
            if self._begun:
                raise  # the page went away, or half of an answer is out
            self._sentence(HTTPStatus.INTERNAL_SERVER_ERROR, f"This page cannot be made: {error!r}")

    do_HEAD = do_GET

    def _answer(self, parts: list[str]) -> None:
        if parts == [""]:
            entries = folder.sessions(self.server.trace_dir)
            now = clock.active.wall_ns() / 1e9
            self._page(html_list.page(self.server.trace_dir, entries, now=now, facts=self.server.facts))
        elif len(parts) in (2, 3) and parts[0] == "session" and (entry := self._entry(parts[1])) is not None:
            if len(parts) == 2:
                self._session(entry)
            elif parts[2] == "events" and self.command == "GET":
                self._events(entry)
            else:
                self._sentence(HTTPStatus.NOT_FOUND, "There is no such page.")
        else:
            self._sentence(HTTPStatus.NOT_FOUND, "There is no such page or session.")

    def _entry(self, name: str) -> folder.Entry | None:
        return next((one for one in folder.sessions(self.server.trace_dir) if one.name == name), None)

    def _session(self, entry: folder.Entry) -> None:
        session = entry.load()
        live = f"/session/{quote(entry.name, safe='')}/events" if session.state == "running" else ""
        self._page(html.page(session, now=clock.active.wall_ns() / 1e9, live=live, home="/"), live=bool(live))

    def _page(self, pieces: Iterable[str], *, live: bool = False) -> None:
        data = "".join(pieces).encode("utf-8", "backslashreplace")
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", data, html_document.policy(live))

    def _sentence(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # a body that came with the request is not read
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode("utf-8", "backslashreplace"))

    def _send(self, status: HTTPStatus, kind: str, data: bytes, policy: str = "default-src 'none'") -> None:
        self._head(status, kind, policy)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: HTTPStatus, kind: str, policy: str) -> None:
        self._begun = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", f"{policy}; frame-ancestors 'none'")
        for name, value in _HEADERS:
            self.send_header(name, value)

    def _events(self, entry: folder.Entry) -> None:
        """Say "changed" whenever something happened in the session, and "over" when it has ended."""
        if not self.server.listeners.acquire(blocking=False):
            self._sentence(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages follow a session.")
            return
        follower = Follower(entry.path, last=0)
        try:
            self.close_connection = True
            self._head(HTTPStatus.OK, "text/event-stream", "default-src 'none'")
            self.end_headers()
            self._tell(follower)
        finally:
            follower.close()
            self.server.listeners.release()

    def _tell(self, follower: Follower) -> None:
        quiet_s = 0.0
        while not self.server.stopping.is_set():
            happened = bool(follower.poll())
            if happened or quiet_s >= _SIGN_OF_LIFE_S:
                self.wfile.write(b"event: changed\ndata:\n\n" if happened else b": still here\n\n")
                quiet_s = 0.0
            if follower.over:
                self.wfile.write(b"event: over\ndata:\n\n")
                return
            self.server.stopping.wait(_LOOK_S)
            quiet_s += _LOOK_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is looked at is nobody else's business."""
