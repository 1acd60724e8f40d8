"""The operator is killed while it creates models: its successor finishes, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.cluster import OPERATOR_NAMESPACE
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e

MODELS = 5
ATTEMPTS = 5
OPERATOR = "app.kubernetes.io/name=llama-operator"
KINDS = ("Deployment", "ReplicaSet", "Service", "PersistentVolumeClaim")


def _operator_pods(witness: Witness) -> dict[str, str]:
    """Names of the operator's pods by uid."""
    pods = witness.all("Pod", OPERATOR_NAMESPACE, OPERATOR)
    return {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}


def _kill_operator_at_first_child(models: list[Model], server: FileServer) -> list[Model]:
    """Apply all models, and kill as soon as one has a child; the models that have no Deployment at that moment."""
    witness = server.witness

    def apply() -> None:
        for model in models:
            model.apply(source=server.source(), storage={"claim": {"size": "10Mi"}})

    def begun() -> None:
        assert models[0].children("PersistentVolumeClaim")

    victims = _operator_pods(witness)
    with ThreadPoolExecutor(1) as other:
        applied = other.submit(apply)
        eventually(begun, timeout=30, every=0.01)
        for name in victims.values():
            witness.delete("Pod", name, OPERATOR_NAMESPACE, grace=0)
        unfinished = [model for model in models if not model.children("Deployment")]
        applied.result()

    def replaced() -> None:
        assert _operator_pods(witness).keys().isdisjoint(victims)

    eventually(replaced, timeout=60)
    return unfinished


def test_killed_in_the_middle_of_creation(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    for attempt in range(ATTEMPTS):
        models = [new_model(f"crowd-{attempt}-{number}") for number in range(MODELS)]
        if _kill_operator_at_first_child(models, files_in_cluster):
            break
        for model in models:
            model.delete()
    else:
        pytest.fail(f"the operator was done before it could be killed, {ATTEMPTS} times")
    for model in models:
        model.ready(timeout=180)
        assert {kind: len(model.children(kind)) for kind in KINDS} == dict.fromkeys(KINDS, 1)
        revision = model.children("Deployment")[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        assert revision == "1", "the successor asked for something else than the one that was killed"
