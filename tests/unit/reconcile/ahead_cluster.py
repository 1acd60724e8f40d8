"""A cluster as small as staging ahead needs it: children as plans leave them, and what their controllers say."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from llama_operator import constants
from llama_operator.api.types import LlamaModel, Spec, parse
from llama_operator.config import Config
from llama_operator.reconcile import ahead, jobs, rollback
from llama_operator.reconcile.plan import Plan, key, plan
from llama_operator.resources import served as record
from llama_operator.resources import sources
from tests.unit.resources.models import CONFIG, raw

ANY_FLAGS = replace(CONFIG, server_builds={})
"""Of builds that nobody knows here: arguments are only names of versions in these tests."""

Object = dict[str, Any]

CLAIM: Object = {"claim": {"size": "1Gi"}}
ONCE: Object = {"claim": {"size": "1Gi", "accessModes": ["ReadWriteOncePod"]}}
CACHE: Object = {"cache": {"claimName": "shared"}}


def source(name: str) -> Object:
    return {"url": {"url": f"https://example.com/{name}.gguf"}}


def complete(job: Object) -> None:
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}


@dataclass
class Cluster:
    """An API server that lets nobody change a Job's template, and an operator whose writes are looked at.

    `holding` remembers, as the operator does not, that somebody was served since the files became others.
    """

    spec: Object
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    config: Config = ANY_FLAGS
    holding: bool = False

    def model(self) -> LlamaModel:
        return parse(raw(**self.spec))

    def plan(self) -> Plan:
        observed = copy.deepcopy(list(self.objects.values()))
        return plan(ahead.desired(self.model(), self.config, observed), observed)

    def reconcile(self) -> Plan:
        before = copy.deepcopy(self.deployment())
        waits = self.waits(before)
        made = self.plan()
        for child in made.apply:
            self.apply(child)
        for child in made.delete:
            del self.objects[key(child)]
        self.look(before, waits)
        return made

    def waits(self, before: Object) -> bool:
        """Whether the pod template has to stay as it is."""
        old, model = rollback.standing(before).serves, self.model()
        wanted, storage = sources.of(model.spec), self.spec["storage"]
        others = old is not None and sources.of(old) != wanted
        if not others or not storage or storage == ONCE or model.spec.replicas == 0:
            self.holding = False
        elif before["spec"]["replicas"] and before.get("status", {}).get("availableReplicas"):
            self.holding = True
        elif not self.jobs():
            self.holding = False  # somebody has deleted it
        return self.holding and not any(jobs.complete(j) and jobs.staged_by(j) == wanted for j in self.jobs())

    def look(self, before: Object, waits: bool) -> None:
        """The one promise, and its other half: nobody waits in vain."""
        after = self.deployment()
        if waits:
            assert after["spec"]["template"] == before["spec"]["template"], "rolled too early"
            assert rollback.standing(after) == rollback.standing(before), "forgets what it serves"
        else:
            told = after["metadata"]["annotations"].get(constants.SERVED)
            assert told == record.written(self.asked()), "not rolled"

    def apply(self, child: Object) -> None:
        before = self.objects.get(key(child), {})
        made = copy.deepcopy(child)
        if child["kind"] == "Job" and before:
            assert child["spec"]["template"] == before["spec"]["template"], "a Job's template is immutable"
        if child["kind"] == "Deployment" and "replicas" not in child["spec"]:
            made["spec"]["replicas"] = before["spec"]["replicas"]
            made["metadata"]["managedFields"] = before["metadata"]["managedFields"]
        self.objects[key(child)] = made | ({"status": before["status"]} if "status" in before else {})

    def answer(self, available: int) -> None:
        """What the Deployment's controller counts."""
        if deployment := self.deployment():
            deployment["status"] = {"availableReplicas": available} if available else {}

    def autoscale(self, replicas: int) -> None:
        if deployment := self.deployment():
            deployment["spec"]["replicas"] = replicas
            owned = {"manager": "keda", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
            deployment["metadata"]["managedFields"] = [owned]

    def upgrade(self, image: str) -> None:
        self.config = replace(ANY_FLAGS, stage_image=image)

    def jobs(self) -> list[Object]:
        return [obj for (kind, _), obj in self.objects.items() if kind == "Job"]

    def deployment(self) -> Object:
        return next((obj for (kind, _), obj in self.objects.items() if kind == "Deployment"), {})

    def ingress(self) -> Object:
        return next((obj for (kind, _), obj in self.objects.items() if kind == "Ingress"), {})

    def template(self) -> Object:
        template: Object = copy.deepcopy(self.deployment()["spec"]["template"])
        return template

    def arguments(self) -> str:
        return " ".join(self.template()["spec"]["containers"][0]["args"])

    def serves(self) -> Spec | None:
        return rollback.standing(self.deployment()).serves

    def asked(self) -> Spec:
        """What the Deployment serves once it is as the spec says."""
        return record.of(self.model(), self.config)


def started(available: int = 1, config: Config = ANY_FLAGS, **spec: Any) -> Cluster:
    """A model whose servers answer, or not yet."""
    cluster = Cluster({"source": source("a"), "storage": CLAIM} | spec, config=config)
    cluster.reconcile()
    cluster.answer(available)
    return cluster
