"""Command line of the sidecar: a request in; it runs until it is told to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from llama_operator.api.sidecar import DRAIN_PATH, FACTS_PATH, PORT, START_PATH, START_WAIT_SECONDS, Request
from llama_operator.listening import Answer, Server
from llama_operator.sidecar.client import Client, KeyFile
from llama_operator.sidecar.drain import drain
from llama_operator.sidecar.watch import Watch


def main(arguments: Sequence[str], port: int = PORT) -> None:
    """The one argument is an `api.sidecar.Request` in JSON. Raises OSError when the port cannot be had."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    request = msgspec.json.decode(arguments[0], type=Request)
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


def say(text: str) -> None:
    """One line of the log, written at once."""
    print(text.rstrip(), file=sys.stdout, flush=True)


def _words(status: int, text: str) -> Answer:
    return status, "text/plain", f"{text}\n".encode()
