"""Asking a pod over HTTP: a real server that answers well, with other codes, too much, or not at all."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from llama_operator.runtime import ask
from llama_operator.runtime.answers import NoAnswer
from llama_operator.runtime.ask import Asker, host

GOOD = {"phase": "downloading", "role": "model", "bytes": 5, "total": 10, "rate": 1}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Serves one handler at /progress; `seen` are the requests for any path."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.handler: Handler = say(GOOD)
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await self.handler(request)


def say(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=content, status=status, headers=headers)

    return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{port}/progress"
    yield server
    await runner.cleanup()


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    asker = Asker()
    yield asker
    await asker.close()


async def test_an_answer_is_what_was_said(server: Server, asker: Asker) -> None:
    assert json.loads(await asker.get(server.url)) == GOOD


async def test_nothing_of_ours_is_sent(server: Server, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.handler = say(GOOD, headers={"Set-Cookie": "a=b"})
    await asker.get(server.url)
    await asker.get(server.url)
    names = {name.lower() for request in server.seen for name in request.headers}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(server: Server, asker: Asker, status: int) -> None:
    server.handler = say(GOOD, status, {"Location": "/elsewhere"})
    with pytest.raises(NoAnswer, match=str(status)):
        await asker.get(server.url)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [204, 404, 500])
async def test_other_codes_are_no_answer(server: Server, asker: Asker, status: int) -> None:
    server.handler = say(GOOD, status)
    with pytest.raises(NoAnswer, match=str(status)):
        await asker.get(server.url)


async def test_an_endless_answer_is_cut(server: Server, asker: Asker) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 1024)

    server.handler = endless
    with pytest.raises(NoAnswer, match="more than 4096 bytes"):
        await asker.get(server.url)


async def test_what_is_packed_stays_packed(server: Server, asker: Asker) -> None:
    """Unpacked, a few bytes can be any number."""
    packed = gzip.compress(json.dumps(GOOD).encode())
    server.handler = say(packed, headers={"Content-Encoding": "gzip"})
    assert await asker.get(server.url) == packed


@pytest.mark.parametrize("begins", [False, True])
async def test_silence_is_not_waited_for(
    server: Server, asker: Asker, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    monkeypatch.setattr(ask, "SECONDS", 0.1)

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if begins:
            await response.prepare(request)
            await response.write(b"{")
        await asyncio.Event().wait()
        return response

    server.handler = silent
    with pytest.raises(NoAnswer, match="no answer within"):
        await asker.get(server.url)


async def test_nobody_there_is_no_answer(server: Server, asker: Asker) -> None:
    with pytest.raises(NoAnswer):
        await asker.get("http://127.0.0.1:1/progress")


@pytest.mark.parametrize(
    ("address", "written"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]"), ("::ffff:10.0.0.7", "10.0.0.7")]
)
def test_addresses(address: str, written: str) -> None:
    assert host(address) == written


@pytest.mark.parametrize(
    "address",
    [
        *("", "a.example.com", "10.0.0.7:80", "10.0.0.7/x", "127.0.0.1", "::1", "169.254.169.254"),
        *("::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "::"),
    ],
)
async def test_what_is_no_pods_address_is_not_asked(asker: Asker, address: str) -> None:
    with pytest.raises(NoAnswer, match="address"):
        await asker.progress(address)
    with pytest.raises(NoAnswer, match="address"):
        await asker.facts(address)
