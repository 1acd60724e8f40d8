"""The few calls to the Kubernetes API that the operator makes.

A client library would add tens of MiB to an operator that lists, gets, applies and deletes. No call retries by
itself: the work queue does, with the key's backoff, so that one failing model does not hold up the others.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import kopf
import msgspec

from llama_operator import constants
from llama_operator.kube import errors
from llama_operator.kube.connection import credentials
from llama_operator.kube.kinds import EVENT, LEASE, POD, Kind
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request, Send, Transport, TransportError

Object = dict[str, Any]

PAGE = 100
"""Objects per page of a list: bounds the memory of one answer, which Python does not give back."""
EVENTS = 100
"""Events that are read about one object."""

NO_VERSION = "1"
"""A resource version that no object has: an apply with it makes an object, and is a conflict where there is one.

Server-side apply has no other way to say "only if it is not there", and would take over by force what somebody else
has made. (Versions are etcd's revisions, and 1 is the one before the first write.)
"""

_APPLY = {"content-type": "application/apply-patch+yaml"}  # JSON is YAML
_MERGE = {"content-type": "application/merge-patch+json"}
_JSON = {"content-type": "application/json"}
_JSON_PATCH = {"content-type": "application/json-patch+json"}
_STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}


async def _nothing() -> None: ...


class Client:
    """Calls raise `errors.APIError`. `calls` counts them by (verb, kind, code); code 0 had no answer."""

    def __init__(
        self,
        send: Send,
        bucket: TokenBucket,
        max_concurrent_writes: int,
        close: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._wire = send
        self._bucket = bucket
        self._writes = asyncio.Semaphore(max_concurrent_writes)
        self.close = close
        """Ends the connections behind `send`."""
        self.calls: Counter[tuple[str, str, int]] = Counter()
        self.took: Callable[[str, float], None] = lambda verb, seconds: None
        """Is told of each call that has ended, well or not; the wait for our own limits is not part of it."""
        self.may_write: Callable[[], bool] = lambda: True
        """Is asked at the last moment before each write: a leader may have lost its Lease while it waited. Writes of
        the Lease itself are not asked about, and wait for none of our limits."""

    async def pages(self, kind: Kind, namespace: str | None = None) -> AsyncIterator[tuple[list[Object], int]]:
        """All objects, a page at a time, each with the resource version at which all of them were so.

        Items of a list have no kind and no apiVersion; they get them here.
        """
        params = {"limit": str(PAGE)} | ({"labelSelector": kind.selector} if kind.selector else {})
        while True:
            page = await self._send("list", kind, "GET", kind.path(namespace), params=params)
            items = [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or []]
            yield items, int(page["metadata"]["resourceVersion"])
            params["continue"] = page["metadata"].get("continue") or ""
            if not params["continue"]:
                return

    async def probe(self, kind: Kind, namespace: str | None = None) -> None:
        """Ask for one object at most. Raises what `pages` would raise."""
        await self._send("list", kind, "GET", kind.path(namespace), params={"limit": "1"})

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self._send("get", kind, "GET", kind.path(namespace, name))

    async def apply(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply: the API server merges by field owner, and makes the object if there is none.

        Forced, because what the spec says wins over whoever changed our fields by hand. With `metadata.uid` or
        `metadata.resourceVersion` in `obj` only that very object, or version, is changed; otherwise it is a conflict.
        `dry_run`: nothing is changed, and the answer is what would come of it.
        """
        meta = obj["metadata"]
        return await self._send(
            "apply",
            kind,
            "PATCH",
            kind.path(meta["namespace"], meta["name"]),
            params={"fieldManager": constants.FIELD_MANAGER, "force": "true"} | ({"dryRun": "All"} if dry_run else {}),
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

    async def patch(self, kind: Kind, seen: Object, patch: Object) -> Object:
        """Merge-patch of this very version of an object. It makes us an owner of what it changes, beside `apply`."""
        meta = seen["metadata"]
        return await self._send(
            "patch",
            kind,
            "PATCH",
            kind.path(meta["namespace"], meta["name"]),
            params={"fieldManager": constants.FIELD_MANAGER},
            headers=_MERGE,
            body=patch | {"metadata": {**patch.get("metadata", {}), "resourceVersion": meta["resourceVersion"]}},
        )

    async def resize(self, pod: Object, container: str, resources: Object) -> Object:
        """Ask for other resources of one container of this very pod, which goes on meanwhile; what `resources` does not
        name stays.

        Raises `errors.NotFound` also where the API server has no such subresource: Kubernetes before 1.33.
        """
        meta = pod["metadata"]
        return await self._send(
            "resize",
            POD,
            "PATCH",
            POD.path(meta["namespace"], meta["name"]) + "/resize",
            params={"fieldManager": constants.FIELD_MANAGER},
            headers=_STRATEGIC,
            body={
                "metadata": {"uid": meta["uid"]},
                "spec": {"containers": [{"name": container, "resources": resources}]},
            },
        )

    async def disown(self, kind: Kind, obj: Object) -> None:
        """Give up what `patch` has made ours; what `apply` has, stays. Raises `errors.Invalid` if `obj` is late.

        Not bound to the version: a controller that writes the status all the time is no reason against it.
        """
        meta = obj["metadata"]
        owners = [(entry["manager"], entry["operation"], "subresource" in entry) for entry in meta["managedFields"]]
        if (ours := (constants.FIELD_MANAGER, "Update", False)) not in owners:
            return
        entry = f"/metadata/managedFields/{owners.index(ours)}"
        operations = [
            {"op": "test", "path": f"{entry}/manager", "value": constants.FIELD_MANAGER},
            {"op": "test", "path": f"{entry}/operation", "value": "Update"},
            {"op": "remove", "path": entry},
        ]
        path = kind.path(meta["namespace"], meta["name"])
        await self._send("patch", kind, "PATCH", path, headers=_JSON_PATCH, body=operations)

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

    async def list_events(self, namespace: str, kind: str, name: str, uid: str = "") -> Sequence[Object]:
        """Events about one object; about all that had this name, where its uid is not known.

        The first `EVENTS` of them, in no order. The recorders of Kubernetes write far fewer about one object before
        they expire.
        """
        about = f"regarding.uid={uid}" if uid else f"regarding.kind={kind},regarding.name={name}"
        params = {"fieldSelector": about, "limit": str(EVENTS)}
        page = await self._send("list", EVENT, "GET", EVENT.path(namespace), params=params)
        return page.get("items") or []

    async def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> None:
        """Make it; a conflict if there is one of its name."""
        await self._send(
            "create",
            kind,
            "POST",
            kind.path(obj["metadata"]["namespace"]),
            params={"dryRun": "All"} if dry_run else {},
            headers=_JSON,
            body=obj,
        )

    async def _send(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: Object | Sequence[Object] | None = None,
    ) -> Object:
        request = Request(method, path, params or {}, headers or {}, _encoded(body) if body else None)
        what = f"{verb} {kind.kind} {path}"
        try:
            answer = await self._limited(verb, kind, request)
        except TransportError as error:
            self.calls[verb, kind.kind, 0] += 1
            raise errors.Retryable(what, 0, "Unreachable", str(error)) from error
        self.calls[verb, kind.kind, answer.status] += 1
        if answer.ok:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        raise errors.from_response(what, answer)

    async def _limited(self, verb: str, kind: Kind, request: Request) -> Answer:
        if kind is LEASE:  # one call now and then, and a leader who waits behind his own burst ends
            return await self._timed(verb, request)
        if request.method == "GET":
            await self._bucket.take()
            return await self._timed(verb, request)
        async with self._writes:
            await self._bucket.take()
            if not self.may_write():
                raise errors.Retryable(f"{verb} {request.path}", 0, "NotLeader", "not sent: the Lease is not ours")
            return await self._timed(verb, request)

    async def _timed(self, verb: str, request: Request) -> Answer:
        started = time.monotonic()
        try:
            return await self._wire(request)
        finally:
            self.took(verb, time.monotonic() - started)


_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON allows in a text and YAML refuses, or takes for the end of a line."""


def _encoded(body: Object | Sequence[Object]) -> bytes:
    """JSON that is YAML, too: the API server reads an apply as YAML."""
    text = msgspec.json.encode(body).decode()
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def connect(
    info: kopf.ConnectionInfo, *, qps: float, burst: int, max_concurrent_writes: int, max_connections: int
) -> Client:
    """A client for the API server that `info` describes. To be called in a running event loop."""
    transport = Transport(info, credentials(info), max_connections=max_connections)
    return Client(transport.send, TokenBucket(qps, burst), max_concurrent_writes, transport.close)
