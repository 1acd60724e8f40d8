"""Rollbacks in any order of changes and events, and while the spec is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator import constants
from llama_operator.reconcile.plan import Plan
from llama_operator.reconcile.rollback import Standing
from tests.unit.reconcile.ahead_cluster import CACHE, complete, source
from tests.unit.reconcile.rollout_cluster import IN_PLACE, Rollouts, bad, good, rollouts

Object = dict[str, Any]


@pytest.mark.parametrize("spec", [{}, *IN_PLACE.values()], ids=["beside", *IN_PLACE])
def test_a_bad_version_is_rolled_back_also_while_the_spec_is_refused(spec: Object) -> None:
    cluster = rollouts(good("a"), **spec)
    old = cluster.serves()
    cluster.spec["engine"] = bad("b")
    cluster.reconcile()
    cluster.spec["engine"], cluster.refused = bad("c"), True
    cluster.settle()
    standing = cluster.standing()
    assert (standing.serves, cluster.answering()) == (old, 1)
    assert standing.failed is not None
    cluster.spec["engine"], cluster.refused = good("d"), False
    cluster.settle()
    assert (cluster.standing(), cluster.answering()) == (Standing(cluster.asked()), 1)


def test_while_the_spec_is_refused_all_else_is_seen_to() -> None:
    cluster = rollouts(good("a"))
    template = cluster.template()
    cluster.spec |= {"engine": good("b"), "replicas": 3, "service": {"port": 80}}
    cluster.refused = True
    del cluster.objects["NetworkPolicy", "tiny"]
    cluster.settle()
    assert (cluster.template(), cluster.answering()) == (template, 3)
    assert cluster.objects["Service", "tiny"]["spec"]["ports"][0]["port"] == 80
    assert ("NetworkPolicy", "tiny") in cluster.objects
    assert cluster.plan() == Plan([], [])


def test_a_job_that_stages_goes_on_while_the_spec_is_refused() -> None:
    cluster = rollouts(good("a"), storage=CACHE)
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    (job,) = cluster.jobs()
    cluster.refused = True
    cluster.settle()
    assert cluster.jobs() == [job]


STEPS = st.one_of(
    st.tuples(st.just("engine"), st.sampled_from([good("a"), good("b"), bad("x"), bad("y")])),
    st.tuples(st.just("source"), st.sampled_from("ab")),
    st.tuples(st.just("replicas"), st.integers(1, 3)),
    st.tuples(st.just("refused"), st.booleans()),
    st.tuples(st.sampled_from(["roll", "run", "reconcile", "round", "retry", "complete"]), st.none()),
)


def play(cluster: Rollouts, name: str, value: Any) -> None:
    match name:
        case "engine" | "replicas":
            cluster.spec[name] = value
        case "refused":
            cluster.refused = value
        case "source":
            cluster.spec[name] = source(value)
        case "roll":
            cluster.roll()
        case "run":
            cluster.run()
        case "reconcile":
            cluster.reconcile()
        case "round":
            cluster.reconcile()
            cluster.roll()
            cluster.run()
        case "retry":
            cluster.deployment()["metadata"]["annotations"].pop(constants.ROLLED_BACK, None)
        case "complete":
            for job in cluster.jobs():
                complete(job)


@pytest.mark.parametrize("storage", [None, CACHE], ids=["with the pod", "cache"])
@settings(deadline=None, max_examples=30)
@given(steps=st.lists(STEPS, max_size=30))
def test_in_any_order_somebody_answers_all_the_time(storage: Object | None, steps: list[tuple[str, Any]]) -> None:
    cluster = rollouts(good("a"), storage=storage)
    for name, value in steps:
        play(cluster, name, value)
        assert cluster.answering(), f"nobody answers after {name}"
    cluster.settle()
    cluster.refused = False
    cluster.settle()
    for job in cluster.jobs():
        complete(job)
    cluster.settle()
    assert cluster.plan() == Plan([], []), "not at rest"
    assert cluster.answering() == cluster.spec.get("replicas", 1)
    standing = cluster.standing()
    assert standing.serves is not None
    assert "--good" in standing.serves.engine.args
    rolled_back = "--check-tensors" in cluster.spec["engine"]["args"]
    assert (standing.failed is not None, standing.serves != cluster.asked()) == (rolled_back, rolled_back)


@pytest.mark.parametrize("spec", IN_PLACE.values(), ids=IN_PLACE)
@settings(deadline=None, max_examples=30)
@given(steps=st.lists(STEPS, max_size=30))
def test_in_any_order_it_comes_to_rest_where_one_replaces_the_other(spec: Object, steps: list[tuple[str, Any]]) -> None:
    """Nobody may answer at the moment of a change, so a bad version may be without a net."""
    cluster = rollouts(good("a"), **spec)
    for name, value in steps:
        play(cluster, name, value)
    cluster.settle()
    cluster.refused = False
    cluster.settle()
    for job in cluster.jobs():
        complete(job)
    cluster.settle()
    assert cluster.plan() == Plan([], []), "not at rest"
    if "--good" in cluster.spec["engine"]["args"]:
        assert (cluster.standing(), cluster.answering()) == (Standing(cluster.asked()), cluster.spec.get("replicas", 1))
