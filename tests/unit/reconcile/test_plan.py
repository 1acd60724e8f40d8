"""What has to be written."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llama_operator.constants import APPLIED_HASH
from llama_operator.reconcile.plan import Plan, key, plan
from tests.unit.reconcile.objects import Object, children
from tests.unit.resources.models import EXAMPLES, example

STORAGE: dict[str, Any] = {"storage": {"claim": {"size": "1Gi"}}}
INGRESS: dict[str, Any] = {"ingress": {"host": "a.example.com"}}
REST = ["NetworkPolicy", "PodDisruptionBudget"]
NOTHING = Plan([], [])


def names(objects: list[Object]) -> list[str]:
    return [obj["kind"] for obj in objects]


def carry_out(wanted: Plan, observed: list[Object]) -> list[Object]:
    """What the cluster holds afterwards, if nobody else writes."""
    after = {key(obj): obj for obj in observed} | {key(obj): obj for obj in wanted.apply}
    return [obj for k, obj in after.items() if k not in {key(gone) for gone in wanted.delete}]


def test_absent_children_are_applied_in_order() -> None:
    wanted = plan(children(**STORAGE, **INGRESS), [])
    assert names(wanted.apply) == ["PersistentVolumeClaim", "Deployment", "Service", "Ingress", *REST]
    assert wanted.delete == []


def test_nothing_to_do() -> None:
    assert plan(children(**INGRESS), children(**INGRESS)) == NOTHING


def test_drift_is_repaired_where_it_is() -> None:
    observed = children()
    observed[0]["spec"]["template"]["spec"]["containers"][0]["args"] = ["--tools", "all"]
    assert names(plan(children(), observed).apply) == ["Deployment"]


def test_what_others_add_stays() -> None:
    observed = children()
    observed[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    observed[0]["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "proxy"})
    observed[0]["status"] = {"replicas": 1}
    assert plan(children(), observed) == NOTHING


def test_a_field_that_is_no_longer_wanted_is_taken_back() -> None:
    """It holds in what exists, so only the hash of what was last applied tells."""
    with_annotation = children(service={"annotations": {"a": "b"}})
    assert names(plan(children(), with_annotation).apply) == ["Service"]


def test_a_child_without_the_hash_is_applied() -> None:
    """Somebody took the annotation away, or copied the object."""
    observed = children()
    del observed[1]["metadata"]["annotations"][APPLIED_HASH]
    assert names(plan(children(), observed).apply) == ["Service"]
    del observed[1]["metadata"]["annotations"]
    assert names(plan(children(), observed).apply) == ["Service"]


def test_children_that_are_no_longer_wanted_are_deleted() -> None:
    wanted = plan(children(), children(**INGRESS))
    assert (names(wanted.apply), names(wanted.delete)) == ([], ["Ingress"])


def test_a_claim_is_never_deleted() -> None:
    """The API server lets nobody take the storage away; if it did, the file would still be there."""
    assert plan(children(), children(**STORAGE)).delete == []


def test_a_secret_is_made_when_the_first_pods_are_to_mount_it_and_never_looked_at_again() -> None:
    keyed, open_ = children(auth={"generate": True}), children()
    assert names(plan(keyed, []).apply)[:2] == ["Secret", "Deployment"]
    assert names(plan(keyed, open_).apply) == ["Secret", "Deployment"]
    mounted = [child for child in keyed if child["kind"] != "Secret"]
    assert plan(keyed, mounted) == NOTHING
    held = [*open_, keyed[0]]  # the old pods stay until other files are staged
    assert plan(held, open_) == NOTHING
    assert plan(open_, keyed).delete == []


def test_objects_of_others_are_never_deleted_and_count_as_absent() -> None:
    observed = children(**INGRESS)
    for obj in observed:
        obj["metadata"]["ownerReferences"][0]["uid"] = "the model of this name before"
    wanted = plan(children(), observed)
    assert (names(wanted.apply), wanted.delete) == (["Deployment", "Service", *REST], [])
    for obj in observed:
        del obj["metadata"]["ownerReferences"]
    wanted = plan(children(), observed)
    assert (names(wanted.apply), wanted.delete) == (["Deployment", "Service", *REST], [])


def test_an_owner_that_is_no_controller_does_not_count() -> None:
    observed = children(**INGRESS)
    for obj in observed:
        obj["metadata"]["ownerReferences"][0]["controller"] = False
    wanted = plan(children(), observed)
    assert (names(wanted.apply), wanted.delete) == (["Deployment", "Service", *REST], [])


def test_children_that_are_going_are_left_alone() -> None:
    """Their end is an event; then they are absent, and applied."""
    observed = children(**INGRESS)
    for obj in observed:
        obj["metadata"]["deletionTimestamp"] = "2026-11-24T02:00:00Z"
        obj["spec"] = {}
    assert plan(children(), observed) == NOTHING


specs = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 3),
        "service": st.fixed_dictionaries({"port": st.sampled_from([80, 8000])}),
        "engine": st.fixed_dictionaries({"args": st.lists(st.sampled_from(["--verbose", "--no-warmup"]), max_size=2)}),
    },
    optional={
        "storage": st.just(STORAGE["storage"]),
        "ingress": st.just(INGRESS["ingress"]),
        "accelerator": st.just({"type": "cuda"}),
        "pod": st.just({"nodeSelector": {"limits": "a"}}),
    },
) | st.sampled_from([example(path)["spec"] for path in EXAMPLES])


@given(specs, specs)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(before: Any, after: Any) -> None:
    observed = children(**before)
    desired = children(**after)
    untouched = copy.deepcopy((desired, observed))
    wanted = plan(desired, observed)
    assert (desired, observed) == untouched, "planning changed its input"
    assert plan(desired, carry_out(wanted, observed)) == NOTHING
    if before == after:
        assert wanted == NOTHING
