"""Bring loopback ports of the engine's network namespace to the same ports of the host's loopback.

The process that does it is the engine's name server, too (see names.py).

The listening sockets are opened on the host and handed to a process that runs in the engine's network and pid
namespaces: a socket belongs to the namespace it was opened in, what that process opens itself belongs to the
engine's. As the process is in the engine's pid namespace, it cannot outlive the engine.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable

from ground import engine, names, paths, shell

PID_FILE = paths.STATE / "engine" / "forward.pid"
LOG = paths.LOGS / "forward.log"
LOOPBACK = "127.0.0.1"
BUFFER_BYTES = 65536


def start(ports: Iterable[int]) -> None:
    """Forward these ports, instead of those so far, until the engine ends. A taken port raises GroundError."""
    stop()
    listeners = [(port, _listen(port)) for port in ports]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [*engine.inside("net", "pid"), sys.executable, "-m", "ground.forward"]
            + [f"{port}={listener.fileno()}" for port, listener in listeners],
            cwd=paths.REPO,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno() for _, listener in listeners],
            start_new_session=True,
        )
    PID_FILE.write_text(f"{process.pid}\n")
    for _, listener in listeners:
        listener.close()


def stop() -> None:
    """End the forwarder, if there is one; with an engine that ends it ends by itself."""
    inner = engine.child(PID_FILE, "ground.forward")
    if inner is not None:
        outer = int(PID_FILE.read_text())
        os.kill(inner, signal.SIGKILL)  # it has nothing to put in order
        engine.await_end(outer)
    PID_FILE.unlink(missing_ok=True)


def free_port() -> int:
    """A port of the host's loopback that nobody listens on at this moment."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens on this port of the host's loopback."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except OSError as error:
        raise shell.GroundError(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}") from error


async def serve(pairs: Iterable[tuple[int, int]]) -> None:
    """Relay the connections of each listening descriptor to its port."""
    servers = []
    for port, descriptor in pairs:
        listener = socket.socket(fileno=descriptor)

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
            await _relay(port, reader, writer)

        servers.append(await asyncio.start_server(relay, sock=listener))
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        writer.transport.abort()  # as if nobody listened here either
        return
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        far_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction; its end is passed on, the other direction may go on (TCP's half-close)."""
    try:
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


def main(words: list[str]) -> None:
    """Entry point of the forwarding process: PORT=DESCRIPTOR for every port."""
    pairs = [(int(port), int(descriptor)) for port, _, descriptor in (word.partition("=") for word in words)]
    for _, descriptor in pairs:
        os.set_inheritable(descriptor, False)
    asyncio.run(_serve_with_names(pairs))


async def _serve_with_names(pairs: Iterable[tuple[int, int]]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(names.NoSuchName, local_addr=(LOOPBACK, names.PORT))
    await serve(pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
