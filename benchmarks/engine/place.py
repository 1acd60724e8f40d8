"""A namespace of the cluster with the operator installed: the model on two volumes, and a pod from which is asked.

The pod also serves the file, so that a cache can be filled from it as from anywhere.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine import client
from demo import cluster
from llama_operator.constants import SERVER_PORT
from llama_operator.resources.server import CONTAINER_NAME as SERVER

PORT = 8080
FILE = "model.gguf"
VOLUME, CACHE, CLIENT = "models", "cache", "client"
APPLY = ("apply", "--validate=ignore", "--filename=-")
"""What this version of the API does not know is dropped."""
_USER = 65532

Object = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """`sha256` is the model's, `image` the server's."""

    namespace: str
    sha256: str
    image: str

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Raises demo.cluster.StepError with what it said."""
        return cluster.kubectl("--namespace", self.namespace, *words, stdin=stdin)

    def apply(self, manifest: Object) -> None:
        self.kubectl(*APPLY, stdin=json.dumps(manifest))

    def in_pod(self, asked: Object) -> Any:
        """What `client` answers in the pod."""
        code = Path(client.__file__).read_text()
        return json.loads(self.kubectl("exec", "-i", CLIENT, "--", "python", "-c", code, stdin=json.dumps(asked)))

    def model(self, name: str, *, cached: bool, host: str = "") -> Object:
        """A LlamaModel of the file: on a volume of the user's, or by URL in a cache. One thread, as the bare engine."""
        digest = {"sha256": self.sha256}
        url = f"http://{CLIENT}.{self.namespace}.svc:{PORT}/{FILE}"
        source = {"url": {"url": url}} if cached else {"volume": {"claimName": VOLUME, "path": FILE}}
        spec: Object = {"source": source, "engine": {"threads": 1, "contextSize": 2048}, "auth": {"none": True}}
        if cached:
            source["url"] |= digest
            spec["storage"] = {"cache": {"claimName": CACHE}}
        if host:
            spec["ingress"] = {"host": host}
        return {
            "apiVersion": "llama-operator.dev/v1alpha1",
            "kind": "LlamaModel",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }

    def by_hand(self, name: str) -> list[Object]:
        """The least that serves the file on the volume without an operator: a Deployment and a Service.

        Its readiness is asked for each second, the shortest period that Kubernetes has, and nothing else.
        """
        labels = {"app": name}
        command = ["--model", f"/files/{FILE}", "--threads", "1", "--ctx-size", "2048"]
        server = {
            "name": SERVER,
            "image": self.image,
            "args": command,
            "readinessProbe": {"httpGet": {"path": "/health", "port": SERVER_PORT}, "periodSeconds": 1},
        }
        return [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": _pod(server)},
                },
            },
            _service(self.namespace, name, SERVER_PORT),
        ]


@contextmanager
def prepared(model: Path) -> Iterator[Place]:
    """Have the cluster, the images and the operator, and a namespace with this model; the namespace is gone at the end.

    Raises demo.cluster.StepError.
    """
    cluster.ground("up")
    images = cluster.build("operator", "llama-server")
    cluster.ground("load", *images.values())
    cluster.install(images)
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    place = Place(f"bench-{secrets.token_hex(3)}", digest, images["llama-server"])
    cluster.apply([cluster.namespace(place.namespace, cluster.RESTRICTED)])
    try:
        cluster.apply([*(_claim(place.namespace, name) for name in (VOLUME, CACHE)), *_client(place, images)])
        place.kubectl("wait", "--for=condition=Ready", f"pod/{CLIENT}", "--timeout=120s")
        place.kubectl("cp", "--no-preserve", str(model), f"{CLIENT}:/files/{FILE}")
        yield place
    finally:
        cluster.kubectl("delete", "namespace", place.namespace, "--wait=false")


def _claim(namespace: str, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }


def _client(place: Place, images: dict[str, str]) -> list[Object]:
    metadata = {"name": CLIENT, "namespace": place.namespace, "labels": {"app": CLIENT}}
    container = {
        "name": CLIENT,
        "image": images["operator"],
        "command": ["python", "-m", "http.server", str(PORT), "--directory", "/files"],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod(container)},
        _service(place.namespace, CLIENT, PORT),
    ]


def _pod(container: Object) -> Object:
    """A pod of one container that has the volume with the file, as locked down as the namespace wants it."""
    locked_down = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    mounted = [{"name": "files", "mountPath": "/files"}]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{**container, "securityContext": locked_down, "volumeMounts": mounted}],
        "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": VOLUME}}],
    }


def _service(namespace: str, name: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": port}]},
    }
