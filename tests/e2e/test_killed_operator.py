"""The operator is killed while it creates models: its successor finishes, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.cluster import OPERATOR_NAMESPACE
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e

MODELS = 5
OPERATOR = "app.kubernetes.io/name=llama-operator"


def _operator_pods(witness: Witness) -> dict[str, str]:
    """Names of the operator's pods by uid."""
    pods = witness.all("Pod", OPERATOR_NAMESPACE, OPERATOR)
    return {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}


def test_killed_in_the_middle_of_creation(
    new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer
) -> None:
    models = [new_model(f"crowd-{number}") for number in range(MODELS)]
    before = _operator_pods(witness)
    for model in models:
        model.apply(source=files_in_cluster.source(), storage={"claim": {"size": "10Mi"}})

    def begun() -> None:
        assert [model for model in models if model.children("PersistentVolumeClaim")]

    eventually(begun, timeout=30)
    for name in before.values():
        witness.delete("Pod", name, OPERATOR_NAMESPACE, grace=0)

    def replaced() -> None:
        assert _operator_pods(witness).keys().isdisjoint(before)

    eventually(replaced, timeout=60)
    for model in models:
        model.ready(timeout=180)
        kinds = ("Deployment", "ReplicaSet", "Service", "PersistentVolumeClaim")
        assert {kind: len(model.children(kind)) for kind in kinds} == dict.fromkeys(kinds, 1)
        revision = model.children("Deployment")[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        assert revision == "1", "the successor asked for something else than the one that was killed"
