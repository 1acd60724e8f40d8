"""The body of an answer, piece by piece: straight from its socket into one buffer where that is possible.

httpx and h11 copy every byte several times and in small portions, which costs more than the network and the digest
together. They do what is hard (redirects, proxies, TLS, framing); a body whose length is known is just that many bytes.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

SLICE_SECONDS = 1.0
"""Longest wait before the reader gets to look around."""
_RECORDS = 16
"""TLS gives out 16 KiB at a time (RFC 8446, 5.1); so many are one piece."""


def pieces(response: httpx.Response, length: int | None, buffer: memoryview, timeout: float) -> Iterator[memoryview]:
    """Each piece is valid until the next; an empty one says that nothing came for a while. `length`: of the body.

    An early end is not seen here: count. Raises what httpx raises, ReadTimeout after `timeout` seconds of silence.
    """
    body = response.iter_raw()
    connection = direct(response) if length is not None else None
    if connection is None or length is None:
        for data in body:
            yield memoryview(data)
        return
    # Forgotten half read, it would close the connection.
    response.extensions["llama_operator.body"] = body
    first = next(body, b"")
    if first:
        yield memoryview(first)
    yield from _read(response, connection, length - len(first), buffer, timeout)


def direct(response: httpx.Response) -> socket.socket | None:
    """The socket from which the body can be read as it is; None if there is more between than TLS."""
    framed = "Transfer-Encoding" not in response.headers and response.http_version.startswith("HTTP/1")
    stream = response.extensions.get("network_stream")
    if not framed or stream is None or isinstance(stream.get_extra_info("ssl_object"), ssl.SSLObject):
        return None  # the last: TLS in the TLS of a proxy
    found = stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None


def _read(
    response: httpx.Response, connection: socket.socket, left: int, buffer: memoryview, timeout: float
) -> Iterator[memoryview]:
    wait = min(SLICE_SECONDS, timeout)
    connection.settimeout(wait)
    portions = _RECORDS if isinstance(connection, ssl.SSLSocket) else 1
    # Counted in waits and not by a clock: a machine that was suspended has not been patient.
    silent = 0.0
    while left:
        filled, ended = 0, False
        try:
            for _ in range(portions):
                count = connection.recv_into(buffer[filled : min(len(buffer), filled + left)])
                filled, left, ended = filled + count, left - count, count == 0
                if ended or not left or filled == len(buffer):
                    break
        except TimeoutError as error:
            silent = 0.0 if filled else silent + wait
            if silent >= timeout:
                raise httpx.ReadTimeout("The read operation timed out", request=response.request) from error
        except OSError as error:
            raise httpx.ReadError(str(error), request=response.request) from error
        else:
            silent = 0.0
        if ended and not filled:
            return
        yield buffer[:filled]
