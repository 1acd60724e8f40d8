"""Servers on a loopback port, for what only a real connection shows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import kopf
from aiohttp import web

from llama_operator.kube.connection import Credentials, Header
from llama_operator.kube.transport import Transport

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def http(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """An HTTP server that answers everything with `handler`: its URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(talk: Talk) -> AsyncIterator[str]:
    """A server that says what it wants on each of its connections: its URL."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def head(reader: asyncio.StreamReader) -> str:
    """A request up to its empty line."""
    return (await reader.readuntil(b"\r\n\r\n")).decode()


@asynccontextmanager
async def transport(
    server: str | kopf.ConnectionInfo, credentials: Credentials | None = None, max_connections: int = 4
) -> AsyncIterator[Transport]:
    """To the server at a URL, or as a login gives it."""
    info = kopf.ConnectionInfo(server=server) if isinstance(server, str) else server
    made = Transport(info, credentials or Header({}), max_connections=max_connections)
    try:
        yield made
    finally:
        await made.close()
