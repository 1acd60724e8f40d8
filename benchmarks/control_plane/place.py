"""A fresh API server for one measurement, the benchmark's own client on it, and one watch that sees what happens.

Both sides are measured from here alone: a time is taken when a request is sent, and when the watch reports the event.
The watches ask for metadata only, except that of the models, so that the witness costs as little as it can.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from ground import apiserver
from llama_operator.kube.kinds import MODEL, OWNED, Kind

CRD = yaml.safe_load(Path("crds/llama-operator.dev_llamamodels.yaml").read_text())
AGENT = "benchmark"
"""How our own requests are told from those of the process that is measured."""
NAMESPACE = "bench"
CONCURRENCY = 16
"""Requests of a burst that are under way at once."""
GIVE_UP_SECONDS = 1800.0
ESTABLISH_SECONDS = 30.0
READ_BUFFER = 2**22
"""Bytes; a line of a watch must fit."""
CHILDREN = tuple(kind for kind in OWNED if kind.kind != "Job")
"""What a new model has: Jobs stage what comes after that, or ahead of the servers."""

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Condition(msgspec.Struct):
    type: str
    reason: str


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    conditions: list[_Condition] = []


class _Object(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Object


_decode = msgspec.json.Decoder(_Event).decode


class Witness:
    """Times (`time.perf_counter`) at which events arrived, by kind and name; the last one counts."""

    def __init__(self) -> None:
        self.added: dict[str, dict[str, float]] = defaultdict(dict)
        self.told: dict[str, float] = {}
        """Models that have a status."""
        self.ready: dict[str, tuple[str, float]] = {}
        """Reason of the model's Ready condition, and since when."""
        self._changed = asyncio.Condition()

    async def until(self, holds: Callable[[], bool], seconds: float = GIVE_UP_SECONDS) -> None:
        """Wait until what has been seen satisfies `holds`. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(holds)

    async def see(self, kind: str, line: bytes) -> str:
        """Take note of one event; the resource version from which to go on."""
        now, event = time.perf_counter(), _decode(line)
        name, status = event.object.metadata.name, event.object.status
        if event.type == "ADDED":
            self.added[kind][name] = now
        elif event.type == "ERROR":
            raise RuntimeError(f"the watch of {kind} has ended: {line.decode()}")
        if kind == MODEL.kind and status.observed_generation:
            self.told.setdefault(name, now)
            reason = next((c.reason for c in status.conditions if c.type == "Ready"), "")
            if self.ready.get(name, ("", 0.0))[0] != reason:
                self.ready[name] = reason, now
        async with self._changed:
            self._changed.notify_all()
        return event.object.metadata.resource_version

    def complete(self, name: str) -> bool:
        """All children of the model have been seen, and a status."""
        return name in self.told and all(self.child(kind.kind, name) in self.added[kind.kind] for kind in CHILDREN)

    @staticmethod
    def child(kind: str, name: str) -> str:
        return f"{name}-model" if kind == "PersistentVolumeClaim" else name

    def count_complete(self) -> int:
        """Of how many models everything has been seen, if each model has all children."""
        return min(len(self.told), *(len(self.added[kind.kind]) for kind in CHILDREN))


class Place:
    """An API server with the CRD and one namespace, and requests to it. Answers that are not 2xx raise."""

    def __init__(self, server: apiserver.Server, http: aiohttp.ClientSession, witness: Witness) -> None:
        self.server = server
        self.http = http
        self.witness = witness

    async def create_model(self, name: str) -> float:
        """Create a model with all children; the time at which the request was sent."""
        sent = time.perf_counter()
        await self.send("POST", MODEL.path(NAMESPACE), model(name))
        return sent

    async def send(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        data = msgspec.json.encode(body) if body is not None else None
        async with self.http.request(method, path, data=data, headers={"content-type": content}) as answer:
            text = await answer.read()
            if not answer.ok:
                raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
            return msgspec.json.decode(text)

    async def version(self, kind: Kind) -> str:
        """Where a watch of the kind begins, if it is to report everything from now on."""
        listed: dict[str, Any] = await self.send("GET", f"{kind.path()}?limit=1")
        return str(listed["metadata"]["resourceVersion"])

    async def watch(self, kind: Kind, version: str) -> None:
        """Report every event after this version to the witness. Never returns."""
        headers = {} if kind is MODEL else {"accept": _METADATA}
        while True:  # the API server closes a watch that does not read fast enough
            query = {"watch": "true", "resourceVersion": version}
            async with self.http.get(kind.path(), params=query, headers=headers) as answer:
                answer.raise_for_status()
                async for line in answer.content:
                    version = await self.witness.see(kind.kind, line)


def model(name: str) -> dict[str, Any]:
    """A LlamaModel that has all of `CHILDREN`."""
    return {
        "apiVersion": MODEL.api_version,
        "kind": MODEL.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "source": {
                "huggingFace": {
                    "repo": "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
                    "file": "qwen2.5-0.5b-instruct-q4_k_m.gguf",
                }
            },
            "storage": {"claim": {"size": "2Gi"}},
            "engine": {"contextSize": 4096, "slots": 2},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
            "ingress": {"host": f"{name}.example.com"},
            "auth": {"none": True},  # a Secret cannot be watched by who may not read it
        },
    }


@asynccontextmanager
async def fresh() -> AsyncIterator[Place]:
    """A new, empty API server that serves the CRD, watched by a witness; gone at the end."""
    with apiserver.running() as server:
        async with _session(server) as http, asyncio.TaskGroup() as group:
            place = Place(server, http, Witness())
            await place.send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await place.send("POST", definitions, CRD)
            await _until_served(http)
            begins = [(kind, await place.version(kind)) for kind in (MODEL, *CHILDREN)]
            watches = [group.create_task(place.watch(kind, version)) for kind, version in begins]
            yield place
            for watch in watches:
                watch.cancel()


def _session(server: apiserver.Server) -> aiohttp.ClientSession:
    config = yaml.safe_load(server.kubeconfig.read_text())
    (cluster,), (user,) = config["clusters"], config["users"]
    return aiohttp.ClientSession(
        base_url=server.url,
        headers={"authorization": f"Bearer {user['user']['token']}", "user-agent": AGENT},
        connector=aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=cluster["cluster"]["certificate-authority"]), limit=0
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        read_bufsize=READ_BUFFER,
    )


async def _until_served(http: aiohttp.ClientSession) -> None:
    """Until the API server serves the new kind. Raises TimeoutError."""
    async with asyncio.timeout(ESTABLISH_SECONDS):
        while True:
            async with http.get(MODEL.path()) as answer:
                if answer.ok:
                    return
            await asyncio.sleep(0.05)
