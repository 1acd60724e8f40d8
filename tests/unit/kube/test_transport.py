"""What goes over the wire, and what becomes of an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import kopf
import pytest
from aiohttp import web

from llama_operator import __version__
from llama_operator.kube import kinds
from llama_operator.kube.client import connect
from llama_operator.kube.connection import Header, TokenFile
from llama_operator.kube.transport import Request
from tests.unit.kube import loopback

GET = Request("GET", "/api/v1/pods")
PATCH = Request("PATCH", "/api/v1/pods/a", {"force": "true"}, {"content-type": "application/x"}, b'{"a": 1}')


class Server:
    """Remembers what it was sent; answers the same each time."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.bodies.append(await request.read())
        return web.Response(status=self.status, headers=self.headers, body=b"{}")


@pytest.mark.parametrize(
    "value",
    ["a=b&c=d", "100%", "%2F", "a+b c", "app/name=llama,other", "regarding.uid=7", "eyJ2IjoibWV0YSJ9Cg==", "é#?"],
)
async def test_a_parameter_arrives_as_it_was_meant(value: str) -> None:
    server = Server()
    async with loopback.http(server) as url, loopback.transport(url) as wire:
        await wire.send(Request("GET", "/api/v1/pods", {"continue": value, "limit": "500"}))
    assert dict(server.seen[0].query) == {"continue": value, "limit": "500"}


@pytest.mark.parametrize("name", ["qwen", "system:node", "100%", "a%2Fb", "what?", "é"])
async def test_a_path_arrives_as_it_was_meant(name: str) -> None:
    server = Server()
    async with loopback.http(server) as url, loopback.transport(url) as wire:
        await wire.send(Request("GET", f"/api/v1/pods/{name}"))
    assert server.seen[0].match_info["tail"] == f"api/v1/pods/{name}"


@pytest.mark.parametrize("root", ["", "/", "/k8s/clusters/c-1", "/k8s/clusters/c-1/"])
async def test_an_api_server_may_be_behind_a_path(root: str) -> None:
    server = Server()
    async with loopback.http(server) as url, loopback.transport(url + root) as wire:
        await wire.send(GET)
    assert server.seen[0].path_qs == root.rstrip("/") + "/api/v1/pods"


async def test_the_request_is_sent_with_its_headers_its_body_and_our_name() -> None:
    server = Server()
    async with loopback.http(server) as url, loopback.transport(url, Header({"Authorization": "Basic x"})) as wire:
        await wire.send(PATCH)
    (request,) = server.seen
    assert (request.method, request.path_qs) == ("PATCH", "/api/v1/pods/a?force=true")
    assert request.headers["content-type"] == "application/x"
    assert request.headers["authorization"] == "Basic x"
    assert request.headers["user-agent"] == f"llama-operator/{__version__}"
    assert server.bodies == [b'{"a": 1}']


async def test_the_answer_is_given_whole() -> None:
    async def large(_: web.Request) -> web.Response:
        response = web.Response(status=429, reason="Slow Down", headers={"RETRY-After": "3"}, body=b"x" * 300_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with loopback.http(large) as url, loopback.transport(url) as wire:
        answer = await wire.send(GET)
    assert (answer.status, answer.reason, answer.ok) == (429, "Slow Down", False)
    assert answer.headers["retry-after"] == "3"
    assert answer.content == b"x" * 300_000


@pytest.mark.parametrize(("status", "ok"), [(200, True), (201, True), (302, False), (404, False), (500, False)])
async def test_whatever_is_answered_is_an_answer(status: int, ok: bool) -> None:
    """Also a redirect: our credentials are for nobody else."""
    server = Server(status, {"location": "/elsewhere"})
    async with loopback.http(server) as url, loopback.transport(url) as wire:
        answer = await wire.send(GET)
    assert (answer.status, answer.ok, len(server.seen)) == (status, ok, 1)


async def test_cookies_are_not_kept() -> None:
    """A load balancer's would hold us at one API server, and cost each call a search."""
    server = Server(headers={"set-cookie": "server=1"})
    async with loopback.http(server) as url, loopback.transport(url.replace("127.0.0.1", "localhost")) as wire:
        await wire.send(GET)
        await wire.send(GET)
    assert "cookie" not in server.seen[1].headers


def renew(path: Path, token: str) -> None:
    path.write_text(token)


class TestRefusedCredentials:
    @pytest.fixture
    def token(self, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.write_text("first\n")
        return path

    async def test_the_file_has_a_new_token_by_now(self, token: Path) -> None:
        seen: list[tuple[str, bytes]] = []

        async def api(request: web.Request) -> web.Response:
            seen.append((request.headers["authorization"], await request.read()))
            renew(token, "second")
            return web.Response(status=200 if seen[-1][0] == "Bearer second" else 401)

        async with loopback.http(api) as url, loopback.transport(url, TokenFile(token)) as wire:
            assert (await wire.send(PATCH)).status == 200
            assert (await wire.send(GET)).status == 200
        body = PATCH.body
        assert seen == [("Bearer first", body), ("Bearer second", body), ("Bearer second", b"")]

    async def test_the_file_has_nothing_newer(self, token: Path) -> None:
        server = Server(401)
        async with loopback.http(server) as url, loopback.transport(url, TokenFile(token)) as wire:
            assert (await wire.send(GET)).status == 401
        assert len(server.seen) == 1

    async def test_the_new_token_is_refused_too(self, token: Path) -> None:
        seen: list[str] = []

        async def api(request: web.Request) -> web.Response:
            seen.append(request.headers["authorization"])
            renew(token, f"token-{len(seen)}")
            return web.Response(status=401)

        async with loopback.http(api) as url, loopback.transport(url, TokenFile(token)) as wire:
            assert (await wire.send(GET)).status == 401
        assert seen == ["Bearer first", "Bearer token-1"]


class TestProxies:
    async def test_the_one_of_the_kubeconfig_is_asked(self) -> None:
        asked: list[str] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await loopback.head(reader)).splitlines()[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            writer.close()

        async with loopback.raw(proxy) as url:
            info = kopf.ConnectionInfo(server="http://api.invalid:6443", proxy_url=url)
            async with loopback.transport(info) as wire:
                assert (await wire.send(GET)).ok
        assert asked == ["GET http://api.invalid:6443/api/v1/pods HTTP/1.1"]

    async def test_those_of_the_environment_are_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        async with loopback.http(Server()) as url, loopback.transport(url) as wire:
            assert (await wire.send(GET)).ok


async def test_a_client_is_connected_and_closed() -> None:
    gone = asyncio.Event()

    async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.head(reader)
        body = b'{"metadata": {"resourceVersion": "7"}, "items": []}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        assert await reader.read() == b""
        writer.close()
        gone.set()

    async with loopback.raw(api) as url:
        info = kopf.ConnectionInfo(server=url, token="t")
        client = connect(info, qps=10, burst=10, max_concurrent_writes=1, max_connections=1)
        assert await anext(client.pages(kinds.POD)) == ([], 7)
        assert not gone.is_set()
        await client.close()
        await asyncio.wait_for(gone.wait(), 5)
