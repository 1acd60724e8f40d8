"""Tell how far the stager is to whoever asks: `GET /progress` over HTTP.

Numbers and the name of a role, nothing secret. A few lines on a socket instead of an HTTP library, so that what
strangers can make it do is bounded: one request of 4 KiB per connection, two seconds for all of it, few at a time.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from llama_operator.api.staging import PROGRESS_PATH
from llama_operator.stage.gauge import Gauge

CONNECTIONS = 8
REQUEST_BYTES = 4096
SECONDS = 2.0


@contextmanager
def serving(port: int, gauge: Gauge, log: Callable[[str], None]) -> Iterator[None]:
    """Answer on `port` (0: not at all) of all addresses meanwhile. A port that cannot be had is only told."""
    server = _open(port, gauge, log) if port else None
    if not server:
        yield
        return
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _open(port: int, gauge: Gauge, log: Callable[[str], None]) -> Server | None:
    try:
        return Server(port, gauge)
    except OSError as error:
        log(f"progress cannot be told on port {port}: {error.strerror}")
        return None


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Port 0 takes any that is free."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port: int, gauge: Gauge) -> None:
        self.gauge = gauge
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(("", port), Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """False closes the connection: better no answer than threads without end."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or took too long, is no news."""


class Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Server

    def handle(self) -> None:
        head, end = bytearray(), time.monotonic() + SECONDS
        while b"\r\n\r\n" not in head and len(head) < REQUEST_BYTES:
            self.request.settimeout(max(end - time.monotonic(), 0.001))
            data = self.request.recv(REQUEST_BYTES - len(head))
            if not data:
                return
            head += data
        self.request.settimeout(SECONDS)
        self.request.sendall(answer(bytes(head), self.server.gauge))


def answer(head: bytes, gauge: Gauge) -> bytes:
    words = head.partition(b"\r\n")[0].split(b" ")
    known = b"\r\n\r\n" in head and len(words) == 3 and words[:2] == [b"GET", PROGRESS_PATH.encode()]
    body = msgspec.json.encode(gauge.now) if known else b""
    status = b"200 OK" if known else b"404 Not Found"
    return (
        b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        b"Connection: close\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
