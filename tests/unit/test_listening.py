"""What anybody can ask a port of ours, and what they cannot make it do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from llama_operator import listening
from llama_operator.listening import Answer, Server
from tests.polling import eventually

KNOWN: dict[str, Answer] = {"/known": (200, "text/plain", b"here"), "/not-yet": (503, "text/plain", b"wait")}


@pytest.fixture
def port() -> Iterator[int]:
    with Server(0, KNOWN.get) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, sent: bytes, host: str = "127.0.0.1") -> bytes:
    """Everything that comes back until the connection is closed."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(sent)
        answer = b""
        while data := connection.recv(4096):
            answer += data
        return answer


def test_a_path_is_answered(port: int) -> None:
    assert ask(port, b"GET /known HTTP/1.1\r\n\r\n") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"
        b"Connection: close\r\nContent-Length: 4\r\n\r\nhere"
    )
    assert ask(port, b"GET /not-yet HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_over_ipv6_too(port: int) -> None:
    assert ask(port, b"GET /known HTTP/1.1\r\n\r\n", "::1").endswith(b"here")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /known/../etc HTTP/1.1\r\n\r\n",
        b"POST /known HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET /known?x HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET /known HTTP/1.1\r\nX: " + b"x" * 5000,
    ],
)
def test_everything_else_is_not_found(port: int, sent: bytes) -> None:
    answer = ask(port, sent[: listening.REQUEST_BYTES])
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"here" not in answer


def test_one_request_for_each_connection(port: int) -> None:
    assert ask(port, b"GET /known HTTP/1.1\r\n\r\n" * 3).count(b"HTTP/1.1 200") == 1


def test_silent_clients_are_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SECONDS", 0.0)
    assert ask(port, b"GET /known HTTP/1.1\r\n") == b""


def test_whoever_holds_many_connections_keeps_nobody_else_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SECONDS", 600.0)
    being_served(0)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(listening.CONNECTIONS)]
    being_served(listening.CONNECTIONS)
    assert _closed(port)
    another = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
    another.sendall(b"GET /known HTTP/1.1\r\n\r\n")
    assert another.recv(4096).startswith(b"HTTP/1.1 200")
    for connection in (*silent, another):
        connection.close()
    being_served(0)
    assert ask(port, b"GET /known HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_there_is_a_bound_for_all_together(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SECONDS", 600.0)
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 2)
    being_served(0)
    silent = [socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{last}", 0)) for last in (2, 3)]
    being_served(2)
    assert _closed(port)
    for connection in silent:
        connection.close()
    being_served(0)


def test_it_ends_at_once() -> None:
    with Server(0, KNOWN.get) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 600.0}, daemon=True)
        thread.start()
        assert ask(server.server_address[1], b"GET /known HTTP/1.1\r\n\r\n").endswith(b"here")
        threading.Thread(target=server.shutdown, daemon=True).start()
        thread.join(10)
        assert not thread.is_alive()


def being_served(count: int) -> None:
    def served() -> None:
        assert sum("process_request_thread" in thread.name for thread in threading.enumerate()) == count

    eventually(served, every=0.01)


def _closed(port: int) -> bool:
    try:
        return ask(port, b"") == b""
    except ConnectionError:
        return True
