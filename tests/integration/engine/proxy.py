"""Stands between the operator and the API server, to do what networks and API servers do at the worst moment."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import Enum
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import kopf

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "host", "authorization"})
_GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
LATE_SECONDS = 0.4
"""How late a late answer is: longer than anything else takes, shorter than anybody's patience."""


class Fault(Enum):
    """What happens to a request that is no watch."""

    UNAVAILABLE = "not passed on, answered with 503"
    BUSY = "not passed on, answered with 429 and Retry-After: 1"
    LOST = "done, and not answered"
    CUT = "done, and the connection breaks in the middle of the answer"
    LATE = "done, and answered late"


class Sight(Enum):
    """What a watch lets through."""

    ALL = "all"
    HELD = "nothing for now; what comes meanwhile is delivered afterwards"
    DROPPED = "nothing, and what comes meanwhile is never delivered"


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
        self.write_faults: deque[Fault] = deque()
        self.read_faults: deque[Fault] = deque()
        """What happens to the next writes, and to the next reads that are no watches."""
        self.seen: Counter[str] = Counter()
        """`requests` that were no watches, `410` told by the API server itself, faults by name as they happened."""
        self.told_gone: set[str] = set()
        """Paths of the watches that were told that their version is too old."""
        self._watches: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._seeing = threading.Event()
        self._seeing.set()
        self._expired: set[str] = set()
        self._sight: dict[str, Sight] = {}
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(target=self._httpd.serve_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.cut()
        self.see()
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

    def blind(self, *, expired: bool = True) -> None:
        """Break every watch and keep new ones waiting: what happens from now on is reported to nobody.

        `expired`: those that were broken are told, when they come again, that their version is too old.
        """
        self._seeing.clear()
        broken = self.cut()
        if expired:
            self._expired |= set(broken)

    def see(self) -> None:
        """Let watches through again, and everything that they tell."""
        self._seeing.set()
        with self._changed:
            self._sight.clear()
            self._changed.notify_all()

    def look(self, sight: Sight, plural: str = "") -> None:
        """What watches of this kind (empty: all that have no rule of their own) let through from now on."""
        with self._changed:
            self._sight[plural] = sight
            self._changed.notify_all()

    def watched(self) -> set[str]:
        """Paths that are being watched."""
        with self._lock:
            return set(self._watches.values())

    def cut(self, plural: str = "") -> list[str]:
        """Break the watches of this kind, or all; they may come again at once. Returns their paths."""
        with self._lock:
            cut = {sock: path for sock, path in self._watches.items() if path.endswith(plural)}
            for sock in cut:
                del self._watches[sock]
        for sock in cut:
            with contextlib.suppress(OSError):  # ended by itself meanwhile
                sock.shutdown(socket.SHUT_RDWR)
        return list(cut.values())

    def await_requests(self, count: int, seconds: float) -> bool:
        """Wait until so many more requests have come; whether they have, within `seconds` of each other."""
        with self._changed:
            for _ in range(count):
                before = self.seen["requests"]
                if not self._changed.wait_for(lambda before=before: self.seen["requests"] > before, seconds):  # type: ignore[misc]
                    return False
        return True

    def passes(self, path: str) -> bool:
        """Whether what a watch has to tell is passed on; waits here while it is held."""
        plural = path.rpartition("/")[2]
        with self._changed:
            while (sight := self._sight.get(plural, self._sight.get("", Sight.ALL))) is Sight.HELD:
                self._changed.wait()
        return sight is Sight.ALL

    def next_fault(self, *, write: bool) -> Fault | None:
        """A request has come; what is to happen to it."""
        with self._changed:
            self.seen["requests"] += 1
            self._changed.notify_all()
            faults = self.write_faults if write else self.read_faults
            fault = faults.popleft() if faults else None
            if write and fault is None and self.broken_writes > 0:
                self.broken_writes -= 1
                fault = Fault.UNAVAILABLE
            if fault:
                self.seen[fault.name] += 1
            return fault

    def connect(self) -> HTTPSConnection:
        address = urlsplit(self._info.server)
        assert address.hostname is not None
        return HTTPSConnection(address.hostname, address.port or 443, context=self._context, timeout=120)

    def credentials(self) -> dict[str, str]:
        return self._info.as_http_headers()

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
        self._forward()

    do_POST = do_PUT = do_DELETE = do_PATCH

    def _forward(self, watch: str | None = None) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = None if watch else self.proxy.next_fault(write=self.command != "GET")
        if fault in (Fault.UNAVAILABLE, Fault.BUSY):
            self._refuse(fault)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = self.proxy.connect()
        try:
            connection.request(self.command, self.path, body or None, headers | self.proxy.credentials())
            answer = connection.getresponse()
            if watch:
                self._head(answer)
                with self.proxy.watching(connection, watch):
                    self._tell(iter(answer.readline, b""), watch)
            else:
                whole = answer.read()
                if self.command != "GET":
                    self.proxy.on_write(self.command, urlsplit(self.path).path)
                self._answer(answer, whole, fault)
        except (OSError, HTTPException):
            pass  # one side has hung up; so does the other now
        finally:
            connection.close()

    def _refuse(self, fault: Fault) -> None:
        self.send_response(503 if fault is Fault.UNAVAILABLE else 429)
        if fault is Fault.BUSY:
            self.send_header("Retry-After", "1")
        self.end_headers()

    def _tell(self, lines: Iterable[bytes], watch: str) -> None:
        for line in lines:
            if line.startswith(b'{"type":"ERROR"') and b'"code":410' in line:
                self.proxy.seen["410"] += 1
            if self.proxy.passes(watch):
                self.wfile.write(line)

    def _answer(self, answer: HTTPResponse, whole: bytes, fault: Fault | None) -> None:
        if fault is Fault.LOST:
            return
        if fault is Fault.LATE:
            time.sleep(LATE_SECONDS)  # this is the fault itself; nobody waits for it to be over
        self._head(answer, len(whole))
        self.wfile.write(whole[: len(whole) // 2] if fault is Fault.CUT else whole)

    def _head(self, answer: HTTPResponse, length: int | None = None) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if length is not None:  # so that half an answer is not taken for a whole one
            self.send_header("content-length", str(length))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet: the operator's own log says what failed."""
