"""An API server of a few lines, for tests without one: objects, uids, versions, apply, status patch, delete.

It replaces on apply and merges nothing; what depends on real server-side apply is tested in tests/integration.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket

Object = dict[str, Any]
Answer = Callable[[httpx.Request], httpx.Response | None]


class FakeAPI:
    """`objects` by URL path; `requests` holds method and path of every call. `answer` may answer first."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Object] = []
        self.version = 100
        self.answer: Answer = lambda _: None

    def client(self) -> Client:
        transport = httpx.MockTransport(self._handle)
        http = httpx.AsyncClient(base_url="https://api", transport=transport)
        return Client(http, TokenBucket(1e6, 1000), max_concurrent_writes=4)

    def put(self, path: str, obj: Object) -> Object:
        """Create or replace, as somebody else."""
        self.version += 1
        meta = {"uid": f"uid-{self.version}", **obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = {**obj, "metadata": meta}
        return self.objects[path]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        if request.content:
            self.bodies.append(json.loads(request.content))
        answer = self.answer(request)
        if answer is not None:
            return answer
        if request.method == "POST":
            return httpx.Response(201, json=self.bodies[-1])
        if request.method == "PATCH":
            return self._patch(path, self.bodies[-1])
        found = self.objects.get(path)
        if found is None:
            return status(404, "NotFound", f"{path} not found")
        if request.method == "DELETE":
            del self.objects[path]
        return httpx.Response(200, json=found)

    def _patch(self, path: str, body: Object) -> httpx.Response:
        if path.endswith("/status"):
            path = path.removesuffix("/status")
            if path not in self.objects:
                return status(404, "NotFound", f"{path} not found")
            old = self.objects[path]
            if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
                return status(409, "Conflict", "the object has been modified")
            merged = merge(old.get("status", {}), body["status"])
            return httpx.Response(200, json=self.put(path, {**old, "status": merged}))
        existing = self.objects.get(path)
        wanted = body["metadata"].get("uid")
        if wanted and (existing is None or existing["metadata"]["uid"] != wanted):
            return status(409, "Conflict", "uid mismatch")
        if existing and "resourceVersion" in body["metadata"]:
            return status(409, "Conflict", "the object has been modified")
        kept = {"uid": existing["metadata"]["uid"]} if existing else {}
        return httpx.Response(200, json=self.put(path, {**body, "metadata": {**body["metadata"], **kept}}))


def merge(old: Object, patch: Object) -> Object:
    """RFC 7386."""
    merged = {name: value for name, value in old.items() if patch.get(name, ...) is not None}
    for name, value in patch.items():
        if isinstance(value, dict):
            before = merged.get(name)
            merged[name] = merge(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            merged[name] = value
    return merged


def status(code: int, reason: str, message: str, **more: Any) -> httpx.Response:
    """An error as the API server writes it."""
    headers = more.pop("headers", None)
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, **more}
    return httpx.Response(code, json=body, headers=headers)
