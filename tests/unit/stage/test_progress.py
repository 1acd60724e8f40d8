"""What the stager tells of itself while it works. How it listens is tested in `tests/unit/test_listening.py`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from llama_operator.api.staging import Progress
from llama_operator.stage import progress
from llama_operator.stage.gauge import Gauge


@pytest.fixture
def gauge() -> Gauge:
    gauge = Gauge(lambda line: None, lambda: 0.0)
    gauge.begin("downloading", "adapter/a", total=100, done=7)
    return gauge


@pytest.fixture
def port(gauge: Gauge) -> Iterator[int]:
    with progress.server(0, gauge) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_progress_is_told(port: int, gauge: Gauge) -> None:
    response = httpx.get(f"http://127.0.0.1:{port}/progress")
    assert msgspec.json.decode(response.content, type=Progress) == Progress("downloading", "adapter/a", 7, 100)
    gauge.at(8)
    assert httpx.get(f"http://127.0.0.1:{port}/progress").json()["bytes"] == 8
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 404


def test_a_port_that_cannot_be_had_is_told_and_no_error(gauge: Gauge) -> None:
    lines: list[str] = []
    with socket.create_server(("", 0)) as taken, progress.serving(taken.getsockname()[1], gauge, lines.append):
        assert lines == [f"progress cannot be told on port {taken.getsockname()[1]}: Address already in use"]


def test_the_server_ends_with_the_work(gauge: Gauge) -> None:
    lines: list[str] = []
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    with contextlib.suppress(KeyError), progress.serving(port, gauge, lines.append):
        assert httpx.get(f"http://127.0.0.1:{port}/progress").status_code == 200
        raise KeyError
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with progress.serving(0, gauge, lines.append):
        assert lines == []
