"""The kinds of source and of storage: what is downloaded, how often, and with whose token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.tiny_gguf import REPLY
from tests.e2e import s3_pod, serve
from tests.e2e.conftest import SERVER, FileServer
from tests.e2e.routes import ThroughService
from tests.e2e.test_rollout import CHAT
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e


def _answers(model: Model, server: FileServer) -> None:
    route = ThroughService(model.read()["status"]["url"], server.namespace, server.pod())

    def check() -> None:
        answer = route("/v1/chat/completions", CHAT)
        assert answer.status == 200, answer
        assert answer.json()["choices"][0]["message"]["content"] == REPLY

    eventually(check, timeout=30)


def test_a_second_pod_downloads_nothing_from_persistent_storage(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server = files_in_cluster
    path = "/files/tiny.gguf?persistent"
    model = new_model("persistent")
    source = server.source()
    source["url"]["url"] += "?persistent"
    model.apply(source=source, storage={"claim": {"size": "10Mi"}})
    model.ready(timeout=120)
    assert server.requests(path) == 1
    first = model.pods()[0]["metadata"]["uid"]
    model.witness.delete("Pod", model.pods()[0]["metadata"]["name"], model.namespace)

    def another() -> None:
        assert [pod["metadata"]["uid"] for pod in model.pods()] not in ([], [first])
        assert model.condition("Ready")["status"] == "True"

    eventually(another, timeout=120)
    _answers(model, server)
    assert server.requests(path) == 1, "the file was downloaded again"


@pytest.fixture
def claim_with_model(witness: Witness, files_in_cluster: FileServer) -> Any:
    """A PersistentVolumeClaim that somebody else has filled."""
    server = files_in_cluster
    meta = {"name": "shared-models", "namespace": server.namespace}
    witness.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": meta,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
        }
    )
    witness.apply(_filler(witness, server, meta["name"]))

    def filled() -> None:
        pod = witness.get("Pod", "filler", server.namespace)
        assert pod is not None
        assert pod["status"]["phase"] == "Succeeded", pod["status"]

    eventually(filled, timeout=120)
    witness.delete("Pod", "filler", server.namespace)
    yield meta["name"]
    witness.delete("PersistentVolumeClaim", meta["name"], server.namespace)


def _filler(witness: Witness, server: FileServer, claim: str) -> Object:
    """A pod like the file server's, which copies the model file into the volume."""
    deployment = witness.get("Deployment", SERVER, server.namespace)
    assert deployment is not None
    spec: Object = json.loads(json.dumps(deployment["spec"]["template"]["spec"]))
    spec["restartPolicy"] = "Never"
    spec["securityContext"]["fsGroup"] = 65532
    spec["volumes"].append({"name": "target", "persistentVolumeClaim": {"claimName": claim}})
    container = spec["containers"][0]
    copy = (
        "import os, shutil; os.makedirs('/target/llms'); shutil.copyfile('/files/tiny.gguf', '/target/llms/a b.gguf')"
    )
    container["command"] = ["python", "-c", copy]
    container["volumeMounts"].append({"name": "target", "mountPath": "/target"})
    del container["readinessProbe"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "filler", "namespace": server.namespace},
        "spec": spec,
    }


def test_a_file_in_a_volume_is_served_in_place(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, claim_with_model: str
) -> None:
    model = new_model("from-volume")
    digest = files_in_cluster.source()["url"]["sha256"]
    model.apply(source={"volume": {"claimName": claim_with_model, "path": "llms/a b.gguf", "sha256": digest}})
    status = model.ready()
    assert status["model"]["sha256"] == digest
    _answers(model, files_in_cluster)


@pytest.mark.parametrize("file", [{"file": "tiny.gguf"}, {"quantization": "f16"}], ids=lambda file: next(iter(file)))
def test_a_private_file_of_the_hub(
    file: Object, new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer
) -> None:
    server = files_in_cluster
    witness.secret("hub", server.namespace, {"token": serve.TOKEN})
    model = new_model(f"hub-{next(iter(file))}")
    before = server.requests("/cdn/tiny.gguf")
    hub = {"repo": "private/model", "endpoint": server.address, **file}
    model.apply(source={"huggingFace": {**hub, "tokenSecretRef": {"name": "hub", "key": "token"}}})
    status = model.ready()
    assert status["model"]["revision"] == serve.COMMIT
    assert status["model"]["sha256"] == server.source()["url"]["sha256"]
    assert server.requests("/cdn/tiny.gguf") > before
    _answers(model, server)


def test_an_object_of_s3(
    new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer, s3: str
) -> None:
    server = files_in_cluster
    keys = {"accessKeyID": s3_pod.ACCESS_KEY, "secretAccessKey": s3_pod.SECRET_KEY}
    witness.secret("s3-keys", server.namespace, keys)
    witness.secret("s3-wrong", server.namespace, {**keys, "secretAccessKey": "another-secret-key"})
    models = {name: new_model(name) for name in ("s3-keys", "s3-wrong")}
    source = {"uri": f"s3://{s3_pod.BUCKET}/llms/tiny.gguf", "endpoint": s3, "region": s3_pod.REGION}
    for name, model in models.items():
        model.apply(source={"s3": {**source, "credentialsSecretRef": {"name": name}}})
    status = models["s3-keys"].ready()
    assert status["model"]["sha256"] == server.source()["url"]["sha256"]
    _answers(models["s3-keys"], server)
    assert "s3.credentialsSecretRef" in models["s3-wrong"].wait("Staged", "Unauthorized")["message"]


@pytest.fixture
def s3(files_in_cluster: FileServer) -> Iterator[str]:
    """Address of an S3 server that has the tiny model."""
    yield s3_pod.start(files_in_cluster)
    s3_pod.remove(files_in_cluster)
