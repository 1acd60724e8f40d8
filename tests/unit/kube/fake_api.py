"""An API server of a few lines, for tests without one: objects, uids, versions, apply, patches, delete.

It replaces on apply and merges nothing, and of owners it knows only who patched; what depends on real server-side
apply is tested in tests/integration.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from llama_operator.constants import FIELD_MANAGER
from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request

Object = dict[str, Any]

PATCHED: Object = {"manager": FIELD_MANAGER, "operation": "Update"}
"""The owner that a merge-patch makes."""
KEPT = frozenset({"uid", "managedFields"})
"""Metadata that an apply does not say."""


class FakeAPI:
    """`objects` by URL path; `requests` holds method and path of every call. `answer` may answer first."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Object] = []
        self.version = 100
        self.answer: Callable[[Request], Answer | None] = lambda _: None

    def client(self) -> Client:
        return Client(self.send, TokenBucket(1e6, 1000), max_concurrent_writes=4)

    def put(self, path: str, obj: Object) -> Object:
        """Create or replace, as somebody else."""
        self.version += 1
        meta = {"uid": f"uid-{self.version}", **obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = {**obj, "metadata": meta}
        return self.objects[path]

    async def send(self, request: Request) -> Answer:
        path = request.path
        self.requests.append((request.method, path))
        if request.body:
            self.bodies.append(json.loads(request.body))
        answer = self.answer(request)
        if answer is not None:
            return answer
        if request.method == "POST":
            return reply(self.bodies[-1], 201)
        if request.params.get("dryRun"):
            return reply(self.bodies[-1])
        if request.method == "PATCH":
            return self._patch(path, self.bodies[-1], request.headers["content-type"])
        found = self.objects.get(path)
        if found is None:
            return status(404, "NotFound", f"{path} not found")
        if request.method == "DELETE":
            del self.objects[path]
        return reply({**found, "metadata": {"managedFields": [], **found["metadata"]}})

    def _patch(self, path: str, body: Any, content: str) -> Answer:
        if path.endswith("/status"):
            path = path.removesuffix("/status")
            if path not in self.objects:
                return status(404, "NotFound", f"{path} not found")
            old = self.objects[path]
            if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
                return status(409, "Conflict", "the object has been modified")
            merged = merge(old.get("status", {}), body["status"])
            return reply(self.put(path, {**old, "status": merged}))
        if path.endswith("/resize"):
            return self._resize(path.removesuffix("/resize"), body)
        existing = self.objects.get(path)
        if content == "application/json-patch+json":
            return self._patch_owners(path, body)
        wanted = body["metadata"].get("uid")
        if wanted and (existing is None or existing["metadata"]["uid"] != wanted):
            return status(409, "Conflict", "uid mismatch")
        version = body["metadata"].get("resourceVersion")
        if existing and version and version != existing["metadata"]["resourceVersion"]:
            return status(409, "Conflict", "the object has been modified")
        if existing and content == "application/merge-patch+json":
            patched = merge(existing, body)
            others = [owner for owner in patched["metadata"].get("managedFields", []) if owner != PATCHED]
            patched["metadata"]["managedFields"] = [*others, PATCHED]
            return reply(self.put(path, patched))
        kept = {name: existing["metadata"][name] for name in KEPT & existing["metadata"].keys()} if existing else {}
        return reply(self.put(path, {**body, "metadata": {**body["metadata"], **kept}}))

    def _resize(self, path: str, body: Any) -> Answer:
        """A strategic merge-patch: containers are told apart by their names."""
        pod, wanted = self.objects.get(path), {c["name"]: c for c in body["spec"]["containers"]}
        if pod is None:
            return status(404, "NotFound", f'pods "{path.rpartition("/")[2]}" not found')
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            causes = {"details": {"causes": [{"field": "metadata.uid"}]}}
            return status(422, "Invalid", "metadata.uid: field is immutable", **causes)
        merged = [merge(c, wanted.get(c["name"], {})) for c in pod["spec"]["containers"]]
        return reply(self.put(path, {**pod, "spec": {**pod["spec"], "containers": merged}}))

    def _patch_owners(self, path: str, operations: list[Object]) -> Answer:
        """RFC 6902, as far as needed: tests of an owner's fields, then the removal of that owner."""
        obj = self.objects[path]
        owners = list(obj["metadata"].get("managedFields", []))
        for operation in operations:
            index, _, field = operation["path"].removeprefix("/metadata/managedFields/").partition("/")
            if int(index) >= len(owners):
                return status(422, "Invalid", f"no {operation['path']}")
            if operation["op"] == "test" and owners[int(index)].get(field) != operation["value"]:
                return status(422, "Invalid", f"testing {operation['path']} failed")
            if operation["op"] == "remove":
                del owners[int(index)]
        return reply(self.put(path, {**obj, "metadata": {**obj["metadata"], "managedFields": owners}}))


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


def reply(body: Any, code: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """JSON over the wire."""
    return Answer(code, HTTPStatus(code).phrase, headers or {}, json.dumps(body).encode())


def status(code: int, reason: str, message: str, **more: Any) -> Answer:
    """An error as the API server writes it."""
    headers = more.pop("headers", None)
    return reply({"kind": "Status", "code": code, "reason": reason, "message": message, **more}, code, headers)
