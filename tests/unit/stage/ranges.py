"""A server of one file that is asked for ranges, by several connections at once, and that does what a test tells it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIMIT_SECONDS = 60.0
"""Only ends a test that has failed."""


@dataclass
class Ask:
    """One request. `start` and `stop` as in a slice; `whole` if no range was asked for."""

    number: int
    path: str
    whole: bool
    start: int
    stop: int
    headers: dict[str, str]
    open: int
    """Requests that are being answered, this one among them."""
    connection: socket.socket

    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)


@dataclass
class Reply:
    """What is sent. `cut` ends the connection after so many bytes of body; `before` is called ahead of each step with
    the number of bytes of this answer that are out."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    before: Callable[[int], object] = lambda sent: None


class RangeServer(ThreadingHTTPServer):
    """Counts what it is asked and what it sends. `twist` may change any answer."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, data: bytes, etag: str = '"v1"') -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.etag = data, etag
        self.asked: list[Ask] = []
        self.sent = self.open = self.connections = 0
        self.changed = threading.Condition()
        self.twist: Callable[[Ask, Reply], Reply | None] = lambda ask, reply: reply
        self.step = 1 << 14
        self.tls: ssl.SSLContext | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested here."""

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return (self.tls.wrap_socket(connection, server_side=True) if self.tls else connection), address

    def url(self, path: str = "/m.gguf", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.server_port}{path}"

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            if not self.changed.wait_for(condition, LIMIT_SECONDS):
                raise TimeoutError("the test waits in vain")

    def reply(self, ask: Ask) -> Reply | None:
        headers = {"ETag": self.etag, "Accept-Ranges": "bytes"} if self.etag else {"Accept-Ranges": "bytes"}
        if ask.whole or ask.headers.get("if-range", self.etag) != self.etag:
            return self.twist(ask, Reply(200, self.data, headers))
        headers["Content-Range"] = f"bytes {ask.start}-{ask.stop - 1}/{len(self.data)}"
        return self.twist(ask, Reply(206, self.data[ask.start : ask.stop], headers))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RangeServer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def setup(self) -> None:
        super().setup()
        with self.server.changed:
            self.server.connections += 1

    def do_GET(self) -> None:
        server = self.server
        with server.changed:
            server.open += 1
            ask = self._ask(len(server.asked), server.open)
            server.asked.append(ask)
            server.changed.notify_all()
        try:
            reply = server.reply(ask)
            if reply is None:
                self.close_connection = True
            else:
                self._send(reply)
        finally:
            with server.changed:
                server.open -= 1
                server.changed.notify_all()

    def _ask(self, number: int, now_open: int) -> Ask:
        headers = {name.lower(): value for name, value in self.headers.items()}
        first, _, last = headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        stop = int(last) + 1 if last else len(self.server.data)
        return Ask(number, self.path, "range" not in headers, int(first), stop, headers, now_open, self.connection)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        body = memoryview(reply.body)[: reply.cut]
        for at in range(0, len(body), self.server.step):
            reply.before(at)
            step = body[at : at + self.server.step]
            self.wfile.write(step)
            with self.server.changed:
                self.server.sent += len(step)
        if reply.cut is not None:
            self.close_connection = True


@contextmanager
def serving(data: bytes, etag: str = '"v1"', tls: ssl.SSLContext | None = None) -> Iterator[RangeServer]:
    with RangeServer(data, etag) as server:
        server.tls = tls
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
