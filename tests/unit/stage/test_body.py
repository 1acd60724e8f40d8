"""Reading a body straight from its socket: with TLS, cut, silent, crawling, and where it cannot be done."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from llama_operator.stage.context import Policy
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.store.room import Room
from llama_operator.stage.store.work import Work
from llama_operator.stage.transfer import body, remote
from llama_operator.stage.transfer.fetch import Fetch
from llama_operator.stage.transfer.partial import Partial
from tests.gguf_files import gguf_file
from tests.unit.stage.ranges import Ask, Reply, serving
from tests.unit.stage.support import MIB, Stager, sha256

MODEL = gguf_file(MIB)
DIGEST = sha256(MODEL)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for 127.0.0.1 in one file."""
    folder = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    words += f" -addext subjectAltName=IP:127.0.0.1 -keyout {folder}/key -out {folder}/certificate"
    subprocess.run(words.split(), check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return both


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def first(change: Callable[[Reply], Reply]) -> Callable[[Ask, Reply], Reply]:
    return lambda ask, reply: change(reply) if ask.number == 0 else reply


def failure(stager: Stager, url: str) -> Failure:
    with pytest.raises(Failure) as caught:
        stager.url(url)
    assert stager.published() == []
    return caught.value


def test_tls_is_read_directly_and_resumed(
    stager: Stager, context: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(httpx.Response, "iter_raw", _beginning(httpx.Response.iter_raw))
    with serving(MODEL, tls=context) as server:
        server.twist = first(lambda reply: replace(reply, cut=3 * MIB + 5))
        assert stager.url(server.url()).sha256 == DIGEST
        assert [ask.start for ask in server.asked] == [0, 3 * MIB + 5]
        assert server.sent == len(MODEL)


def _beginning(whole: Callable[..., Any]) -> Callable[..., Any]:
    """httpx may bring what it has read with the headers, and one portion at most."""

    def iterate(response: httpx.Response) -> Any:
        for number, data in enumerate(whole(response)):
            assert number == 0, "the body came through httpx"
            yield data

    return iterate


def test_an_untrusted_certificate_is_told(stager: Stager, context: ssl.SSLContext) -> None:
    with serving(MODEL, tls=context) as server:
        found = failure(stager, server.url())
    assert found.reason is Reason.SOURCE_UNREACHABLE
    assert "certificate is not trusted" in found.message


def test_a_name_that_does_not_resolve_is_told(stager: Stager) -> None:
    found = failure(stager, "http://nowhere.invalid/m.gguf")
    assert found.reason is Reason.SOURCE_UNREACHABLE
    assert "DNS" in found.message


def test_silence_is_counted_in_waits_and_ends(stager: Stager) -> None:
    """The test's clock stands still: a clock that jumps can neither hide silence nor invent it."""
    stager.policy = Policy(attempts=1, read_timeout=0.3)
    over = threading.Event()
    with serving(MODEL) as server:
        server.twist = first(lambda reply: replace(reply, before=lambda sent: over.wait() if sent >= MIB else None))
        found = failure(stager, server.url())
        over.set()
    assert found.reason is Reason.SOURCE_UNREACHABLE
    assert "silent too long" in found.message
    assert sum(part.stat().st_size for part in stager.parts()) == MIB


def test_pauses_shorter_than_the_patience_are_no_silence(stager: Stager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader looks up in between, and goes on."""
    monkeypatch.setattr(body, "SLICE_SECONDS", 0.01)
    looked = threading.Event()
    looks: list[float] = []

    def clock() -> float:
        looks.append(0.0)
        if len(looks) > 500:
            looked.set()
        return 0.0

    stager.monotonic = clock
    with serving(MODEL) as server:
        server.twist = first(lambda reply: replace(reply, before=lambda sent: looked.wait() if sent >= MIB else None))
        assert stager.url(server.url()).sha256 == DIGEST
        assert len(server.asked) == 1


def test_a_reset_connection_is_resumed(stager: Stager) -> None:
    with serving(MODEL) as server:

        def reset(ask: Ask, reply: Reply) -> Reply:
            def before(sent: int) -> None:
                if ask.number == 0 and sent >= 2 * MIB:
                    # With nothing left to send, SO_LINGER 0 makes closing a reset.
                    ask.connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
                    raise ConnectionAbortedError

            return replace(reply, before=before)

        server.twist = reset
        assert stager.url(server.url()).sha256 == DIGEST
        assert len(server.asked) == 2
        assert server.asked[1].start > 0


def test_chunked_bodies_go_through_httpx(stager: Stager) -> None:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (MODEL[:MIB], MODEL[MIB:])) + b"0\r\n\r\n"
    with serving(MODEL) as server:
        headers = {"Content-Length": "", "Transfer-Encoding": "chunked"}
        server.twist = first(lambda reply: replace(reply, body=framed, headers=headers))
        assert stager.url(server.url()).sha256 == DIGEST


@pytest.mark.parametrize("length", ["", str(len(MODEL))])
def test_bytes_behind_the_end_are_not_the_files(stager: Stager, length: str) -> None:
    """With a length they are none of this answer; without, only the structure can tell."""
    with serving(MODEL + b"more") as server:
        server.twist = lambda ask, reply: replace(
            reply, headers={"Content-Length": length, "ETag": '"v1"'}, cut=len(reply.body)
        )
        if length:
            assert stager.url(server.url()).sha256 == DIGEST
        else:
            assert stager.url(server.url()).bytes == len(MODEL) + 4


def test_more_than_was_listed_is_refused(stager: Stager, tmp_path: Path) -> None:
    """The hub's list says how long the file is where its server does not."""
    context = stager.context()
    with serving(MODEL) as server, remote.client(context.policy) as http:
        server.twist = lambda ask, reply: replace(reply, headers={"Content-Length": ""}, cut=len(reply.body))
        with Partial(tmp_path / "x.part", context) as part:
            listed = remote.Remote(server.url(), size=len(MODEL) - 1)
            fetch = Fetch(http, listed, part, Room(Work(tmp_path, context), tmp_path, 0, stager.log.append), context)
            with pytest.raises(Failure, match=f"sends more than the file's {len(MODEL) - 1} bytes"):
                fetch.run()
