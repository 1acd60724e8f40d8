"""The operator is killed while it creates models: its successor finishes, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.cluster import OPERATOR_NAMESPACE
from tests.e2e import audit, operator_pods
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e

MODELS = 5
"""At first; more in each attempt, so that the operator has more to do than it can before it is killed."""
ATTEMPTS = 5
KINDS = ("Deployment", "ReplicaSet", "Service", "PersistentVolumeClaim")


def _kill_operator_at_first_child(models: list[Model], server: FileServer) -> list[Model]:
    """Apply all models, and kill as soon as one has a child; the models that have no Deployment at that moment."""
    witness = server.witness

    def apply() -> None:
        for model in models:
            # Without servers: a node has no room for so many, while pods that only stage make room for each other.
            model.apply(source=server.source(), storage={"claim": {"size": "10Mi"}}, replicas=0)

    def begun() -> None:
        assert models[0].children("PersistentVolumeClaim")

    victims = operator_pods.by_uid(witness)
    with ThreadPoolExecutor(1) as other:
        applied = other.submit(apply)
        eventually(begun, timeout=30, every=0.01)
        for name in victims.values():
            witness.delete("Pod", name, OPERATOR_NAMESPACE, grace=0)
        unfinished = [model for model in models if not model.children("Deployment")]
        applied.result()

    def replaced() -> None:
        assert operator_pods.by_uid(witness).keys().isdisjoint(victims)

    eventually(replaced, timeout=60)
    return unfinished


def test_killed_in_the_middle_of_creation(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    for attempt in range(ATTEMPTS):
        models = [new_model(f"crowd-{attempt}-{number}") for number in range(MODELS * (1 + attempt))]
        if _kill_operator_at_first_child(models, files_in_cluster):
            break
        for model in models:
            model.delete()
    else:
        pytest.fail(f"the operator was done before it could be killed, {ATTEMPTS} times")
    for model in models:
        model.wait("Available", "ScaledToZero", timeout=180)
        assert {kind: len(model.children(kind)) for kind in KINDS} == dict.fromkeys(KINDS, 1)
        revision = model.children("Deployment")[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        assert revision == "1", "the successor asked for something else than the one that was killed"


def test_a_killed_leader_is_replaced(witness: Witness, served: Model) -> None:
    """Without a word about models that are as they should be."""
    before, since = eventually(lambda: operator_pods.leader(witness)), audit.now()
    witness.delete("Pod", before, OPERATOR_NAMESPACE, grace=0)

    def replaced() -> None:
        assert operator_pods.leader(witness) != before

    eventually(replaced, timeout=60)
    witness.delete("Service", served.name, served.namespace)

    def repaired() -> None:
        assert witness.get("Service", served.name, served.namespace) is not None

    eventually(repaired, timeout=60)
    served.ready()
    written = [name for name in audit.writes(audit.calls(since)) if "/status" not in name and "events" not in name]
    assert written == ["patch services"]
