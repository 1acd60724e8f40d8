"""Stands between the operator and the API server, to do what networks and API servers do at the worst moment."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import kopf

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "host", "authorization"})
_GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


class Proxy:
    """Plain HTTP on a loopback port, forwarded with the credentials of a kubeconfig.

    `on_write` is called with method and path when the API server has done a write and the client does not know yet.
    """

    def __init__(self, kubeconfig: Path) -> None:
        with mock.patch.dict(os.environ, KUBECONFIG=str(kubeconfig)):
            info = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
        assert info is not None
        self._info = info
        self._context = info.as_ssl_context()
        self.on_write: Callable[[str, str], None] = lambda method, path: None
        self.broken_writes = 0
        """How many of the next writes are answered with 503 and not passed on."""
        self.told_gone: set[str] = set()
        """Paths of the watches that were told that their version is too old."""
        self._watches: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._seeing = threading.Event()
        self._seeing.set()
        self._expired: set[str] = set()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(target=self._httpd.serve_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._cut()
        self._seeing.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join(timeout=10)

    def kubeconfig(self, path: Path) -> Path:
        """Write one that leads through this proxy."""
        content = {
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self._httpd.server_port}"}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        path.write_text(json.dumps(content))
        return path

    def blind(self) -> None:
        """Break every watch and keep new ones waiting: what happens from now on is reported to nobody."""
        self._seeing.clear()
        self._expired |= set(self._cut())

    def see(self) -> None:
        """Let watches through again; those that were broken are told first that their version is too old."""
        self._seeing.set()

    def _cut(self) -> list[str]:
        with self._lock:
            watches, self._watches = self._watches, {}
        for sock in watches:
            with contextlib.suppress(OSError):  # ended by itself meanwhile
                sock.shutdown(socket.SHUT_RDWR)
        return list(watches.values())

    def connect(self) -> HTTPSConnection:
        address = urlsplit(self._info.server)
        assert address.hostname is not None
        return HTTPSConnection(address.hostname, address.port or 443, context=self._context, timeout=120)

    def credentials(self) -> dict[str, str]:
        return self._info.as_http_headers()

    def break_write(self) -> bool:
        with self._lock:
            broken = self.broken_writes > 0
            self.broken_writes -= broken
            return broken

    def may_watch(self, path: str) -> bool:
        """Whether a new watch goes through; it waits here while the proxy is blind."""
        self._seeing.wait()
        with self._lock:
            if path not in self._expired:
                return True
            self._expired.discard(path)
            self.told_gone.add(path)
            return False

    @contextlib.contextmanager
    def watching(self, connection: HTTPSConnection, path: str) -> Any:
        sock = connection.sock
        with self._lock:
            self._watches[sock] = path
        try:
            yield
        finally:
            with self._lock:
                self._watches.pop(sock, None)


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[Proxy]

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if parse_qs(path.query).get("watch") != ["true"]:
            self._forward()
        elif self.proxy.may_watch(path.path):
            self._forward(watch=path.path)
        else:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(_GONE).encode() + b"\n")

    def do_PATCH(self) -> None:
        if self.proxy.break_write():
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(503)
            self.end_headers()
        else:
            self._forward()

    do_POST = do_DELETE = do_PATCH

    def _forward(self, watch: str | None = None) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = self.proxy.connect()
        try:
            connection.request(self.command, self.path, body or None, headers | self.proxy.credentials())
            answer = connection.getresponse()
            if self.command != "GET":
                self.proxy.on_write(self.command, urlsplit(self.path).path)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.end_headers()
            with self.proxy.watching(connection, watch) if watch else contextlib.nullcontext():
                while piece := answer.read1(65536):
                    self.wfile.write(piece)
        except (OSError, HTTPException):
            pass  # one side has hung up; so does the other now
        finally:
            connection.close()

    def log_message(self, *_: Any) -> None:
        """Quiet: the operator's own log says what failed."""
