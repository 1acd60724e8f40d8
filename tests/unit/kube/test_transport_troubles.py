"""Connections that break, servers that say nothing, callers that give up; and TLS."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import kopf
import pytest
from aiohttp import web

from llama_operator.kube import transport
from llama_operator.kube.transport import Request, TransportError
from tests.unit.kube import loopback

GET = Request("GET", "/api/v1/pods")
PATCH = Request("PATCH", "/api/v1/pods/a", body=b"{}")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        async with loopback.transport(f"http://127.0.0.1:{taken.getsockname()[1]}") as wire:
            with pytest.raises(TransportError, match="ClientConnectorError Cannot connect to host"):
                await wire.send(GET)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "ServerDisconnectedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "ServerDisconnectedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "ClientPayloadError"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "ClientResponseError"),
    ],
    ids=["nothing", "half a head", "half a body", "no HTTP"],
)
async def test_no_answer_or_half_of_one(said: bytes, error: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.head(reader)
        writer.write(said)
        writer.close()

    async with loopback.raw(talk) as url, loopback.transport(url) as wire:
        with pytest.raises(TransportError, match=error):
            await wire.send(PATCH)


class Peers:
    """Remembers which connections it was asked over."""

    def __init__(self) -> None:
        self.peers: set[object] = set()

    async def __call__(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        return web.Response()


class Rude:
    """Closes its first connection when it is asked over it for the second time."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = not self.asked
        self.asked.append((await loopback.head(reader)).split()[0])
        writer.write(OK)
        if first:
            self.asked.append((await loopback.head(reader)).split()[0])
        writer.close()


class TestKeptConnections:
    async def test_many_calls_use_one(self) -> None:
        server = Peers()
        async with loopback.http(server) as url, loopback.transport(url) as wire:
            for request in (GET, PATCH, GET):
                assert (await wire.send(request)).ok
        assert len(server.peers) == 1

    async def test_there_are_no_more_than_allowed(self) -> None:
        server = Peers()
        async with loopback.http(server) as url, loopback.transport(url, max_connections=2) as wire:
            answers = await asyncio.gather(*(wire.send(GET) for _ in range(6)))
        assert [answer.status for answer in answers] == [200] * 6
        assert len(server.peers) == 2

    async def test_one_that_the_server_has_closed_is_not_used_again(self) -> None:
        connections = 0
        noticed = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await loopback.head(reader)
            writer.write(OK)
            writer.write_eof()
            assert await reader.read() == b""  # closed from the other side too
            noticed.set()
            writer.close()

        async with loopback.raw(talk) as url, loopback.transport(url) as wire:
            await wire.send(GET)
            await asyncio.wait_for(noticed.wait(), 5)
            assert (await wire.send(PATCH)).ok
        assert connections == 2

    async def test_a_read_is_repeated_where_one_is_closed_under_it(self) -> None:
        server = Rude()
        async with loopback.raw(server) as url, loopback.transport(url) as wire:
            await wire.send(GET)
            assert (await wire.send(GET)).ok
        assert server.asked == ["GET", "GET", "GET"]

    async def test_a_write_is_not(self) -> None:
        """It may have been done: whoever wanted it looks first."""
        server = Rude()
        async with loopback.raw(server) as url, loopback.transport(url) as wire:
            await wire.send(GET)
            with pytest.raises(TransportError, match="ServerDisconnectedError"):
                await wire.send(PATCH)
        assert server.asked == ["GET", "PATCH"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"], ids=["nothing", "half"])
async def test_a_server_that_says_nothing_more_is_given_up(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", 0.2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.head(reader)
        writer.write(said)
        await reader.read()
        writer.close()

    async with loopback.raw(talk) as url, loopback.transport(url) as wire:
        with pytest.raises(TransportError, match="no answer within"):
            await asyncio.wait_for(wire.send(GET), 5)


class TestCallersThatGiveUp:
    """They see what they did themselves, and leave no connection behind."""

    async def test_by_cancelling(self) -> None:
        asked, gone = asyncio.Event(), asyncio.Event()
        silent = True

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await loopback.head(reader)
            if silent:
                asked.set()
                assert await reader.read() == b""
                gone.set()
            else:
                writer.write(OK)
            writer.close()

        async with loopback.raw(talk) as url, loopback.transport(url, max_connections=1) as wire:
            call = asyncio.create_task(wire.send(GET))
            await asyncio.wait_for(asked.wait(), 5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(gone.wait(), 5)
            silent = False
            assert (await asyncio.wait_for(wire.send(GET), 5)).ok

    async def test_by_a_time_limit_of_their_own(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with loopback.raw(talk) as url, loopback.transport(url) as wire:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await wire.send(GET)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates that sign themselves: `server.{crt,key}` and `client.{crt,key}`."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    home = tmp_path_factory.mktemp("pki")
    for name in ("server", "client"):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
        files = ["-keyout", str(home / f"{name}.key"), "-out", str(home / f"{name}.crt")]
        subprocess.run(
            ["openssl", "req", "-x509", *key, *subject, *usage, *files, "-days", "2"], check=True, capture_output=True
        )
    return home


class TestTLS:
    @pytest.fixture
    def tls(self, pki: Path) -> ssl.SSLContext:
        """A server that wants a client's certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "client.crt")
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def test_both_sides_prove_who_they_are(self, pki: Path, tls: ssl.SSLContext) -> None:
        seen: list[object] = []

        async def api(request: web.Request) -> web.Response:
            assert request.transport is not None
            seen.append(request.transport.get_extra_info("peercert")["subject"])
            return web.Response()

        async with loopback.http(api, tls) as url:
            info = kopf.ConnectionInfo(
                server=url,
                ca_path=pki / "server.crt",
                certificate_path=pki / "client.crt",
                private_key_path=pki / "client.key",
            )
            async with loopback.transport(info) as wire:
                assert (await wire.send(GET)).ok
        assert seen == [((("commonName", "client"),),)]

    async def test_a_server_that_another_ca_vouches_for_is_not_asked(self, pki: Path, tls: ssl.SSLContext) -> None:
        async def api(_: web.Request) -> web.Response:
            raise AssertionError("was asked")

        async with (
            loopback.http(api, tls) as url,
            loopback.transport(kopf.ConnectionInfo(server=url, ca_path=pki / "client.crt")) as wire,
        ):
            with pytest.raises(TransportError, match="ClientConnectorCertificateError"):
                await wire.send(GET)
