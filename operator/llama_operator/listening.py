"""Answer a few paths over HTTP, to whoever asks: the stager's progress, the sidecar's probes.

A few lines on a socket instead of an HTTP library, so that what strangers can make it do is bounded: one GET of 4 KiB
for each connection, two seconds to send it, few connections at a time, and fewer from one address.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

CONNECTIONS = 8
"""From one address at a time: who holds all of his keeps nobody else, the kubelet least of all, from asking."""
MOST_CONNECTIONS = 64
REQUEST_BYTES = 4096
SECONDS = 2.0

Answer = tuple[int, str, bytes]
"""Status, type of the content, content."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """`answer` is asked with the path, in a thread of its own, and may take its time; None is 404. Port 0 takes any
    that is free. Raises OSError when the port cannot be had."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port: int, answer: Callable[[str], Answer | None]) -> None:
        self.answer = answer
        self._lock = threading.Lock()
        self._open: collections.Counter[str] = collections.Counter()
        super().__init__(("", port), Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def shutdown(self) -> None:
        """At once: the end of the socket wakes the loop, which would look for its own end at intervals."""
        with contextlib.suppress(OSError):  # it was closed before
            self.socket.shutdown(socket.SHUT_RDWR)
        super().shutdown()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """False closes the connection: better no answer than threads without end."""
        with self._lock:
            if self._open[client_address[0]] >= CONNECTIONS or self._open.total() >= MOST_CONNECTIONS:
                return False
            self._open[client_address[0]] += 1
            return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open[client_address[0]] -= 1
                if not self._open[client_address[0]]:
                    del self._open[client_address[0]]

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
        answer = self.server.answer(path) if (path := _path(bytes(head))) else None
        self.request.settimeout(SECONDS)
        self.request.sendall(_written(*(answer or (404, "text/plain", b""))))


def _path(head: bytes) -> str | None:
    """Of a GET; None for all else."""
    words = head.partition(b"\r\n")[0].split(b" ")
    known = b"\r\n\r\n" in head and len(words) == 3 and words[0] == b"GET"
    return words[1].decode("latin-1") if known else None


def _written(status: int, type_: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {type_}\r\nCache-Control: no-store\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
