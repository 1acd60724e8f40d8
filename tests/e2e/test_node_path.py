"""A folder of the nodes as a cache, for a namespace that may have hostPath volumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from demo import cluster
from tests.e2e import serve
from tests.e2e.conftest import NODE_PATH, FileServer
from tests.e2e.test_staging import path
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

POD = "node"
_LIST = """
import json, pathlib, sys
print(json.dumps(sorted(p.parent.name for p in pathlib.Path("/node", sys.argv[1]).glob("sha256/*/[!.]*"))))
"""
_REMOVE = "import shutil, sys; shutil.rmtree('/node/' + sys.argv[1], ignore_errors=True)"


@dataclass(frozen=True)
class Tenant:
    """A namespace that may have hostPath volumes, and a pod in it that prepares and reads the folder of its node."""

    witness: Witness
    namespace: str
    node: str

    def files(self) -> list[str]:
        """Digests of the files that are published in the namespace's part of the folder."""
        return list(json.loads(self.python(_LIST, self.namespace)))

    def python(self, code: str, *arguments: str) -> str:
        return cluster.kubectl("exec", "-n", self.namespace, POD, "--", "python", "-c", code, *arguments)


def _pod(namespace: str, image: str) -> Object:
    """It does what the platform's owner does: makes the folder, and lets the models' group write in it."""
    container = {
        "name": POD,
        "image": image,
        "command": ["python", "-c", "import signal; signal.pause()"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "node", "mountPath": "/node"}],
    }
    folder = {"name": "node", "hostPath": {"path": NODE_PATH, "type": "DirectoryOrCreate"}}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [folder]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": namespace}, "spec": spec}


@pytest.fixture(scope="module")
def tenant(witness: Witness, files_in_cluster: FileServer, images: dict[str, str]) -> Iterator[Tenant]:
    name = f"{files_in_cluster.namespace}-node"
    witness.apply(cluster.namespace(name, {"pod-security.kubernetes.io/enforce": "privileged"}))
    witness.apply(_pod(name, images["operator"]))

    def running() -> str:
        pod = witness.get("Pod", POD, name)
        assert pod is not None
        assert pod["status"].get("phase") == "Running", pod["status"]
        return str(pod["spec"]["nodeName"])

    made = Tenant(witness, name, eventually(running, timeout=120))
    made.python("import os; os.chmod('/node', 0o777)")
    yield made
    for model in witness.all("LlamaModel", name):
        witness.delete("LlamaModel", model["metadata"]["name"], name)
    made.python(_REMOVE, name)
    witness.delete("Namespace", name)


def test_models_of_a_node_share_one_download(tenant: Tenant, files_in_cluster: FileServer) -> None:
    server = files_in_cluster
    source = server.big()
    source["url"]["url"] += "?node"
    models = [Model(tenant.witness, tenant.namespace, name) for name in ("on-node-a", "on-node-b")]
    for model in models:
        here = {"nodeSelector": {"kubernetes.io/hostname": tenant.node}}
        model.apply(source=source, storage={"cache": {"nodePath": NODE_PATH}}, pod=here)
    for model in models:
        model.ready(timeout=180)

    def sent_once() -> None:
        assert server.sent(path(source, server)) == serve.BIG

    eventually(sent_once, timeout=10)  # the server says so when its answer has ended, and the stager may be faster
    assert tenant.files() == [source["url"]["sha256"]]


def test_a_folder_that_is_not_given_is_refused(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("outside")
    model.apply(source=files_in_cluster.source(), storage={"cache": {"nodePath": "/etc/kubernetes"}})
    stalled = model.wait("Stalled", "Invalid")
    assert stalled["message"].startswith("spec.storage.cache.nodePath: ")
    assert NODE_PATH in stalled["message"], "what is allowed is told"
    assert model.children("Deployment") == []
