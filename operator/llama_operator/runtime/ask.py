"""Asks a stager how far it is, and a server what it serves. What answers is a pod that anybody may have made, so little
is sent, and little of it is read; what is believed of that, `answers` knows.

The session is its own: it has no credentials, no cookies, no proxy, and keeps no connection.
"""

from __future__ import annotations

import ipaddress

import aiohttp

from llama_operator import __version__
from llama_operator.api import sidecar
from llama_operator.api.sidecar import Facts
from llama_operator.api.staging import PROGRESS_PATH, Progress
from llama_operator.constants import PROGRESS_PORT
from llama_operator.runtime import answers
from llama_operator.runtime.answers import NoAnswer

SECONDS = 2.0
"""For a whole question, the connection included."""
LIMIT = 4096
"""Bytes of an answer."""
CONNECTIONS = 16
"""Questions at a time."""


class Asker:
    """Opens nothing before the first question."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def progress(self, address: str) -> Progress:
        """How far the stager of the pod with this address is. Raises `NoAnswer`."""
        return answers.progress(await self.get(f"http://{host(address)}:{PROGRESS_PORT}{PROGRESS_PATH}"))

    async def facts(self, address: str) -> Facts:
        """What the server of the pod with this address serves. Raises `NoAnswer`."""
        return answers.facts(await self.get(f"http://{host(address)}:{sidecar.PORT}{sidecar.FACTS_PATH}"))

    async def get(self, url: str) -> bytes:
        """Raises `NoAnswer`."""
        self._session = self._session or _session()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise NoAnswer(f"status {response.status}")
                return await _read(response.content)
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
