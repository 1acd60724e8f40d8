"""The network lets through to a model's pods what its NetworkPolicy says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llama_operator.api.sidecar import FACTS_PATH
from llama_operator.api.sidecar import PORT as SIDECAR_PORT
from tests.e2e.conftest import HOST_DOMAIN, FileServer, both_routes
from tests.e2e.routes import NoAnswerError, Route, ThroughService
from tests.e2e.test_served import facts
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e

NEIGHBOUR: Object = {"podSelector": {"matchLabels": {"app": "somebody-else"}}}
CONTROLLER: Object = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}


def sidecar(model: Model, server: FileServer) -> ThroughService:
    """Asked by a pod of the model's namespace, at the address of the model's pod."""
    (pod,) = model.pods()
    return ThroughService(f"http://{pod['status']['podIP']}:{SIDECAR_PORT}", server.namespace, server.pod())


def answers(route: Route, path: str = "/health") -> None:
    def check() -> None:
        assert route(path).status == 200

    eventually(check, timeout=60)


def silent(route: Route, path: str = "/health") -> None:
    def check() -> None:
        with pytest.raises(NoAnswerError):
            route(path)

    eventually(check, timeout=60)


def test_what_a_server_tells_the_operator_is_for_the_operator_alone(
    served: Model, files_in_cluster: FileServer
) -> None:
    assert facts(served)["build"], "the operator has asked the sidecar"
    silent(sidecar(served, files_in_cluster), FACTS_PATH)
    for route in both_routes(served, files_in_cluster).values():
        answers(route)


def test_the_model_is_for_whom_the_spec_names(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    """First for somebody else, then for the Ingress controller, at last without a policy."""
    model = new_model("guarded")
    host = f"guarded-{files_in_cluster.namespace}.{HOST_DOMAIN}"
    rest: Object = {"source": files_in_cluster.source(), "auth": {"none": True}, "ingress": {"host": host}}
    model.apply(**rest, networkPolicy={"from": [NEIGHBOUR]})
    model.ready()
    pods = {pod["metadata"]["uid"] for pod in model.pods()}
    inside, outside = both_routes(model, files_in_cluster).values()
    silent(inside)
    assert outside("/health").status >= 500, "the Ingress controller is answered by nobody"
    model.apply(**rest, networkPolicy={"from": [CONTROLLER]})
    answers(outside)
    silent(inside)
    model.apply(**rest, networkPolicy={"enabled": False})
    answers(inside)
    answers(sidecar(model, files_in_cluster), FACTS_PATH)
    assert {pod["metadata"]["uid"] for pod in model.pods()} == pods


def test_who_asks_a_model_without_servers_is_told_at_once(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    """As on any cluster: what enforces policies has not taken the place of kube-proxy's refusal."""
    model = new_model("stopped")
    model.apply(source=files_in_cluster.source(), replicas=0)
    model.wait("Available", "ScaledToZero")
    url = model.read()["status"]["url"]

    def refused() -> None:
        with pytest.raises(NoAnswerError, match="refused"):
            ThroughService(url, files_in_cluster.namespace, files_in_cluster.pod())("/health")

    eventually(refused, timeout=60)
