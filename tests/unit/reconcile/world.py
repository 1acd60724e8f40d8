"""One model's reconciler against an API server of a few lines; builders, plan and status are the real ones."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any

from llama_operator.api.sidecar import Facts
from llama_operator.api.staging import Progress
from llama_operator.config import Config
from llama_operator.constants import KIND
from llama_operator.kube import kinds
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.blockades import Blockades
from llama_operator.reconcile.collector import Collector
from llama_operator.reconcile.executor import Executor
from llama_operator.reconcile.inquiry import Inquiry
from llama_operator.reconcile.questions import Questions
from llama_operator.reconcile.reconciler import Reconciler
from llama_operator.reconcile.reporter import Reporter
from llama_operator.reconcile.resizer import Resizer
from llama_operator.reconcile.respondents import after_facts, after_progress
from llama_operator.runtime.answers import NoAnswer
from llama_operator.runtime.cache import Cache
from tests.unit.kube.fake_api import FakeAPI, status

Object = dict[str, Any]
KEY = ("team", "qwen")
MODEL = kinds.MODEL.path(*KEY)
DEPLOYMENT = kinds.BY_NAME["Deployment"].path(*KEY)
SERVICE = kinds.BY_NAME["Service"].path(*KEY)
INGRESS = kinds.BY_NAME["Ingress"].path(*KEY)
CLAIM = kinds.BY_NAME["PersistentVolumeClaim"].path("team", "qwen-model")
SECRETS = kinds.SECRET.path("team")
POLICY = kinds.BY_NAME["NetworkPolicy"].path(*KEY)
BUDGET = kinds.BY_NAME["PodDisruptionBudget"].path(*KEY)
EVENTS = kinds.EVENT.path("team")
REFUSAL_SECONDS = 600.0
CREATED = "2026-11-24T00:00:00Z"
T = 1e9
"""Unix time: it stands still, beside the clock of `World.now`."""
LABELS = {"app.kubernetes.io/managed-by": "llama-operator", "llama-operator.dev/model": "qwen"}


class World:
    """API server, cache and reconciler of one model. `sync` is what the watches do."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.cache = Cache()
        self.now = 1000.0
        client = self.api.client()
        self.client = client
        config = Config(stage_image="operator:1", server_images={"cpu": "server:1"})
        self.told: dict[str, Progress] = {}
        """What stagers answer, by address."""
        self.facts: dict[str, Facts] = {}
        """What sidecars answer, by address."""
        self.hangs = False
        """Whether sidecars take for ever."""
        self.reconciler = Reconciler(
            config=config,
            cache=self.cache,
            executor=Executor(cache=self.cache, client=client, refusal_seconds=REFUSAL_SECONDS, clock=lambda: self.now),
            inquiry=Inquiry(cache=self.cache, client=client, clock=lambda: self.now),
            resizer=Resizer(
                cache=self.cache,
                client=client,
                shipped=config.server_images["cpu"],
                refusal_seconds=REFUSAL_SECONDS,
                clock=lambda: self.now,
            ),
            progresses=Questions(ask=self._ask, pause=after_progress, wake=lambda key: None, clock=lambda: self.now),
            facts=Questions(ask=self._ask_facts, pause=after_facts, wake=lambda key: None, clock=lambda: self.now),
            blockades=Blockades(lambda: self.now),
            collector=Collector(
                config=config, cache=self.cache, client=client, clock=lambda: self.now, now=lambda: 1e9
            ),
            reporter=Reporter(cache=self.cache, client=client, now=lambda: datetime(2026, 11, 24, tzinfo=UTC)),
        )

    def restarted(self) -> World:
        """Another operator, which has seen of the same API server what is there now, and remembers nothing else."""
        other = World()
        other.api.objects, other.api.version = self.api.objects, self.api.version
        for obj in self.api.objects.values():
            other.cache.store(obj["kind"], obj)
        return other

    async def _ask(self, address: str) -> Progress:
        if address not in self.told:
            raise NoAnswer("nobody is there")
        return self.told[address]

    async def _ask_facts(self, address: str) -> Facts:
        if self.hangs:
            await asyncio.Event().wait()
        if address not in self.facts:
            raise NoAnswer("nobody is there")
        return self.facts[address]

    def model(self, uid: str = "model-1", generation: int = 1, created: str = CREATED, **spec: Any) -> None:
        """Write the LlamaModel as a user would, and let the watch tell."""
        source = {"source": {"url": {"url": "https://example.com/a.gguf"}}}
        meta = {"namespace": "team", "name": "qwen", "uid": uid, "generation": generation, "creationTimestamp": created}
        before = self.api.objects.get(MODEL, {})
        obj = {"kind": KIND, "metadata": meta, "spec": source | spec, "status": before.get("status", {})}
        self.cache.observe(KIND, self.api.put(MODEL, obj))

    def edit(self, path: str, **changes: Any) -> Object:
        """Change an object by hand; the watch tells."""
        obj = copy.deepcopy(self.api.objects[path]) | changes
        obj = self.api.put(path, obj)
        self.cache.observe(obj["kind"], obj)
        return obj

    def lose(self, path: str, *, tell: bool) -> None:
        """Delete an object by hand; the watch tells, or loses the event."""
        obj = self.api.objects.pop(path)
        self.api.version += 1
        if tell:
            gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.api.version)}}
            self.cache.observe(obj["kind"], gone, deleted=True)

    async def reconcile(self, failures: int = 0) -> float | None:
        self.api.requests.clear()
        self.api.bodies.clear()
        return await self.reconciler.reconcile(KEY, failures)

    def ready(self) -> Object:
        return next(c for c in self.api.objects[MODEL]["status"]["conditions"] if c["type"] == "Ready")

    def stalled(self) -> Object | None:
        conditions = self.api.objects[MODEL]["status"]["conditions"]
        return next((c for c in conditions if c["type"] == "Stalled"), None)

    def events(self) -> list[Object]:
        return [body for body in self.api.bodies if body.get("kind") == "Event"]

    def writes(self) -> list[tuple[str, str]]:
        """Without Events, which have tests of their own."""
        return [(method, path) for method, path in self.api.requests if method != "GET" and path != EVENTS]

    def refuse(self, path: str, code: int, reason: str, message: str, method: str = "PATCH", **more: Any) -> None:
        def answer(request: Request) -> Answer | None:
            if (request.method, request.path) == (method, path):
                return status(code, reason, message, **more)
            return None

        self.api.answer = answer


def foreign(kind: str, path: str, owners: list[Object] | None = None, **meta: Any) -> Object:
    name = path.rpartition("/")[2]
    references = {"ownerReferences": owners} if owners else {}
    return {"kind": kind, "metadata": {"namespace": "team", "name": name, **references, **meta}, "spec": {"mine": 1}}


def owner(uid: str, name: str = "qwen") -> Object:
    return {"apiVersion": "llama-operator.dev/v1alpha1", "kind": KIND, "name": name, "uid": uid, "controller": True}
