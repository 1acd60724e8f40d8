"""The operator's rights, in the cluster where it works: none is missing, and none is there that it does not use.

What the other tests leave out, the seldom cases, happens here: this file proves it alone as well as after the others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from demo.cluster import OPERATOR_NAMESPACE, RELEASE
from tests.e2e import audit
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

Right = tuple[str, str, str]


NEVER: Object = {"name": "a", "image": "localhost/none", "imagePullPolicy": "Never"}


def granted(witness: Witness) -> set[Right]:
    roles = [
        witness.get("ClusterRole", RELEASE),
        witness.get("Role", f"{RELEASE}-lead", OPERATOR_NAMESPACE),
    ]
    return {
        (group, resource, verb)
        for role in roles
        for rule in (role or {})["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def taken(name: str, namespace: str) -> list[Object]:
    """Somebody else's objects with the names of a model's children."""
    meta = {"name": name, "namespace": namespace}
    other = {"name": "other"}
    pod = {
        "metadata": {"labels": other},
        "spec": {"containers": [NEVER]},
    }
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
        "storageClassName": "none",
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**meta, "name": f"{name}-model"},
            "spec": claim,
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"replicas": 0, "selector": {"matchLabels": other}, "template": pod},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 1}]}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": {
                "ingressClassName": "none",
                "defaultBackend": {"service": {"name": "none", "port": {"number": 1}}},
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": meta,
            "spec": {"podSelector": {"matchLabels": other}},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": other}},
        },
    ]


def name_of_one(objects: list[Object]) -> str:
    assert len(objects) == 1
    return str(objects[0]["metadata"]["name"])


def none(objects: list[Object]) -> None:
    assert objects == []


def test_each_right_is_used_and_none_is_missing(
    witness: Witness, files_in_cluster: FileServer, new_model: Callable[[str], Model]
) -> None:
    namespace = files_in_cluster.namespace
    strangers = taken("taken", namespace)
    for stranger in strangers:
        witness.create(stranger)
    unlucky = new_model("taken")
    host = f"taken.{HOST_DOMAIN}"
    claim = {"claim": {"size": "10Mi"}}
    unlucky.apply(source=files_in_cluster.source(), replicas=0, storage=claim, ingress={"host": host})
    unlucky.wait("Stalled", "NameConflict")
    for stranger in strangers:
        witness.delete(stranger["kind"], stranger["metadata"]["name"], namespace)

    # One whose Job has a name that is taken, and which then needs none any more.
    prefetched = new_model("prefetched")
    spec = {"source": files_in_cluster.source(), "storage": {"claim": {"size": "10Mi"}}, "replicas": 0}
    prefetched.apply(**spec)
    job = eventually(lambda: name_of_one(prefetched.children("Job")), timeout=30)
    prefetched.delete()
    eventually(lambda: none(prefetched.children("Job")), timeout=60)
    stranger = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job, "namespace": namespace},
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [NEVER]}}},
    }
    witness.create(stranger)
    prefetched.apply(**spec)
    prefetched.wait("Stalled", "NameConflict")
    witness.delete("Job", job, namespace)
    prefetched.wait("Ready", "ScaledToZero", timeout=120)
    prefetched.apply(**spec | {"replicas": 1})

    # One that gives its Ingress and its NetworkPolicy up again, and whose volume never comes.
    model = new_model("exposed")
    waiting = {"claim": {"size": "10Mi", "storageClassName": "none"}}
    model.apply(source=files_in_cluster.source(), storage=waiting, ingress={"host": host, "className": "none"})
    model.wait("Exposed", "IngressPending")
    model.apply(
        source=files_in_cluster.source(), storage=waiting, networkPolicy={"enabled": False}, auth={"generate": True}
    )
    model.wait("Exposed", "Exposed")

    def used() -> None:
        calls = audit.calls(datetime.fromtimestamp(0, UTC))
        refused = [call for call in calls if call["responseStatus"]["code"] == 403]
        assert [call for call in refused if call["annotations"]["authorization.k8s.io/decision"] == "forbid"] == []
        assert granted(witness) - audit.rights(calls) == set()

    eventually(used, timeout=60)
