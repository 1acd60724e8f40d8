"""The wire: a request to the API server and its answer, over aiohttp, which kopf has loaded already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
import kopf
from yarl import URL

from llama_operator import __version__
from llama_operator.kube.connection import Credentials

TIMEOUT = 30.0
"""Seconds for a whole call: for a free connection, the request, and the last byte of the answer."""


class TransportError(Exception):
    """There was no answer, or not all of it. The request may have been served."""


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `params` as they are meant; the wire encodes them."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Any answer, also a refusal. Names of `headers` are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


Send = Callable[[Request], Awaitable[Answer]]
"""One call. Raises `TransportError`."""


class Transport:
    """Connections to one API server, at most `max_connections` of them. To be made in a running event loop."""

    def __init__(self, info: kopf.ConnectionInfo, credentials: Credentials, *, max_connections: int) -> None:
        self._base = URL(info.server)
        self._root = self._base.path.rstrip("/")  # of an API server behind a path of a proxy
        self._credentials = credentials
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=max_connections),
            proxy=info.proxy_url,
            trust_env=False,  # proxies and .netrc of the environment are not meant for the cluster's own API
            headers={"user-agent": f"llama-operator/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        )

    async def send(self, request: Request) -> Answer:
        """Send it; if our credentials are refused and there are others by now, once more with those."""
        used = self._credentials.headers()
        answer = await self._exchange(request, used)
        if answer.status == 401 and (fresh := self._credentials.headers(fresh=True)) != used:
            answer = await self._exchange(request, fresh)
        return answer

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(self, request: Request, proof: Mapping[str, str]) -> Answer:
        """aiohttp repeats a GET or DELETE whose kept connection the server has just closed, and nothing else."""
        url = self._base.with_path(self._root + request.path).with_query(request.params)
        headers = {**request.headers, **proof}
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=request.body, allow_redirects=False
            ) as response:
                content = await response.read()
        except TimeoutError as error:  # before ClientError: some of aiohttp's are both
            raise TransportError(f"no answer within {TIMEOUT:.0f} s") from error
        except aiohttp.ClientError as error:
            raise TransportError(f"{type(error).__name__} {error}".strip()) from error
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, response.reason or "", names, content)
