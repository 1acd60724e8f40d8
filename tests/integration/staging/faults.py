"""What can go wrong between a server and us, each as a `Fault` for `Origin.script` and `Origin.always`.

All of them answer the request that they are given, and leave the next one alone.
"""

from __future__ import annotations

from email.utils import formatdate

from tests.integration.staging.origin import Exchange, Fault


def cut(after: int) -> Fault:
    """The right answer, but the connection ends after so many bytes of the body."""

    def fault(exchange: Exchange) -> None:
        _promise(exchange)
        exchange.send(_asked_for(exchange)[:after])
        exchange.hang_up()

    return fault


def reset(after: int) -> Fault:
    """Like `cut`, by a TCP reset, as firewalls and dying proxies do it."""

    def fault(exchange: Exchange) -> None:
        _promise(exchange)
        exchange.send(_asked_for(exchange)[:after])
        exchange.reset()

    return fault


def flip(at: int) -> Fault:
    """One bit of byte `at` of the file is wrong, nothing else."""

    def fault(exchange: Exchange) -> None:
        body = bytearray(exchange.data)
        body[at] ^= 1
        exchange.answer(body=bytes(body))

    return fault


def html(status: int = 200) -> Fault:
    """A page instead of the file: a login, a captive portal, a friendly error."""

    def fault(exchange: Exchange) -> None:
        page = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
        exchange.head(status, {"Content-Type": "text/html", "Content-Length": str(len(page))})
        exchange.send(page)

    return fault


def wrong_length(more: int) -> Fault:
    """Content-Length says `more` bytes than come (fewer, if negative)."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Length": str(len(exchange.data) + more), **_tag(exchange)})
        exchange.send(exchange.data)
        exchange.hang_up()

    return fault


def chunked(cut_after: int | None = None) -> Fault:
    """No length, but chunks (RFC 9112, 7.1); without the last one if it is cut."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Transfer-Encoding": "chunked", **_tag(exchange)})
        body = exchange.data[:cut_after]
        for at in range(0, len(body), 1000):
            piece = body[at : at + 1000]
            exchange.raw(f"{len(piece):x}\r\n".encode())
            exchange.send(piece)
            exchange.raw(b"\r\n")
        if cut_after is None:
            exchange.raw(b"0\r\n\r\n")
        else:
            exchange.hang_up()

    return fault


def old_http(cut_after: int | None = None) -> Fault:
    """HTTP/1.0 without a length: a cut cannot be told from the end."""

    def fault(exchange: Exchange) -> None:
        exchange.old_head()
        exchange.send(exchange.data[:cut_after])

    return fault


def changed(data: bytes, etag: str) -> Fault:
    """Somebody publishes another file in the middle: from this request on it is served, too."""

    def fault(exchange: Exchange) -> None:
        assert exchange.file is not None
        exchange.file.data, exchange.file.etag = data, etag
        exchange.answer()

    return fault


def trickle(piece: int, pause: float) -> Fault:
    """So many bytes, then so many seconds nothing, and on: never silent, never done."""

    def fault(exchange: Exchange) -> None:
        _promise(exchange)
        body = _asked_for(exchange)
        for at in range(0, len(body), piece):
            exchange.send(body[at : at + piece])
            if exchange.closing.wait(pause):
                break
        exchange.hang_up()

    return fault


def stall(after: int | None = None) -> Fault:
    """Silence on an open connection: before the first header, or after so many bytes of the body."""

    def fault(exchange: Exchange) -> None:
        if after is not None:
            _promise(exchange)
            exchange.send(_asked_for(exchange)[:after])
        exchange.silence()

    return fault


def status(code: int, **headers: str) -> Fault:
    """An answer without body. Names of headers have _ for -."""

    def fault(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.head(code, {"Content-Length": "0", **named})

    return fault


def busy(code: int = 429, *, seconds: int | None = None, until: float | None = None) -> Fault:
    """Retry-After in seconds, or as a date (`until`, in seconds of the epoch)."""
    value = str(seconds) if until is None else formatdate(until, usegmt=True)
    return status(code, Retry_After=value)


def redirect(to: str, code: int = 302, **headers: str) -> Fault:
    """`to` may be relative."""
    return status(code, Location=to, **headers)


def range_ignored(exchange: Exchange) -> None:
    """The whole file with 200, whatever part was asked for."""
    exchange.answer(ranges=False)


def wrong_range(shift: int) -> Fault:
    """206 whose Content-Range (and body) begins `shift` bytes later than was asked."""

    def fault(exchange: Exchange) -> None:
        length = len(exchange.data)
        part = exchange.part(length, exchange.file.etag if exchange.file else "") or range(length)
        start = min(max(part.start + shift, 0), length - 1)
        body = exchange.data[start:]
        place = f"bytes {start}-{length - 1}/{length}"
        exchange.head(206, {"Content-Length": str(len(body)), "Content-Range": place, **_tag(exchange)})
        exchange.send(body)

    return fault


def noise(exchange: Exchange) -> None:
    """Something that is no HTTP."""
    exchange.raw(b"\x15\x03\x01\x00\x02\x02\x46 not HTTP\r\n\r\n")
    exchange.hang_up()


def _promise(exchange: Exchange) -> None:
    """The right head, for a body that will not come as promised."""
    length = len(exchange.data)
    part = _part(exchange)
    if part is None:
        exchange.head(200, {"Content-Length": str(length), "Accept-Ranges": "bytes", **_tag(exchange)})
        return
    place = f"bytes {part.start}-{part.stop - 1}/{length}"
    exchange.head(206, {"Content-Length": str(len(part)), "Content-Range": place, **_tag(exchange)})


def _asked_for(exchange: Exchange) -> bytes:
    part = _part(exchange)
    return exchange.data if part is None else exchange.data[part.start : part.stop]


def _part(exchange: Exchange) -> range | None:
    return exchange.part(len(exchange.data), exchange.file.etag if exchange.file else "")


def _tag(exchange: Exchange) -> dict[str, str]:
    return {"ETag": exchange.file.etag} if exchange.file and exchange.file.etag else {}
