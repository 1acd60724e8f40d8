"""A new version of the operator: it takes over, and no model notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from demo import cluster
from tests.e2e import audit, operator_pods
from tests.e2e.conftest import VALUES, FileServer
from tests.e2e.container import docker
from tests.e2e.test_quiet import settle
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def upgraded(images: dict[str, str], witness: Witness) -> Iterator[str]:
    """The operator's image under another name: to everybody it is another image."""
    new = f"{images['operator']}-next"
    for node in cluster.kubectl("get", "nodes", "-o", "name").split():
        docker(
            "exec",
            node.partition("/")[2],
            "ctr",
            "--namespace=k8s.io",
            "images",
            "tag",
            "--force",
            images["operator"],
            new,
        )
    yield new
    cluster.install(images, values=VALUES)


def test_the_models_pods_stay(
    upgraded: str,
    images: dict[str, str],
    witness: Witness,
    served: Model,
    files_in_cluster: FileServer,
    new_model: Callable[[str], Model],
) -> None:
    settle()
    pods = {pod["metadata"]["uid"] for pod in served.pods()}
    leader, since = operator_pods.leader(witness), audit.now()
    cluster.install({**images, "operator": upgraded}, values=VALUES)

    def taken_over() -> None:
        assert operator_pods.leader(witness) != leader

    eventually(taken_over, timeout=30)
    settle()
    assert audit.writes(audit.calls(since)) == []
    assert {pod["metadata"]["uid"] for pod in served.pods()} == pods

    model = new_model("after-the-upgrade")
    model.apply(source=files_in_cluster.source(), replicas=0)

    def stager(of: Model) -> str:
        (deployment,) = of.children("Deployment")
        return str(deployment["spec"]["template"]["spec"]["initContainers"][0]["image"])

    model.wait("Available", "ScaledToZero")
    assert (stager(model), stager(served)) == (upgraded, images["operator"])
