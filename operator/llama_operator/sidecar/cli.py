"""Command line of the sidecar: a request in; it runs until it is told to end, and llama-server has ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from llama_operator.api.sidecar import DRAIN_PATH, FACTS_PATH, PORT, START_PATH, START_WAIT_SECONDS, Request
from llama_operator.listening import Answer, Server
from llama_operator.sidecar import process
from llama_operator.sidecar.client import Client, KeyFile
from llama_operator.sidecar.drain import drain
from llama_operator.sidecar.watch import Watch

LEAVE_SECONDS = 0.1
"""Between two looks whether llama-server has ended."""


def main(arguments: Sequence[str], port: int = PORT) -> None:
    """The one argument is an `api.sidecar.Request` in JSON. Raises OSError when the port cannot be had."""
    request = msgspec.json.decode(arguments[0], type=Request)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=leave, args=(request.port,), daemon=True).start())
    client = Client(request.port, request.prefix, KeyFile(Path(request.key_file) if request.key_file else None))
    watch = Watch(request, client, say)
    server = Server(port, answers(watch, client, request))
    say(f"watching llama-server on port {request.port}, answering on port {server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    watch.run()


def answers(watch: Watch, client: Client, request: Request) -> Callable[[str], Answer | None]:
    """What is answered to a path."""

    def started() -> Answer:
        if watch.has_answered(START_WAIT_SECONDS):
            return _words(200, "llama-server has answered a request")
        return _words(503, watch.facts.problem or "llama-server has not answered a request yet")

    def drained() -> Answer:
        outcome = drain(client, lambda: watch.serves, request.drain)
        say(f"drained: {outcome}")
        return _words(200, outcome)

    def facts() -> Answer:
        return 200, "application/json", msgspec.json.encode(watch.facts)

    known = {START_PATH: started, DRAIN_PATH: drained, FACTS_PATH: facts}
    return lambda path: known[path]() if path in known else None


def leave(port: int) -> None:
    """End this process when no llama-server with this port is left: all containers of a pod are told to end at the
    same time, and llama-server still drains then."""
    while process.alive(port):
        time.sleep(LEAVE_SECONDS)
    os._exit(0)


def say(text: str) -> None:
    """One line of the log, written at once."""
    print(text.rstrip(), file=sys.stdout, flush=True)


def _words(status: int, text: str) -> Answer:
    return status, "text/plain", f"{text}\n".encode()
