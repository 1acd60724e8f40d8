"""Specs for sequences that are written by hand, and specs of objects that have nothing to do with us."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

PLAIN: Object = {"source": {"url": {"url": "http://files/m.gguf"}}}

_BACKEND = {"service": {"name": "x", "port": {"number": 80}}}
STRANGERS: dict[str, Object] = {
    "Deployment": {
        "selector": {"matchLabels": {"theirs": "x"}},
        "replicas": 0,
        "template": {
            "metadata": {"labels": {"theirs": "x"}},
            "spec": {"containers": [{"name": "x", "image": "x"}]},
        },
    },
    "Service": {"ports": [{"port": 1}]},
    "Ingress": {
        "rules": [
            {
                "host": "theirs.example.com",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]},
            }
        ]
    },
    "NetworkPolicy": {"podSelector": {"matchLabels": {"theirs": "x"}}},
    "PodDisruptionBudget": {"selector": {"matchLabels": {"theirs": "x"}}, "maxUnavailable": 1},
    "PersistentVolumeClaim": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def full(host: str = "m", **more: Any) -> Object:
    """A spec that asks for all children."""
    return {**PLAIN, "storage": {"claim": {"size": "1Gi"}}, "ingress": {"host": f"{host}.example.com"}, **more}
