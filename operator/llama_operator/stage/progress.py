"""Tell how far the stager is to whoever asks: `GET /progress` over HTTP. Numbers and the name of a role, no secret."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from llama_operator.api.staging import PROGRESS_PATH
from llama_operator.listening import Answer, Server
from llama_operator.stage.gauge import Gauge


@contextmanager
def serving(port: int, gauge: Gauge, log: Callable[[str], None]) -> Iterator[None]:
    """Answer on `port` (0: not at all) of all addresses meanwhile. A port that cannot be had is only told."""
    server = _open(port, gauge, log) if port else None
    if not server:
        yield
        return
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def server(port: int, gauge: Gauge) -> Server:
    """Raises OSError when the port cannot be had."""

    def answer(path: str) -> Answer | None:
        return (200, "application/json", msgspec.json.encode(gauge.now)) if path == PROGRESS_PATH else None

    return Server(port, answer)


def _open(port: int, gauge: Gauge, log: Callable[[str], None]) -> Server | None:
    try:
        return server(port, gauge)
    except OSError as error:
        log(f"progress cannot be told on port {port}: {error.strerror}")
        return None
