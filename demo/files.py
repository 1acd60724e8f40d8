"""A file server inside the cluster, so that the operator downloads the model the way it would from anywhere.

It is Python's own, run from the operator's image: nothing else needs to be built or pulled.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

PORT = 8080
FOLDER = "/files"
PLAIN = ("python", "-m", "http.server", str(PORT), "--directory", FOLDER)
"""Serve the folder as it is."""

USER = 65532


def manifests(
    name: str, namespace: str, image: str, files: dict[str, bytes], command: Sequence[str] = PLAIN
) -> list[dict[str, Any]]:
    """ConfigMap, Deployment and Service that serve `files`, together at most 1 MiB, on port 8080."""
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    encoded = {key: base64.b64encode(content).decode() for key, content in sorted(files.items())}
    version = hashlib.sha256(repr((encoded, image, tuple(command))).encode()).hexdigest()[:16]
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": encoded},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    # Other files, another pod: the kubelet would take a minute to renew the folder of a running one.
                    "metadata": {"labels": {"app": name}, "annotations": {"files": version}},
                    "spec": _pod(name, image, command),
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
        },
    ]


def _pod(name: str, image: str, command: Sequence[str]) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Python as process 1 has no handler for SIGTERM; there is nothing to finish.
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "files",
                "image": image,
                "command": list(command),
                "env": [{"name": "PYTHONUNBUFFERED", "value": "1"}],
                "ports": [{"name": "http", "containerPort": PORT}],
                "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [{"name": "files", "mountPath": FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "files", "configMap": {"name": name}}],
    }
