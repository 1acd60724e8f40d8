"""Questions over a real connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llama_operator.sidecar.client import Client, KeyFile, Reply

JSON = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def serving(answer: Callable[[bytes], bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives `answer` for each request that it has read; its port, and the requests."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                asked.append(connection.recv(65536))
                connection.sendall(answer(asked[-1]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


def client(port: int, key: KeyFile | None = None, prefix: str = "") -> Client:
    return Client(port, prefix, key or KeyFile())


def test_a_question_and_its_answer() -> None:
    with serving(lambda _: JSON) as (port, asked):
        assert client(port, prefix="/m").ask("/completion", 5, {"n_predict": 1}) == Reply(200, b"{}")
        assert asked[0].startswith(b"POST /m/completion HTTP/1.1\r\n")
        assert asked[0].endswith(b'{"n_predict":1}')
        assert b"authorization" not in asked[0].lower()
        client(port).ask("/health", 5)
        assert asked[1].startswith(b"GET /health HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        JSON[:-1],
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 9999999,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
    ids=["nothing", "no HTTP", "cut short", "too much", "another protocol"],
)
def test_what_is_no_answer(answer: bytes) -> None:
    with serving(lambda _: answer) as (port, _):
        assert client(port).ask("/health", 5) == Reply(0)


def test_an_answer_without_length_ends_with_the_connection() -> None:
    with serving(lambda _: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 X\r\n\r\nloading") as (port, _):
        assert client(port).ask("/health", 5) == Reply(503, b"loading")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert client(port).ask("/health", 5) == Reply(0)


def test_silence_is_no_answer_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert client(silent.getsockname()[1]).ask("/health", 0.05) is None


def accepts(key: str) -> Callable[[bytes], bytes]:
    right = f"Authorization: Bearer {key}\r\n".encode()
    return lambda asked: JSON if right in asked else b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"


def test_the_first_key_of_the_file_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("\n one \ntwo\n")
    with serving(accepts("one")) as (port, asked):
        assert client(port, KeyFile(file)).ask("/slots", 5) == Reply(200, b"{}")
        assert len(asked) == 1


def test_a_key_that_is_wrong_and_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with serving(accepts("c")) as (port, asked):
        assert client(port, KeyFile(tmp_path / "missing")).ask("/slots", 5) == Reply(401, b"")
        assert b"Authorization" not in asked[0]
