"""What anybody can ask the stager while it works, and what they cannot make it do."""

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
from tests.unit.stage.support import until


@pytest.fixture
def gauge() -> Gauge:
    gauge = Gauge(lambda line: None, lambda: 0.0)
    gauge.begin("downloading", "adapter/a", total=100, done=7)
    return gauge


@pytest.fixture
def port(gauge: Gauge) -> Iterator[int]:
    with progress.Server(0, gauge) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, sent: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        answer = b""
        while data := connection.recv(4096):
            answer += data
        return answer


def test_progress_is_told(port: int, gauge: Gauge) -> None:
    response = httpx.get(f"http://127.0.0.1:{port}/progress")
    assert msgspec.json.decode(response.content, type=Progress) == Progress("downloading", "adapter/a", 7, 100)
    assert response.headers["Connection"] == "close"
    gauge.at(8)
    assert httpx.get(f"http://127.0.0.1:{port}/progress").json()["bytes"] == 8


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_progress_is_told_over_ipv6_too(port: int) -> None:
    assert httpx.get(f"http://[::1]:{port}/progress").json()["role"] == "adapter/a"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /progress/../etc HTTP/1.1\r\n\r\n",
        b"POST /progress HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET /progress?x HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET /progress HTTP/1.1\r\nX: " + b"x" * 5000,
    ],
)
def test_everything_else_is_not_found(port: int, sent: bytes) -> None:
    answer = ask(port, sent[: progress.REQUEST_BYTES])
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"adapter" not in answer


def test_one_request_for_each_connection(port: int) -> None:
    assert ask(port, b"GET /progress HTTP/1.1\r\n\r\n" * 3).count(b"HTTP/1.1 200") == 1


def test_silent_clients_are_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    assert ask(port, b"GET /progress HTTP/1.1\r\n") == b""


def test_more_connections_than_a_few_are_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 600.0)
    until(lambda: threads() == 0, "those of other tests have gone")
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(progress.CONNECTIONS)]
    until(lambda: threads() == progress.CONNECTIONS, "all are being served")
    assert _closed(port)
    for connection in silent:
        connection.close()
    until(lambda: threads() == 0, "all have gone")
    assert ask(port, b"GET /progress HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def _closed(port: int) -> bool:
    try:
        return ask(port, b"") == b""
    except ConnectionError:
        return True


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
