"""The few calls to the Kubernetes API that the operator makes, over httpx.

A client library would add tens of MiB to an operator that lists, gets, applies and deletes. No call retries by
itself: the work queue does, with the key's backoff, so that one failing model does not hold up the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import kopf
import msgspec

from llama_operator import __version__, constants
from llama_operator.kube import errors
from llama_operator.kube.connection import credentials
from llama_operator.kube.kinds import EVENT, Kind
from llama_operator.kube.ratelimit import TokenBucket

Object = dict[str, Any]

PAGE = 500
"""Objects per page of a list: bounds the memory of one answer."""
TIMEOUT = httpx.Timeout(30.0)

_APPLY = {"content-type": "application/apply-patch+yaml"}  # JSON is YAML
_MERGE = {"content-type": "application/merge-patch+json"}
_JSON = {"content-type": "application/json"}


class Client:
    """Calls raise `errors.APIError`. `calls` counts them by (verb, kind, code); code 0 had no answer."""

    def __init__(self, http: httpx.AsyncClient, bucket: TokenBucket, max_concurrent_writes: int) -> None:
        self._http = http
        self._bucket = bucket
        self._writes = asyncio.Semaphore(max_concurrent_writes)
        self.calls: Counter[tuple[str, str, int]] = Counter()

    async def list(self, kind: Kind, namespace: str | None = None) -> tuple[list[Object], int]:
        """All objects, and the resource version at which they were so.

        Items of a list have no kind and no apiVersion; they get them here.
        """
        params = {"limit": str(PAGE)} | ({"labelSelector": kind.selector} if kind.selector else {})
        items: list[Object] = []
        while True:
            page = await self._send("list", kind, "GET", kind.path(namespace), params=params)
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or []]
            token = page["metadata"].get("continue")
            if not token:
                return items, int(page["metadata"]["resourceVersion"])
            params["continue"] = token

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self._send("get", kind, "GET", kind.path(namespace, name))

    async def apply(self, kind: Kind, obj: Object) -> Object:
        """Server-side apply: the API server merges by field owner, and makes the object if there is none.

        Forced, because what the spec says wins over whoever changed our fields by hand. With `metadata.uid` in `obj`
        only that very object is changed; otherwise it is a conflict.
        """
        meta = obj["metadata"]
        return await self._send(
            "apply",
            kind,
            "PATCH",
            kind.path(meta["namespace"], meta["name"]),
            params={"fieldManager": constants.FIELD_MANAGER, "force": "true"},
            headers=_APPLY,
            body=obj,
        )

    async def patch_status(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch of the status subresource; `null` removes a key, whoever wrote it."""
        return await self._send(
            "patch_status",
            kind,
            "PATCH",
            kind.path(namespace, name) + "/status",
            params={"fieldManager": constants.FIELD_MANAGER},
            headers=_MERGE,
            body=patch,
        )

    async def delete(self, kind: Kind, obj: Object) -> None:
        """Delete this very object: one of the same name that took its place is a conflict."""
        meta = obj["metadata"]
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": meta["uid"]},
        }
        path = kind.path(meta["namespace"], meta["name"])
        await self._send("delete", kind, "DELETE", path, headers=_JSON, body=options)

    async def create_event(self, event: Object) -> None:
        path = EVENT.path(event["metadata"]["namespace"])
        await self._send("create", EVENT, "POST", path, headers=_JSON, body=event)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        request = self._http.build_request(
            method, path, params=params, headers=headers, content=msgspec.json.encode(body) if body else None
        )
        what = f"{verb} {kind.kind} {path}"
        try:
            response = await self._limited(request)
        except httpx.TransportError as error:
            self.calls[verb, kind.kind, 0] += 1
            raise errors.Retryable(what, 0, "Unreachable", f"{type(error).__name__} {error}".strip()) from error
        self.calls[verb, kind.kind, response.status_code] += 1
        if response.is_success:
            return msgspec.json.decode(response.content, type=dict[str, Any])
        raise errors.from_response(what, response)

    async def _limited(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            await self._bucket.take()
            return await self._http.send(request)
        async with self._writes:
            await self._bucket.take()
            return await self._http.send(request)


def connect(info: kopf.ConnectionInfo, *, qps: float, burst: int, max_concurrent_writes: int) -> Client:
    """A client for the API server that `info` describes."""
    http = httpx.AsyncClient(
        base_url=info.server,
        verify=info.as_ssl_context(),
        auth=credentials(info),
        proxy=info.proxy_url,
        headers={"user-agent": f"llama-operator/{__version__}"},
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=2 * max_concurrent_writes),
        trust_env=False,  # proxies and .netrc of the environment are not meant for the cluster's own API
    )
    return Client(http, TokenBucket(qps, burst), max_concurrent_writes)
