"""A cache of models and their pods, and the collecting Jobs that are asked for."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.staging import Collect
from llama_operator.api.types import SpecError, parse
from llama_operator.config import Config
from llama_operator.constants import KIND
from llama_operator.reconcile.collector import (
    Collector,
)
from llama_operator.resources.staging import links
from llama_operator.runtime.cache import Cache
from tests.unit.kube.fake_api import FakeAPI

Object = dict[str, Any]

JOBS = "/apis/batch/v1/namespaces/team/jobs/"
NODE_PATH = "/var/cache/models"
NODE_FOLDER: Object = {"nodePath": NODE_PATH}
SHARED: Object = {"claimName": "shared"}
MOUNTED: Object = {"volumes": [{"name": "models", "persistentVolumeClaim": SHARED}]}


class World:
    """A cache of models and their pods, without reconciles; `jobs` are the collecting Jobs, as they were asked for."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.cache = Cache()
        self.now = 0.0
        self.version = 0
        config = Config(stage_image="operator:1", node_paths=(NODE_PATH,))
        client = self.api.client()
        self.collector = Collector(
            config=config, cache=self.cache, client=client, clock=lambda: self.now, now=lambda: 1e9 + self.now
        )

    def put(self, kind: str, name: str, obj: Object, namespace: str = "team") -> None:
        self.version += 1
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.cache.observe(kind, obj | {"metadata": meta | obj.get("metadata", {})})

    def model(self, name: str, file: str, cache: Object | None, namespace: str = "team") -> str:
        """Its link."""
        storage = {"storage": {"cache": cache}} if cache else {}
        spec = {"source": {"url": {"url": f"https://example.com/{file}.gguf"}}, **storage}
        self.put(KIND, name, {"spec": spec}, namespace)
        return link(file)

    def pod(self, name: str, model: str, *files: str, namespace: str = "team", node: str = "n1", **more: Any) -> None:
        meta = {
            "labels": {constants.MODEL_LABEL: model},
            "annotations": {constants.FILES: " ".join(map(link, files))},
        }
        self.put("Pod", name, {"metadata": meta, "spec": MOUNTED | {"nodeName": node}, "status": more}, namespace)

    def gone(self, kind: str, name: str) -> None:
        self.cache.absent(kind, "team", name)

    async def look(self, name: str, namespace: str = "team") -> float | None:
        seen = self.cache.snapshot((namespace, name))
        try:
            model = parse(seen.model) if seen.model else None
        except SpecError:
            model = None
        return await self.collector.look((namespace, name), model, seen)

    @property
    def jobs(self) -> list[Object]:
        return [body for body in self.api.bodies if body.get("kind") == "Job"]

    def live(self) -> set[str]:
        """What the last Job was told to be in use."""
        return set(asked(self.jobs[-1]).live)


def link(file: str) -> str:
    raw = {
        "metadata": {"name": "a", "namespace": "a", "uid": "a"},
        "spec": {"source": {"url": {"url": f"https://example.com/{file}.gguf"}}},
    }
    return links(parse(raw))


def asked(job: Object) -> Collect:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return msgspec.json.decode("".join(container["args"]), type=Collect)


def failed(reason: str, at: str, need: int = 0) -> Object:
    told = {"exitCode": 1, "finishedAt": at, "message": json.dumps({"reason": reason, "message": "m", "need": need})}
    waits = {"name": "stage", "state": {"waiting": {}}, "lastState": {"terminated": told}}
    return {"initContainerStatuses": [waits]}


DELETE = SHARED | {"whenUnused": "Delete"}
