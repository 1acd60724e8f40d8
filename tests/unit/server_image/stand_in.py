"""A stand-in for llama-server on the loopback: right answers in its shapes, and the wrong ones that a test wants."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.certificates import Certificate

Body = Any
"""Bytes as they are, a list as a stream of events, anything else as JSON."""

JSON = "application/json; charset=utf-8"
PAGE = b'<!doctype html><link href="./ui/looks.css"><script>import("./ui/program.js")</script>'
CONTEXT = {"n_ctx": 512}


@dataclass(frozen=True)
class Reply:
    """One answer; without a type it is that of the body."""

    body: Body
    status: int = 200
    type: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> tuple[str, bytes]:
        if isinstance(self.body, bytes):
            return self.type, self.body
        if isinstance(self.body, list):
            parts = [part if isinstance(part, str) else json.dumps(part) for part in self.body]
            return self.type or "text/event-stream", "".join(f"data: {part}\n\n" for part in parts).encode()
        return self.type or JSON, json.dumps(self.body).encode()


def error(status: int, kind: str, message: str) -> Reply:
    """An error in llama-server's format."""
    return Reply({"error": {"code": status, "message": message, "type": kind}}, status)


def choices(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, **fields}]}


RIGHT: dict[str, Reply] = {
    "/health": Reply({"status": "ok"}),
    "/v1/models": Reply({"object": "list", "data": [{"id": "m"}]}),
    "/v1/chat/completions": Reply(choices(finish_reason="stop", message={"role": "assistant", "content": "Hi."})),
    "/v1/chat/completions, streaming": Reply(
        [
            choices(delta={"role": "assistant", "content": None}),
            choices(delta={"content": "Hi"}),
            choices(delta={"content": "."}),
            choices(delta={}, finish_reason="stop"),
            {"choices": [], "usage": {}},
            "[DONE]",
        ]
    ),
    "/v1/completions": Reply(choices(finish_reason="length", text="there was")),
    "/v1/completions, streaming": Reply(
        [choices(text="there"), choices(text=" was"), choices(text="", finish_reason="length"), "[DONE]"]
    ),
    "/props": Reply({"default_generation_settings": CONTEXT, "total_slots": 1, "build_info": "b1", "ui": True}),
    "/tokenize": Reply({"tokens": [1, 2]}),
    "/detokenize": Reply({"content": " Grüße, 世界 🦙"}),
    "/": Reply(PAGE, type="text/html; charset=utf-8"),
    "/ui/program.js": Reply(b"x" * 2000, type="text/javascript"),
    "/ui/looks.css": Reply(b"x" * 2000, type="text/css"),
    "/v1/messages": Reply(
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Hi."}],
            "stop_reason": "end_turn",
            "usage": {"output_tokens": 2},
        }
    ),
    "/v1/messages, streaming": Reply(
        [{"type": "message_start"}, {"type": "content_block_delta"}, {"type": "message_stop"}]
    ),
    "/v1/rerank": error(501, "not_supported_error", "This server does not support reranking."),
    "/v1/embeddings": error(501, "not_supported_error", "This server does not support embeddings."),
}


class Handler(BaseHTTPRequestHandler):
    prefix = ""
    key = ""
    replies: dict[str, Reply] = RIGHT
    first: list[Reply]

    def do_GET(self) -> None:
        self._answer(self.path)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(f"{self.path}, streaming" if asked.get("stream") else self.path)

    def _answer(self, path: str) -> None:
        if self.first:
            self._send(self.first.pop())
        elif self.key and self.headers["Authorization"] != f"Bearer {self.key}":
            self._send(error(401, "authentication_error", "Invalid API Key"))
        else:
            self._send(self._reply(path))

    def _reply(self, path: str) -> Reply:
        missing = error(404, "not_found_error", "File Not Found")
        within = path.startswith(f"{self.prefix}/")
        return self.replies.get(path[len(self.prefix) :], missing) if within else missing

    def _send(self, reply: Reply) -> None:
        kind, content = reply.content()
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what the check says."""


@contextmanager
def server(
    wrong: dict[str, Reply],
    *,
    prefix: str = "",
    key: str = "",
    first: Sequence[Reply] = (),
    certificate: Certificate | None = None,
) -> Iterator[int]:
    """Serve RIGHT, but for what is `wrong`, below a prefix, for holders of the key; the port on the loopback.

    The first requests of all get the replies of `first`, whatever they ask.
    """
    members = {"prefix": prefix, "key": key, "first": list(first), "replies": {**RIGHT, **wrong}}
    handler = type("Handling", (Handler,), members)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.crt, certificate.key)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(listening.server_address[1])
        finally:
            listening.shutdown()
            thread.join()
