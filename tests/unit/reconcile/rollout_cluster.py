"""A cluster as small as rollouts need it: `ahead_cluster` with the Deployment's controller and a kubelet."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel, parse
from llama_operator.reconcile import ahead, rollback
from llama_operator.reconcile.blame import RUNS, blame
from llama_operator.reconcile.plan import Plan, key, plan
from llama_operator.reconcile.rollback import Standing
from tests.unit.reconcile import objects
from tests.unit.reconcile.ahead_cluster import CLAIM, Cluster, source
from tests.unit.resources.models import raw

Object = dict[str, Any]

NOW = datetime(2026, 11, 24, 2, 0, 40, tzinfo=UTC)
"""Soon after the pods have started."""
SETTLED = 30
"""Rounds after which nothing may happen any more: three pods replaced one by one, a trial, and its end."""
IN_PLACE: dict[str, Object] = {
    "a GPU": {"accelerator": {"type": "cuda"}},
    "a volume of one node": {"storage": CLAIM},
}
"""Where one pod replaces the other."""
REFUSED: Object = {"storage": {"cache": {"nodePath": "/not/one/of/these"}}}
"""A part of a spec with which nothing can be built."""


def good(name: str) -> Object:
    return {"args": ["--good", name]}


def bad(name: str) -> Object:
    return {"args": ["--check-tensors", name]}


@dataclass
class Pod:
    """`runs`: how many have ended; only a version with the argument --check-tensors has any."""

    name: str
    version: str
    bad: bool
    ready: bool = False
    runs: int = 0

    def seen(self) -> Object:
        if self.ready:
            return objects.answering(name=self.name, version=self.version)
        state, last = objects.running(), None
        if self.runs:
            state, last = objects.waiting("CrashLoopBackOff"), objects.terminated(1, "E bad flag")
        status = objects.container("llama-server", state, last, max(0, self.runs - 1))
        return objects.serving(status, name=self.name, version=self.version)


@dataclass
class Rollouts(Cluster):
    """`templates` counts how often the operator has written another pod template. `refused`: the spec has a mistake."""

    pods: list[Pod] = field(default_factory=list)
    made: int = 0
    templates: int = 0
    refused: bool = False

    def model(self) -> LlamaModel:
        return parse(raw(**self.spec | (REFUSED if self.refused else {})))

    def plan(self) -> Plan:
        observed = list(self.objects.values())
        cause, _ = blame(self.deployment(), [pod.seen() for pod in self.pods], NOW, {}, {})
        wanted, _ = ahead.feasible(self.model(), self.config, observed, cause)
        return plan(wanted, observed)

    def reconcile(self) -> Plan:
        made = self.plan()
        for child in made.apply:
            before = self.deployment()
            self.apply(child)
            if child["kind"] == "Deployment" and before:
                changed = before["spec"] != self.deployment()["spec"]
                self.templates += before["spec"]["template"] != self.deployment()["spec"]["template"]
                self.deployment()["metadata"]["generation"] = before["metadata"]["generation"] + changed
            elif child["kind"] == "Deployment":
                self.deployment()["metadata"]["generation"] = 1
        for child in made.delete:
            del self.objects[key(child)]
        return made

    def roll(self) -> None:
        """One step of the Deployment's controller, and its account of it."""
        if not (deployment := self.deployment()):
            return
        spec, version = deployment["spec"], self.version()
        wanted, rolling = spec["replicas"], spec["strategy"].get("rollingUpdate")
        new, old = ([pod for pod in self.pods if (pod.version == version) is own] for own in (True, False))
        if rolling is None:
            self.pods = new[:wanted]
        else:
            spare = sum(pod.ready for pod in self.pods) - (wanted - rolling["maxUnavailable"])
            gone = [pod for pod in old if not pod.ready] + [pod for pod in old if pod.ready][: max(0, spare)]
            gone += new[wanted:]
            self.pods = [pod for pod in self.pods if pod not in gone]
        most = wanted + rolling["maxSurge"] if rolling else wanted * (not old)
        while sum(pod.version == version for pod in self.pods) < wanted and len(self.pods) < most:
            self.made += 1
            self.pods.append(Pod(f"tiny-{self.made}", version, "--check-tensors" in self.arguments()))
        self.count()

    def count(self) -> None:
        deployment, ready = self.deployment(), sum(pod.ready for pod in self.pods)
        counts = {
            "replicas": len(self.pods),
            "updatedReplicas": sum(pod.version == self.version() for pod in self.pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        told = {name: number for name, number in counts.items() if number}
        deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **told}

    def run(self) -> None:
        """What a kubelet does, until a container has ended or answers."""
        for pod in self.pods:
            pod.ready = not pod.bad
            pod.runs = min(pod.runs + pod.bad, RUNS)
        if self.deployment():
            self.count()

    def settle(self) -> None:
        for _ in range(SETTLED):
            before = self.seen()
            self.reconcile()
            self.roll()
            self.run()
            if self.seen() == before:
                return
        raise AssertionError("it does not come to rest")

    def seen(self) -> object:
        return copy.deepcopy((self.objects, self.pods))

    def version(self) -> str:
        return str(self.template()["metadata"]["annotations"][constants.APPLIED_HASH])

    def standing(self) -> Standing:
        return rollback.standing(self.deployment())

    def answering(self) -> int:
        return sum(pod.ready for pod in self.pods)


def rollouts(engine: Object, **spec: Any) -> Rollouts:
    """A model at rest with these settings."""
    cluster = Rollouts({"source": source("a"), "engine": engine} | spec)
    cluster.settle()
    return cluster
