"""What answers for the sidecars of pods that are written by hand."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llama_operator.api import sidecar
from tests.integration.server import Object


class Sidecar:
    """Says `facts` to who asks, or `turns` one after the other; `asked` are the paths. A status of 404 while it has
    nothing to say."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.facts: Object | bytes | None = None
        self.turns: list[Object] = []
        self.asked: list[str] = []
        says = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                says.asked.append(self.path)
                facts = says.turns[len(says.asked) % len(says.turns)] if says.turns else says.facts
                body = facts if isinstance(facts, bytes) else json.dumps(facts or {}).encode()
                self.send_response(200 if facts else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, sidecar.PORT), Handler)


def own_address() -> str:
    """Of this machine, and not loopback, which no pod has. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])
