"""A server that misbehaves on demand."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from llama_operator.api.staging import S3, Engine, File, HuggingFace, InPlace, Report, Request, Staged, Url
from llama_operator.stage.context import Context, Policy
from llama_operator.stage.gauge import Gauge
from llama_operator.stage.request import parse
from llama_operator.stage.source import split
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.stager import stage

MIB = 1 << 20
FILE = "sub/model.gguf"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does; the limit only ends a test that has failed."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


@dataclass
class Fault:
    """How one GET goes wrong. `cut` closes the connection after that many bytes of body, `hold` stops there until
    the server's `release` is set."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    hold: int | None = None


@dataclass
class Served:
    """A file of the server, with the faults of its next requests; the last but for `always`."""

    data: bytes
    etag: str = '"v1"'
    ranges: bool = True
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    ignores_if_range: bool = False


@dataclass
class Seen:
    method: str
    path: str
    headers: Message


class Server(ThreadingHTTPServer):
    """Counts what it is asked and what it sends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, Served] = {}
        self.requests: list[Seen] = []
        self.sent = 0
        self.release = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested here."""

    def add(self, path: str, data: bytes, **options: Any) -> Served:
        self.files[path] = Served(data, **options)
        return self.files[path]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def gets(self) -> list[Seen]:
        return [r for r in self.requests if r.method == "GET"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        path = unquote(self.path.split("?")[0])
        with self.server.lock:
            self.server.requests.append(Seen(self.command, self.path, self.headers))
            served = self.server.files.get(path)
            fault = self._fault(served)
        if served is None:
            self._head(404, {"Content-Length": "0"})
        elif fault.status:
            self._head(fault.status, {"Content-Length": str(len(fault.body))} | fault.headers)
            if self.command != "HEAD":
                self._send(fault.body, fault)
        else:
            self._file(served, fault)

    def _fault(self, served: Served | None) -> Fault:
        if served is None:
            return Fault()
        if served.faults:
            return served.faults.popleft()
        return served.always or Fault()

    def _file(self, served: Served, fault: Fault) -> None:
        start, headers = 0, {"ETag": served.etag} if served.etag else {}
        same = served.ignores_if_range or self.headers.get("If-Range", served.etag) == served.etag
        if served.ranges and "Range" in self.headers and same:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(served.data) - 1}/{len(served.data)}"
        headers |= {"Content-Length": str(len(served.data) - start)} if served.length else {"Connection": "close"}
        self._head(206 if "Content-Range" in headers else 200, headers | served.headers | fault.headers)
        if self.command != "HEAD":
            self._send(served.data[start:], fault)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, fault: Fault) -> None:
        for at in range(0, len(body), 1 << 16):
            stop = min(at + (1 << 16), len(body))
            if fault.cut is not None and stop >= fault.cut:
                self._count(body[at : fault.cut])
                self.close_connection = True
                return
            if fault.hold is not None and at < fault.hold <= stop:
                self._count(body[at : fault.hold])
                self.server.release.wait()
                at = fault.hold
            self._count(body[at:stop])

    def _count(self, data: bytes) -> None:
        self.wfile.write(data)
        with self.server.lock:
            self.server.sent += len(data)


@dataclass
class Stager:
    """Runs the stager in this process, on a root of its own, without waiting for anything."""

    root: Path
    log: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    sleep: Callable[[float], None] = lambda seconds: None
    monotonic: Callable[[], float] = lambda: 0.0
    policy: Policy = field(default_factory=Policy)
    secrets: Secrets = field(default_factory=Secrets)
    engine: Engine | None = None
    gauge: Gauge = field(default_factory=lambda: Gauge(lambda line: None, lambda: 0.0))

    @property
    def link(self) -> Path:
        return self.root / "model.gguf"

    def context(self) -> Context:
        return Context(
            log=self.log.append,
            sleep=self._pause,
            monotonic=self.monotonic,
            now=lambda: 1_000_000.0,
            policy=self.policy,
            gauge=self.gauge,
        )

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.sleep(seconds)

    def run(self, *files: File) -> Report:
        """By way of the argument, as the kubelet would."""
        return stage(parse(argument(self.root, *files, engine=self.engine)), self.context(), self.secrets)

    def url(self, url: str, digest: str | None = None, *, link: str = "", headers: Path | None = None) -> Staged:
        source = Url(url, str(headers or ""))
        return self.run(model(link or str(self.link), source, digest)).files[0]

    def hub(self, endpoint: str, *, digest: str | None = None, token: str = "", **wanted: str) -> Staged:
        """`file`, `quantization`, `revision` may be said; otherwise it is sub/model.gguf of main."""
        wanted = {"revision": "main"} | (wanted if {"file", "quantization"} & set(wanted) else {"file": FILE} | wanted)
        mounted = str(self.secret(token=token) / "token") if token else ""
        source = HuggingFace(endpoint, "org/repo", token=mounted, **wanted)
        link = str(self.root / Path(wanted["file"]).name) if split.number(wanted.get("file", "")) else str(self.link)
        return self.run(model(link, source, digest)).files[0]

    def secret(self, **keys: str) -> Path:
        """A Secret as the kubelet mounts it: links through a folder that is exchanged as a whole."""
        folder = self.root.parent / f"{self.root.name}-{'-'.join(keys)}"
        (folder / "..2026_11_24").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026_11_24")
        for name, value in keys.items():
            (folder / "..2026_11_24" / name).write_text(value)
            (folder / name).symlink_to(f"..data/{name}")
        return folder

    def parts(self) -> list[Path]:
        return sorted((self.root / ".stage").glob("*.part"))

    def published(self) -> list[Path]:
        return sorted((self.root / "sha256").glob("*/[!.]*"))


def model(path: str, source: Url | HuggingFace | S3 | InPlace, digest: str | None = None, role: str = "model") -> File:
    name = role.partition("/")[2]
    field = {"model": "spec.source"}.get(role, f"spec.adapters[{name}].source" if name else f"spec.{role}.source")
    return File(role, field, path, source, digest or "")


def argument(root: Path, *files: File, engine: Engine | None = None) -> str:
    return msgspec.json.encode(Request(files, str(root), engine=engine)).decode()


def url_arguments(root: Path, url: str, digest: str | None = None, name: str = "model.gguf") -> list[str]:
    return [argument(root, model(str(root / name), Url(url), digest))]


def note(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return loaded
