"""Asks a stager how far it is. What answers is a pod that anybody may have made, so little is sent and little believed.

The session is its own: it has no credentials, no cookies, no proxy, and keeps no connection.
"""

from __future__ import annotations

import ipaddress
import re

import aiohttp
import msgspec

from llama_operator import __version__
from llama_operator.api.staging import PROGRESS_PATH, Progress
from llama_operator.constants import PROGRESS_PORT

SECONDS = 2.0
"""For a whole question, the connection included."""
LIMIT = 4096
"""Bytes of an answer."""
CONNECTIONS = 16
"""Questions at a time."""
MOST = 2**53
"""Bytes, or bytes per second: more is no file, and no number that every JSON reader keeps."""

_ROLE = re.compile(r"model|projector|draft|adapter/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class NoAnswer(Exception):
    """Nothing that can be believed: no connection, no time, no progress."""


class Asker:
    """Opens nothing before the first question."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, address: str) -> Progress:
        """`address`: a pod's. Raises `NoAnswer`."""
        return await self.get(f"http://{host(address)}:{PROGRESS_PORT}{PROGRESS_PATH}")

    async def get(self, url: str) -> Progress:
        """Raises `NoAnswer`."""
        self._session = self._session or _session()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise NoAnswer(f"status {response.status}")
                return _believed(await _read(response.content))
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {SECONDS:.0f} s") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise NoAnswer(f"{type(error).__name__} {error}") from error

    async def close(self) -> None:
        if self._session:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=True),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": f"llama-operator/{__version__}", "accept-encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        auto_decompress=False,
        read_bufsize=LIMIT,
    )


def host(address: str) -> str:
    """The address as a URL has it. A pod's status is no proof that it is a pod's: the node's own addresses are none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise NoAnswer(f"{address!r} is not an address") from error
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_link_local or ip.is_loopback or ip.is_multicast or ip.is_unspecified:
        raise NoAnswer(f"{address} is not a pod's address")
    return f"[{ip}]" if ip.version == 6 else str(ip)


async def _read(content: aiohttp.StreamReader) -> bytes:
    answer = b""
    while chunk := await content.read(LIMIT + 1 - len(answer)):
        answer += chunk
        if len(answer) > LIMIT:
            raise NoAnswer(f"more than {LIMIT} bytes")
    return answer


def _believed(answer: bytes) -> Progress:
    """Numbers that make sense, and a role that a file can have: it is all that gets into a status."""
    try:
        progress = msgspec.json.decode(answer, type=Progress)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise NoAnswer(str(error)) from error
    if not _ROLE.fullmatch(progress.role):
        raise NoAnswer("no such role")
    if not all(0 <= number <= MOST for number in (progress.bytes, progress.total, progress.rate)):
        raise NoAnswer("numbers without sense")
    if progress.total and progress.bytes > progress.total:
        raise NoAnswer("more than all")
    return progress
