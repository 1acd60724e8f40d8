"""The server of the benchmark: one file at every path, by HTTP/1.1 with ranges, as fast as the kernel gives it out.

    python -m benchmarks.staging.server FILE COUNTER ADDRESS PORT [CERTIFICATE KEY]

It answers a HEAD as a Hugging Face hub does. COUNTER is a file of 8 bytes: what has been handed to the kernel so far.
"""

from __future__ import annotations

import mmap
import os
import re
import socket
import ssl
import struct
import sys
import threading
from pathlib import Path

COMMIT = "0" * 40
_RANGE = re.compile(rb"(?im)^range: bytes=(\d+)-(\d*)")
_PORTION = 1 << 20


class Server:
    def __init__(self, file: Path, counter: Path) -> None:
        self._file = file.open("rb")
        self._size = os.fstat(self._file.fileno()).st_size
        self._map = memoryview(mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ))
        self._counter = os.open(counter, os.O_RDWR | os.O_CREAT)
        self._sent, self._lock = 0, threading.Lock()
        self._count(0)

    def serve(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection, context), daemon=True).start()

    def _converse(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as spoken:
                while request := _request(spoken):
                    self._answer(spoken, request)
        except OSError:
            return  # clients may go away at any time

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        asked = _RANGE.search(request)
        start = int(asked[1]) if asked else 0
        stop = int(asked[2]) + 1 if asked and asked[2] else self._size
        head = [
            f"HTTP/1.1 {'206 Partial Content' if asked else '200 OK'}",
            f"Content-Length: {stop - start}",
            "Accept-Ranges: bytes",
            'ETag: "benchmark"',
            f"X-Repo-Commit: {COMMIT}",
        ]
        if asked:
            head.append(f"Content-Range: bytes {start}-{stop - 1}/{self._size}")
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        while start < stop and not request.startswith(b"HEAD"):
            portion = min(_PORTION, stop - start)
            if isinstance(connection, ssl.SSLSocket):
                connection.sendall(self._map[start : start + portion])
            else:
                portion = os.sendfile(connection.fileno(), self._file.fileno(), start, portion)
            start += portion
            self._count(portion)

    def _count(self, more: int) -> None:
        with self._lock:
            self._sent += more
            os.pwrite(self._counter, struct.pack("<Q", self._sent), 0)


def _request(connection: socket.socket) -> bytes:
    """One request without a body; empty when the client has gone."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        more = connection.recv(1 << 16)
        if not more:
            return b""
        received += more
    return received


def main(file: str, counter: str, address: str, port: str, *secret: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secret else None
    if context:
        context.load_cert_chain(*secret)
    with socket.create_server((address, int(port)), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        Server(Path(file), Path(counter)).serve(listener, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
