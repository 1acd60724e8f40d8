"""Secrets of a source: used where they are meant for, seen nowhere, and waited for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from demo.cluster import OPERATOR_NAMESPACE
from tests.e2e import operator_pods, serve
from tests.e2e.conftest import FileServer
from tests.e2e.witness import MODEL_LABEL, Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

KINDS = ("LlamaModel", "Deployment", "ReplicaSet", "Job", "Pod", "Event")
WRONG = "not-the-key-at-all"


def places(server: FileServer, text: str) -> list[str]:
    """Where it is read, plain or in base64, by somebody who may read all but Secrets."""
    witness, namespace = server.witness, server.namespace
    found = {
        f"{kind} {obj['metadata']['name']}": json.dumps(obj) for kind in KINDS for obj in witness.all(kind, namespace)
    }
    for pod in witness.all("Pod", namespace, MODEL_LABEL):
        if "deletionTimestamp" in pod["metadata"]:
            continue  # its log may be gone at any moment
        name = pod["metadata"]["name"]
        found |= {f"log of {c} of {name}": witness.log(name, namespace, c) for c in _begun(pod)}
    for name in operator_pods.by_uid(witness).values():
        found[f"log of {name}"] = witness.log(name, OPERATOR_NAMESPACE)
    forms = (text, base64.b64encode(text.encode()).decode())
    return [place for place, content in found.items() if any(form in content for form in forms)]


def _begun(pod: Object) -> list[str]:
    """Containers that have a log."""
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [c["name"] for c in containers if c.get("containerID")]


def test_headers_are_sent_to_their_host_and_told_to_nobody(
    new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer
) -> None:
    server = files_in_cluster
    witness.secret("right-key", server.namespace, {serve.HEADER: serve.KEY})
    witness.secret("wrong-key", server.namespace, {serve.HEADER: WRONG})
    models = {name: new_model(name) for name in ("right-key", "wrong-key")}
    for name, model in models.items():
        url = {"url": f"{server.address}/secret/tiny.gguf", "headersSecretRef": {"name": name}}
        model.apply(source={"url": url})
    # The file itself is on another host, which refuses whoever brings the header.
    status = models["right-key"].ready()
    assert status["model"]["sha256"] == server.source()["url"]["sha256"]
    models["wrong-key"].wait("Staged", "Unauthorized")

    pod = models["right-key"].pods()[0]["metadata"]["name"]
    assert f"log of stage of {pod}" in places(server, status["model"]["name"]), "what is there is found"
    assert f"Pod {pod}" in places(server, "/secret/tiny.gguf")
    assert places(server, serve.KEY) == []
    assert places(server, WRONG) == []


def test_a_secret_that_is_missing_is_told_and_waited_for(
    new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("secret-later")
    hub = {"repo": "private/model", "quantization": "F16", "endpoint": server.address}
    model.apply(source={"huggingFace": {**hub, "tokenSecretRef": {"name": "later", "key": "token"}}})

    def told() -> None:
        condition = model.condition("Ready")
        assert condition["status"] == "False"
        assert "tokenSecretRef" in condition["message"], condition

    eventually(told, timeout=90)
    witness.secret("later", server.namespace, {"token": serve.TOKEN})
    # Both the kubelet's view of the Secret and its next start of the stager may be minutes away.
    model.ready(timeout=420)
    assert places(server, serve.TOKEN) == []
