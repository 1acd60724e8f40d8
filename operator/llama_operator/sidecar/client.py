"""Ask llama-server over the loopback: plain HTTP, one connection for each question, no redirects, no proxy."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h11
import msgspec

HOST = "127.0.0.1"
LIMIT = 4 * 2**20
"""Bytes of an answer. /props has the chat template in it."""


@dataclass(frozen=True)
class Reply:
    """`status` 0: nobody listens, or what came was no answer."""

    status: int
    body: bytes = b""


class KeyFile:
    """API keys, one a line. Any of them does: llama-server has read the same file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def __call__(self) -> str:
        """The first one; empty: there is none."""
        try:
            lines = self._path.read_text().splitlines() if self._path else []
        except OSError:
            lines = []
        return next((key for line in lines if (key := line.strip())), "")


class Client:
    """Questions may be asked by several threads."""

    def __init__(self, port: int, prefix: str, key: Callable[[], str]) -> None:
        self._port, self._prefix, self._key = port, prefix, key

    def ask(self, path: str, seconds: float, question: object = None) -> Reply | None:
        """GET, or POST with a question, below the server's prefix. None: no answer within so many seconds, counted
        from what was heard last."""
        body = None if question is None else msgspec.json.encode(question)
        key = self._key()
        fields = [("Host", f"{HOST}:{self._port}"), ("Connection", "close"), ("User-Agent", "llama-operator-sidecar")]
        fields += [("Authorization", f"Bearer {key}")] if key else []
        if body is not None:
            fields += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        speaker = h11.Connection(h11.CLIENT)
        try:
            with socket.create_connection((HOST, self._port), timeout=seconds) as connection:
                head = h11.Request(method="GET" if body is None else "POST", target=self._prefix + path, headers=fields)
                sent = speaker.send(head) or b""
                sent += (speaker.send(h11.Data(body)) or b"") if body is not None else b""
                connection.sendall(sent + (speaker.send(h11.EndOfMessage()) or b""))
                return _reply(speaker, connection)
        except TimeoutError:
            return None
        except (OSError, h11.ProtocolError):
            return Reply(0)


def _reply(speaker: h11.Connection, connection: socket.socket) -> Reply:
    status, body = 0, b""
    while len(body) <= LIMIT:
        event = speaker.next_event()
        if event is h11.NEED_DATA:
            speaker.receive_data(connection.recv(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Reply(status, body)
        elif not isinstance(event, h11.InformationalResponse):
            break
    return Reply(0)
