"""An edited spec is rolled out; what is no longer asked for goes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.cluster import kubectl
from models.tiny_gguf import REPLY
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.model_files import OTHER_NAME, OTHER_REPLY, sha256
from tests.e2e.routes import Route, ThroughService
from tests.e2e.witness import Model, eventually

pytestmark = pytest.mark.e2e

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


def _says(route: Route, reply: str) -> None:
    def check() -> None:
        answer = route("/v1/chat/completions", CHAT)
        assert answer.status == 200, answer
        assert answer.json()["choices"][0]["message"]["content"] == reply

    eventually(check, timeout=30)


def _serves(route: Route, slots: int, context: int) -> None:
    """To be asked again: kube-proxy may send a request to the old pod for a moment, which answers until it ends."""
    props = route("/props").json()
    assert (props["total_slots"], props["default_generation_settings"]["n_ctx"]) == (slots, context)


def test_an_edited_spec_is_rolled_out(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    server = files_in_cluster
    model = new_model("edited")
    model.apply(source=server.source(), ingress={"host": f"edited-{model.namespace}.{HOST_DOMAIN}"})
    first = model.ready()
    route = ThroughService(first["url"], server.namespace, server.pod())
    _says(route, REPLY)
    assert first["model"]["name"] == "tiny-handmade"

    # Other engine settings, another file, and no Ingress any more.
    model.apply(source=server.source("other.gguf"), engine={"slots": 3, "contextSize": 256})
    second = model.ready()
    _says(route, OTHER_REPLY)
    eventually(lambda: _serves(route, slots=3, context=256), timeout=30)
    assert second["model"]["name"] == OTHER_NAME
    assert second["model"]["sha256"] == sha256(server.content["other.gguf"])
    assert second["observedGeneration"] > first["observedGeneration"]
    assert "ingressURL" not in second
    assert model.children("Ingress") == []


def test_scale(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("scaled")
    model.apply(source=files_in_cluster.source())
    model.ready()
    kubectl_scale(model, 2)
    status = model.ready()
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    kubectl_scale(model, 0)
    model.wait("Ready", "ScaledToZero", timeout=30)
    eventually(lambda: _count(model, 0), timeout=90)


def kubectl_scale(model: Model, replicas: int) -> None:
    kubectl("scale", f"llama/{model.name}", f"--replicas={replicas}", "-n", model.namespace)


def _count(model: Model, pods: int) -> None:
    assert len(model.pods()) == pods
    assert model.read()["status"]["replicas"] == pods


def test_a_deleted_model_leaves_nothing(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("deleted")
    model.apply(
        source=files_in_cluster.source(),
        storage={"claim": {"size": "10Mi"}},
        ingress={"host": f"deleted-{model.namespace}.{HOST_DOMAIN}"},
        auth={"generate": True},
    )
    model.ready(timeout=120)
    kinds = (
        *("Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "Ingress", "PersistentVolumeClaim"),
        *("NetworkPolicy", "PodDisruptionBudget", "Secret"),
    )
    for kind in kinds:
        assert model.children(kind), f"{kind} is found by the label while the model lives"
    model.delete()

    def nothing() -> None:
        assert {kind: len(model.children(kind)) for kind in kinds} == dict.fromkeys(kinds, 0)

    eventually(nothing, timeout=90)
