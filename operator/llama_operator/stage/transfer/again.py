"""A further request on a connection whose last body was read straight from its socket.

httpx does not know that such a body is over, and would open a new connection for each chunk: handshakes and slow start
cost half the speed on a long line. The request is the last one with another range; h11 speaks for us.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.request import getproxies

import h11
import httpx

from llama_operator.stage.transfer.body import direct

_PORTION = 1 << 16


class _Leading(httpx.SyncByteStream):
    """The beginning of a body that came together with the headers; the rest is in the socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        if self._data:
            yield self._data


def again(last: httpx.Response, headers: Mapping[str, str], timeout: float) -> httpx.Response | None:
    """The answer to the request of `last` with other `headers`, on the same connection; its body has been read.

    None if that cannot be done, or if it is no part of a file: ask anew then, and judge that answer. `timeout` is in
    seconds.
    """
    connection = direct(last)
    if connection is None or not _kept(last, connection):
        return None
    fields = last.request.headers.copy()
    fields.update(headers)
    request = httpx.Request("GET", last.request.url, headers=fields)
    try:
        connection.settimeout(timeout)
        found, leading = _exchange(connection, request)
    except (OSError, h11.ProtocolError):
        # Connections that are kept may be closed at any time (RFC 9112, 9.5).
        return None
    response = httpx.Response(
        found.status_code,
        headers=list(found.headers),
        stream=_Leading(leading),
        request=request,
        extensions={**last.extensions, "http_version": b"HTTP/" + found.http_version},
    )
    return response if response.status_code == httpx.codes.PARTIAL_CONTENT else None


def _kept(last: httpx.Response, connection: socket.socket) -> bool:
    closing = last.http_version != "HTTP/1.1" or "close" in last.headers.get("Connection", "").lower()
    # To a proxy that forwards, requests look different.
    forwarded = not isinstance(connection, ssl.SSLSocket) and not getproxies().keys().isdisjoint(("http", "all"))
    return not closing and not forwarded


def _exchange(connection: socket.socket, request: httpx.Request) -> tuple[h11.Response, bytes]:
    speaker = h11.Connection(h11.CLIENT)
    target, fields = request.url.raw_path, request.headers.raw
    connection.sendall(speaker.send(h11.Request(method="GET", target=target, headers=fields)) or b"")
    connection.sendall(speaker.send(h11.EndOfMessage()) or b"")
    while True:
        event = speaker.next_event()
        if event is h11.NEED_DATA:
            speaker.receive_data(connection.recv(_PORTION))
        elif isinstance(event, h11.Response):
            return event, speaker.trailing_data[0]
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("no answer")
