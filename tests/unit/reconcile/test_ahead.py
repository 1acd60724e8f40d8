"""Stage first, then roll: whatever happens in whatever order, what serves is never replaced too early."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator import constants
from llama_operator.reconcile.plan import Plan
from tests.unit.reconcile.ahead_cluster import CACHE, CLAIM, ONCE, Cluster, complete, source, started

Object = dict[str, Any]

SETTLED = 8
"""Reconciles after which nothing may be left to do: apply, delete, make anew, roll, prune, and some to spare."""


def test_the_first_start_needs_no_job() -> None:
    made = [kind for kind, _ in started().objects]
    assert made == ["PersistentVolumeClaim", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"]


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
    assert cluster.serves() == cluster.asked()
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Job"]
    assert cluster.plan() == Plan([], [])


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
    assert cluster.serves() == cluster.asked()


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
    assert cluster.serves() == cluster.asked()


def test_another_operators_image_does_not_disturb_a_job() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    cluster.upgrade("operator:2")
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
    cluster.deployment()["metadata"]["annotations"][constants.SERVED] = "{}"
    cluster.reconcile()
    assert cluster.serves() == cluster.asked()


STEPS = st.one_of(
    st.tuples(st.just("source"), st.sampled_from("abc")),
    st.tuples(st.just("replicas"), st.integers(0, 2)),
    st.tuples(st.just("size"), st.integers(1, 3)),
    st.tuples(st.just("storage"), st.sampled_from([CLAIM, CACHE, ONCE])),
    st.tuples(st.just("image"), st.sampled_from(["operator:1", "operator:2"])),
    st.tuples(st.just("lose"), st.sampled_from(["Job", "Deployment", "PersistentVolumeClaim"])),
    st.tuples(st.just("available"), st.integers(0, 1)),
    st.tuples(st.just("autoscale"), st.integers(0, 2)),
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
            cluster.upgrade(value)
        case "lose":
            cluster.objects = {ref: obj for ref, obj in cluster.objects.items() if ref[0] != value}
        case "available":
            cluster.answer(value)
        case "autoscale":
            cluster.autoscale(value)
        case "complete":
            for job in cluster.jobs():
                complete(job)
        case "reconcile":
            cluster.reconcile()


@settings(deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_any_order_of_events_comes_to_rest_at_what_the_spec_says(steps: list[tuple[str, Any]]) -> None:
    """`Cluster.look` holds the promise at every write."""
    cluster = started()
    for name, value in steps:
        play(cluster, name, value)
    for _ in range(SETTLED):
        if cluster.reconcile() == Plan([], []):
            for job in cluster.jobs():
                complete(job)
    assert cluster.plan() == Plan([], []), "not at rest"
    assert cluster.serves() == cluster.asked()
    assert len(cluster.jobs()) == (cluster.spec.get("replicas", 1) == 0)
