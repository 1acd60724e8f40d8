"""The server of the tests does what it is told, and nothing else: seen by another client than the stager's."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.staging import faults
from tests.integration.staging.authority import Authority
from tests.integration.staging.origin import Fault, Origin

DATA = bytes(range(256)) * 40


@contextmanager
def answer(origin: Origin, method: str = "GET", path: str = "/f", **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", origin.server_port, timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    yield connection.getresponse()
    connection.close()


def test_a_well_server_follows_the_rules(origin: Origin) -> None:
    origin.serve("/f", DATA, headers={"X-Mine": "yes"})
    with answer(origin) as whole:
        assert (whole.status, whole.read(), whole.headers["ETag"], whole.headers["X-Mine"]) == (
            200,
            DATA,
            '"v1"',
            "yes",
        )
    with answer(origin, "HEAD") as head:
        assert (head.headers["Content-Length"], head.read()) == (str(len(DATA)), b"")
    with answer(origin, path="/other") as missing:
        assert missing.status == 404
    assert origin.sent == len(DATA)
    assert [one.method for one in origin.requests("/f")] == ["GET", "HEAD"]
    assert len(origin.requests()) == 3


@pytest.mark.parametrize(
    ("asked", "if_range", "status", "place", "body"),
    [
        ("bytes=10-19", None, 206, "bytes 10-19/10240", DATA[10:20]),
        ("bytes=10230-", None, 206, "bytes 10230-10239/10240", DATA[10230:]),
        ("bytes=10230-99999", None, 206, "bytes 10230-10239/10240", DATA[10230:]),
        ("bytes=-5", None, 206, "bytes 10235-10239/10240", DATA[-5:]),
        ("bytes=10240-", None, 416, "bytes */10240", b""),
        ("bytes=10-19", '"v1"', 206, "bytes 10-19/10240", DATA[10:20]),
        ("bytes=10-19", '"v0"', 200, None, DATA),
        ("lines=1", None, 200, None, DATA),
    ],
)
def test_ranges(origin: Origin, asked: str, if_range: str | None, status: int, place: str | None, body: bytes) -> None:
    origin.serve("/f", DATA)
    with answer(origin, Range=asked, **({"If_Range": if_range} if if_range else {})) as part:
        assert (part.status, part.headers["Content-Range"], part.read()) == (status, place, body)


def test_a_script_is_played_once_and_in_order(origin: Origin) -> None:
    origin.serve("/f", DATA)
    origin.script("/f", faults.status(503), faults.busy(seconds=7), faults.redirect("/g", 307))
    for status, name, value in ((503, "Retry-After", None), (429, "Retry-After", "7"), (307, "Location", "/g")):
        with answer(origin) as one:
            assert (one.status, one.headers[name]) == (status, value)
    with answer(origin) as well:
        assert well.read() == DATA


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (faults.flip(3), DATA[:3] + b"\x02" + DATA[4:]),
        (faults.html(), b"<!DOCTYPE html><html><body>Please sign in</body></html>"),
        (faults.wrong_length(-1), DATA[:-1]),
        (faults.chunked(), DATA),
        (faults.old_http(), DATA),
        (faults.old_http(100), DATA[:100]),
        (faults.trickle(1000, 0.0), DATA),
        (faults.changed(b"new", '"v2"'), b"new"),
    ],
)
def test_faults_that_look_like_answers(origin: Origin, fault: Fault, body: bytes) -> None:
    origin.serve("/f", DATA)
    origin.script("/f", fault)
    with answer(origin) as one:
        assert (one.status, one.read()) == (200, body)


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (faults.range_ignored, 200, DATA),
        (faults.wrong_range(2), 206, DATA[12:]),
        (faults.changed(b"new", '"v2"'), 200, b"new"),
        (faults.trickle(1000, 0.0), 206, DATA[10:]),
    ],
)
def test_faults_of_a_part(origin: Origin, fault: Fault, status: int, body: bytes) -> None:
    origin.serve("/f", DATA)
    origin.script("/f", fault)
    with answer(origin, Range="bytes=10-", If_Range='"v1"') as one:
        assert (one.status, one.read()) == (status, body)


@pytest.mark.parametrize("fault", [faults.cut(100), faults.wrong_length(5), faults.chunked(100)])
def test_what_ends_early_is_noticed(origin: Origin, fault: Fault) -> None:
    origin.serve("/f", DATA)
    origin.script("/f", fault)
    with answer(origin) as one, pytest.raises(http.client.IncompleteRead):
        one.read()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.reset(100), ConnectionResetError),
        (faults.noise, http.client.BadStatusLine),
        (faults.stall(), TimeoutError),
        (faults.stall(100), TimeoutError),
    ],
)
def test_broken_and_silent_connections(origin: Origin, fault: Fault, error: type[Exception]) -> None:
    origin.serve("/f", DATA)
    origin.script("/f", fault)
    connection = http.client.HTTPConnection("127.0.0.1", origin.server_port, timeout=0.2)
    connection.request("GET", "/f")
    with pytest.raises(error):
        connection.getresponse().read()
    connection.close()


def test_certificates_are_right_or_wrong_as_named(trusted: Authority) -> None:
    client = ssl.create_default_context(cafile=str(trusted.bundle))
    folders = {
        "": trusted.issue("right"),
        "mismatch": trusted.issue("elsewhere", "DNS:elsewhere.invalid"),
        "expired": trusted.issue("expired", expired=True),
    }
    for problem, folder in folders.items():
        with Origin(folder) as origin:
            origin.serve("/f", DATA)
            connection = http.client.HTTPSConnection("localhost", origin.server_port, context=client, timeout=5)
            if problem:
                with pytest.raises(ssl.SSLCertVerificationError, match=problem):
                    connection.request("GET", "/f")
                assert origin.requests() == []
            else:
                connection.request("GET", "/f")
                assert connection.getresponse().read() == DATA
            connection.close()
