"""Bytes go both ways, and the end of one direction leaves the other alone."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ground import forward


@asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[int]:
    """The forwarder from a port of its own to `port`; yields its own."""
    listener = socket.create_server((forward.LOOPBACK, 0))
    own = int(listener.getsockname()[1])
    task = asyncio.create_task(forward.serve([(port, listener.detach())]))
    try:
        yield own
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_answer_may_come_after_the_request_has_ended() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(answer, forward.LOOPBACK, 0)
    async with server, forwarding(server.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection(forward.LOOPBACK, port)
        writer.write(b"a" * 1_000_000)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b"A" * 1_000_000
        writer.close()


async def test_where_nobody_listens_the_connection_ends() -> None:
    async with forwarding(forward.free_port()) as port:
        reader, writer = await asyncio.open_connection(forward.LOOPBACK, port)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


def test_an_open_port_is_seen() -> None:
    with socket.create_server((forward.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert forward.is_open(port)
    assert not forward.is_open(port)
