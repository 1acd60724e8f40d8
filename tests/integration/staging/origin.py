"""An HTTP or HTTPS server that serves files rightly, and goes wrong exactly as it is told to.

    with Origin() as origin:
        origin.serve("/m.gguf", data)
        origin.script("/m.gguf", faults.cut(1000), faults.status(503))   # the next two requests, then it is well
        origin.always("/m.gguf", faults.html())                          # or every one

It counts what it is asked and what it sends; a test compares these with what the client says. Ranges, If-Range, HEAD
and 416 follow RFC 9110. Everything is on the loopback address; a name other than `localhost` needs the client's help.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 1 << 16


@dataclass(frozen=True)
class Asked:
    """One request as it came; `path` with its query."""

    method: str
    path: str
    headers: Message


@dataclass
class Served:
    """One file. `etag` is sent as it is, so it has its quotes; empty for none. `headers` go along with each answer."""

    data: bytes
    etag: str = '"v1"'
    headers: dict[str, str] = field(default_factory=dict)


class Exchange:
    """One request and the means to answer it; what a fault gets."""

    def __init__(self, handler: _Handler, asked: Asked, file: Served | None) -> None:
        self.asked, self.file = asked, file
        self._handler = handler
        self.closing = handler.server.closing

    @property
    def data(self) -> bytes:
        return self.file.data if self.file else b""

    def head(self, status: int, headers: dict[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in ((self.file.headers if self.file else {}) | headers).items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def old_head(self) -> None:
        """HTTP/1.0, without a length: only the end of the connection ends the body."""
        self.raw(b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
        self.hang_up()

    def send(self, data: bytes) -> None:
        """Bytes of the body; none for HEAD. Counted as they leave."""
        if self.asked.method == "HEAD":
            return
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self.raw(piece)
            self._handler.server.count(len(piece))

    def raw(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        """No further request on this connection."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """RST instead of FIN."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Only the descriptor's end sends it, whoever else holds the object.
        self._handler.connection.shutdown(socket.SHUT_RD)
        self._handler.connection.close()
        self.hang_up()

    def silence(self) -> None:
        """Say nothing until the client goes away or the test ends."""
        self.closing.wait()
        self.hang_up()

    def answer(self, *, ranges: bool = True, headers: dict[str, str] | None = None, body: bytes | None = None) -> None:
        """The right answer; with a range, that part of `body` (the file if not given)."""
        whole = self.data if body is None else body
        etag = self.file.etag if self.file else ""
        extra = ({"ETag": etag} if etag else {}) | ({"Accept-Ranges": "bytes"} if ranges else {}) | (headers or {})
        part = self.part(len(whole), extra.get("ETag", "")) if ranges else None
        if part is None:
            self.head(200, {"Content-Length": str(len(whole))} | extra)
            self.send(whole)
        elif part.start >= len(whole):
            self.head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(whole)}"} | extra)
        else:
            size = {"Content-Length": str(len(part))}
            place = {"Content-Range": f"bytes {part.start}-{part.stop - 1}/{len(whole)}"}
            self.head(206, size | place | extra)
            self.send(whole[part.start : part.stop])

    def part(self, length: int, etag: str) -> range | None:
        """Which bytes of `length` are asked for; None for all. One range only, and If-Range with a strong ETag."""
        asked = self.asked.headers
        found = _RANGE.fullmatch(asked.get("Range", ""))
        condition = asked.get("If-Range")
        if not found or (condition is not None and (condition != etag or etag.startswith("W/"))):
            return None
        first, last = found.groups()
        if not first:
            return range(max(length - int(last), 0), length)
        return range(int(first), min(int(last) + 1, length) if last else length)


Fault = Callable[[Exchange], None]
"""Answers one request, wrongly. See `faults`."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        exchange, fault = self.server.take(self)
        fault(exchange)

    do_HEAD = do_GET


class Origin(ThreadingHTTPServer):
    """`tls` is a folder with cert.pem and key.pem (see `authority`); `otherwise` answers for paths without a file.

    Use as a context manager.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, tls: Path | None = None, otherwise: Fault | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if tls else "http"
        self.asked: list[Asked] = []
        self.sent = 0
        """Bytes of bodies."""
        self.broken_handshakes = 0
        self.closing = threading.Event()
        self._files: dict[str, Served] = {}
        self._scripts: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._otherwise = otherwise or _not_found
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
            # The handshake belongs to the connection's own thread: a client may break it off, or never begin.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Origin:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested here; those that refuse a certificate are counted."""
        with self._lock:
            self.broken_handshakes += isinstance(request, ssl.SSLSocket)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def serve(self, path: str, data: bytes, **options: Any) -> Served:
        """Options are the fields of `Served`."""
        self._files[path] = Served(data, **options)
        return self._files[path]

    def script(self, path: str, *faults: Fault) -> None:
        """What happens to the next requests of this path, one each; HEAD counts like GET."""
        self._scripts.setdefault(path, deque()).extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        self._always[path] = fault

    def requests(self, path: str = "", method: str = "") -> list[Asked]:
        """Those so far, of one path (without query) or method if given."""
        with self._lock:
            found = list(self.asked)
        return [
            one
            for one in found
            if (not path or one.path.partition("?")[0] == path) and (not method or one.method == method)
        ]

    def take(self, handler: _Handler) -> tuple[Exchange, Fault]:
        path = unquote(handler.path.partition("?")[0])
        asked = Asked(handler.command, handler.path, handler.headers)
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.get(path)
            fault = script.popleft() if script else self._always.get(path)
        file = self._files.get(path)
        if fault is None:
            fault = Exchange.answer if file else self._otherwise
        return Exchange(handler, asked, file), fault

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent


def _not_found(exchange: Exchange) -> None:
    exchange.head(404, {"Content-Length": "0"})
