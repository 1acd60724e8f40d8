"""What all children have in common, and which there are."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator import constants
from llama_operator.resources import build, endpoints
from llama_operator.resources.job import stage_job
from tests.unit.resources.models import CONFIG, UID, model

FULL: dict[str, Any] = {"storage": {"claim": {"size": "1Gi"}}, "ingress": {"host": "a.example.com"}}


def children(**spec: Any) -> dict[str, dict[str, Any]]:
    return {child["kind"]: child for child in build(model(**spec), CONFIG)}


def test_which_children_and_in_which_order() -> None:
    assert list(children()) == ["Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"]
    assert list(children(**FULL, auth=None)) == [
        *("PersistentVolumeClaim", "Secret", "Deployment", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget")
    ]


def test_every_child_belongs_to_the_model() -> None:
    for child in children(**FULL).values():
        meta = child["metadata"]
        assert meta["namespace"] == "default"
        assert meta["labels"][constants.MODEL_LABEL] == "tiny"
        assert meta["labels"][constants.MANAGED_BY_LABEL] == constants.MANAGED_BY
        [owner] = meta["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("LlamaModel", "tiny", UID, True)


def test_building_twice_gives_the_same_and_shares_nothing() -> None:
    first, second = children(**FULL), children(**FULL)
    assert first == second
    first["Deployment"]["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0
    assert children(**FULL) == second, "a builder hands out a constant that can be changed"


def hashes(**spec: Any) -> dict[str, str]:
    return {kind: child["metadata"]["annotations"][constants.APPLIED_HASH] for kind, child in children(**spec).items()}


def test_the_hash_changes_with_what_is_asked_for() -> None:
    before, after = hashes(**FULL), hashes(**FULL | {"service": {"port": 80}})
    assert {kind for kind in before if before[kind] != after[kind]} == {"Service"}


def test_scaling_does_not_roll_the_pods() -> None:
    def template(replicas: int) -> Any:
        return children(replicas=replicas)["Deployment"]["spec"]["template"]

    assert template(1) == template(5)


def test_labels_of_the_user_never_replace_the_selector() -> None:
    """The CRD refuses them; an older CRD may not."""
    deployment = children(pod={"labels": {constants.MODEL_LABEL: "other", "team": "a"}})["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "a"
    assert labels.items() >= deployment["spec"]["selector"]["matchLabels"].items()


def test_only_servers_are_selected() -> None:
    """A pod that only stages has the model's label, too; requests must not go to it, and no Deployment adopt it."""
    made = children(**FULL)
    selectors = [made["Service"]["spec"]["selector"], made["Deployment"]["spec"]["selector"]["matchLabels"]]
    stager = stage_job(model(**FULL), CONFIG)["spec"]["template"]["metadata"]["labels"]
    server = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert [selector.items() <= server.items() for selector in selectors] == [True, True]
    assert [selector.items() <= stager.items() for selector in selectors] == [False, False]


@pytest.mark.parametrize(
    ("spec", "strategy"),
    [
        ({}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        (
            {"accelerator": {"type": "cuda"}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        (
            {"rollout": {"surge": "Never"}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        ({"storage": {"claim": {"size": "1Gi"}}}, {"type": "Recreate"}),
        (
            {"storage": {"claim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
        (
            {"storage": {"cache": {"claimName": "cache"}}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
    ],
)
def test_how_versions_follow_each_other(spec: Any, strategy: Any) -> None:
    assert children(**spec)["Deployment"]["spec"]["strategy"] == strategy


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ({}, "http://tiny.default.svc:8000", None),
        ({"service": {"port": 80}}, "http://tiny.default.svc:80", None),
        ({"ingress": {"host": "a.b"}}, "http://tiny.default.svc:8000", "http://a.b"),
        (
            {"ingress": {"host": "a.b", "path": "/m", "tls": {"secretName": "s"}}},
            "http://tiny.default.svc:8000/m",
            "https://a.b/m",
        ),
    ],
)
def test_addresses(spec: Any, inside: str, outside: str | None) -> None:
    assert endpoints.service_url(model(**spec)) == inside
    assert endpoints.ingress_url(model(**spec)) == outside
