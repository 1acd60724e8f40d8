"""Stage first, then roll: whatever happens in whatever order, what serves is never replaced too early."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator import constants
from llama_operator.api.types import LlamaModel, parse
from llama_operator.reconcile import ahead, jobs
from llama_operator.reconcile.plan import Plan, key, plan
from llama_operator.resources import sources
from tests.unit.resources.models import CONFIG, raw

Object = dict[str, Any]

CLAIM: Object = {"claim": {"size": "1Gi"}}
ONCE: Object = {"claim": {"size": "1Gi", "accessModes": ["ReadWriteOncePod"]}}
CACHE: Object = {"cache": {"claimName": "shared"}}
SETTLED = 8
"""Reconciles after which nothing may be left to do: apply, delete, make anew, roll, prune, and some to spare."""


def source(name: str) -> Object:
    return {"url": {"url": f"https://example.com/{name}.gguf"}}


def complete(job: Object) -> None:
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}


@dataclass
class Cluster:
    """Children as plans leave them, with an API server that lets nobody change a Job's template."""

    spec: Object
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    image: str = "operator:1"
    writes: int = 0

    def model(self) -> LlamaModel:
        return parse(raw(**self.spec))

    def plan(self) -> Plan:
        config = type(CONFIG)(stage_image=self.image, server_images=CONFIG.server_images)
        observed = copy.deepcopy(list(self.objects.values()))
        return plan(ahead.desired(self.model(), config, observed), observed)

    def reconcile(self) -> Plan:
        made = self.plan()
        for child in made.apply:
            self.apply(child)
        for child in made.delete:
            del self.objects[key(child)]
        self.writes += len(made.apply) + len(made.delete)
        return made

    def apply(self, child: Object) -> None:
        before = self.objects.get(key(child))
        if child["kind"] == "Deployment" and before:
            self.look(before, child)
        if child["kind"] == "Job" and before:
            assert child["spec"]["template"] == before["spec"]["template"], "a Job's template is immutable"
        status = {"status": before["status"]} if before and "status" in before else {}
        self.objects[key(child)] = copy.deepcopy(child) | status

    def look(self, before: Object, after: Object) -> None:
        """The one promise."""
        old, new = ahead.served(before), ahead.served(after)
        runs = before["spec"].get("replicas") != 0 and self.spec.get("replicas", 1) != 0
        if old is None or new is None or old.same(new) or not runs or not new.storage or self.spec["storage"] == ONCE:
            return
        done = [job for job in self.jobs() if jobs.complete(job)]
        assert any(new.same(staged) for job in done if (staged := jobs.staged_by(job))), "rolled too early"

    def jobs(self) -> list[Object]:
        return [obj for (kind, _), obj in self.objects.items() if kind == "Job"]

    def deployment(self) -> Object:
        return next((obj for (kind, _), obj in self.objects.items() if kind == "Deployment"), {})

    def serves(self) -> sources.Sources | None:
        return ahead.served(self.deployment())


def started(**spec: Any) -> Cluster:
    cluster = Cluster({"source": source("a"), "storage": CLAIM} | spec)
    cluster.reconcile()
    return cluster


def test_the_first_start_needs_no_job() -> None:
    assert [kind for kind, _ in started().objects] == ["PersistentVolumeClaim", "Deployment", "Service"]


@pytest.mark.parametrize("storage", [CLAIM, CACHE])
def test_a_new_source_is_staged_before_it_is_served(storage: Object) -> None:
    cluster = started(storage=storage)
    old = cluster.serves()
    cluster.spec["source"] = source("b")
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Job"]
    assert cluster.serves() == old
    assert cluster.plan() == Plan([], []), "it waits, and writes nothing"
    complete(cluster.jobs()[0])
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Deployment"]
    assert cluster.serves() == sources.of(cluster.model())
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Job"]
    assert cluster.plan() == Plan([], [])


def test_other_changes_go_through_meanwhile() -> None:
    cluster = started()
    old = cluster.serves()
    cluster.spec |= {"source": source("b"), "engine": {"contextSize": 8192}, "replicas": 3}
    cluster.reconcile()
    deployment = cluster.deployment()
    assert (cluster.serves(), deployment["spec"]["replicas"]) == (old, 3)
    assert "8192" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_source_that_is_taken_back_rolls_nothing() -> None:
    cluster = started()
    before = copy.deepcopy(cluster.deployment())
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    cluster.spec["source"] = source("a")
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Job"]
    assert cluster.deployment() == before


def test_yet_another_source_has_a_job_of_its_own() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    complete(cluster.jobs()[0])
    cluster.spec["source"] = source("c")
    made = cluster.reconcile()
    assert ([c["kind"] for c in made.apply], [c["kind"] for c in made.delete]) == (["Job"], ["Job"])


def test_no_replicas_stage_ahead_and_keep_the_job_as_a_record() -> None:
    cluster = started(replicas=0)
    (job,) = cluster.jobs()
    complete(job)
    assert cluster.plan() == Plan([], [])
    cluster.spec["replicas"] = 1
    made = cluster.reconcile()
    assert ([c["kind"] for c in made.apply], [c["kind"] for c in made.delete]) == (["Deployment"], ["Job"])


def test_nobody_is_held_who_does_not_run() -> None:
    """Scaled up and changed at once: there is nothing to protect, and the old file is not served any more."""
    cluster = started(replicas=0)
    cluster.spec |= {"replicas": 1, "source": source("b")}
    cluster.reconcile()
    assert cluster.serves() == sources.of(cluster.model())


@pytest.mark.parametrize("spec", [{"storage": None}, {"storage": ONCE}], ids=["with the pod", "for one pod alone"])
def test_where_no_other_pod_can_stage_the_new_pod_does(spec: Object) -> None:
    cluster = started(**spec)
    cluster.spec["source"] = source("b")
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Deployment"]
    assert cluster.jobs() == []


def test_another_volume_is_staged_ahead_too() -> None:
    cluster = started(storage=None)
    old = cluster.serves()
    cluster.spec["storage"] = CLAIM
    assert [child["kind"] for child in cluster.reconcile().apply] == ["PersistentVolumeClaim", "Job"]
    assert cluster.serves() == old


def test_a_larger_claim_or_another_scale_is_no_other_file() -> None:
    adapter = {"name": "a", "source": source("x"), "scale": "1.0"}
    cluster = started(adapters=[adapter])
    cluster.spec |= {"adapters": [adapter | {"scale": "0.5"}], "storage": {"claim": {"size": "2Gi"}}}
    cluster.reconcile()
    assert cluster.jobs() == []
    assert cluster.serves() == sources.of(cluster.model())


def test_another_operators_image_does_not_disturb_a_job() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    cluster.image = "operator:2"
    assert cluster.plan() == Plan([], [])


def test_a_job_that_must_be_another_makes_way() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    (job,) = cluster.jobs()
    job["metadata"]["annotations"][constants.APPLIED_HASH] = "of another version"
    job["spec"]["template"]["spec"]["containers"][0]["args"] = ["other"]
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Job"]
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Job"]
    assert cluster.plan() == Plan([], [])


def test_what_is_done_is_done() -> None:
    """By an older operator, with other words for the same files: they are in place."""
    cluster = started(replicas=0)
    (job,) = cluster.jobs()
    complete(job)
    job["metadata"]["annotations"][constants.APPLIED_HASH] = "of another version"
    assert cluster.plan() == Plan([], [])


def test_a_deployment_that_does_not_say_what_it_serves_is_brought_up_to_date() -> None:
    cluster = started()
    cluster.deployment()["metadata"]["annotations"][constants.SOURCES] = "{}"
    cluster.reconcile()
    assert cluster.serves() == sources.of(cluster.model())


STEPS = st.one_of(
    st.tuples(st.just("source"), st.sampled_from("abc")),
    st.tuples(st.just("replicas"), st.integers(0, 2)),
    st.tuples(st.just("size"), st.integers(1, 3)),
    st.tuples(st.just("storage"), st.sampled_from([CLAIM, CACHE, ONCE])),
    st.tuples(st.just("image"), st.sampled_from(["operator:1", "operator:2"])),
    st.tuples(st.just("lose"), st.sampled_from(["Job", "Deployment", "PersistentVolumeClaim"])),
    st.tuples(st.just("complete"), st.none()),
    st.tuples(st.just("reconcile"), st.none()),
)


def play(cluster: Cluster, name: str, value: Any) -> None:
    match name:
        case "source":
            cluster.spec["source"] = source(value)
        case "replicas" | "storage":
            cluster.spec[name] = value
        case "size":
            cluster.spec["engine"] = {"contextSize": value * 1024}
        case "image":
            cluster.image = value
        case "lose":
            cluster.objects = {ref: obj for ref, obj in cluster.objects.items() if ref[0] != value}
        case "complete":
            for job in cluster.jobs():
                complete(job)
        case "reconcile":
            cluster.reconcile()


@given(steps=st.lists(STEPS, max_size=25))
def test_any_order_of_events_comes_to_rest_at_what_the_spec_says(steps: list[tuple[str, Any]]) -> None:
    """`Cluster.look` holds the promise at every write."""
    cluster = Cluster({"source": source("a"), "storage": CLAIM})
    for name, value in steps:
        play(cluster, name, value)
    for _ in range(SETTLED):
        if cluster.reconcile() == Plan([], []):
            for job in cluster.jobs():
                complete(job)
    assert cluster.plan() == Plan([], []), "not at rest"
    assert cluster.serves() == sources.of(cluster.model())
    assert len(cluster.jobs()) == (cluster.spec.get("replicas", 1) == 0)
