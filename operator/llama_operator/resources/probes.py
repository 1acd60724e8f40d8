"""What the kubelet asks about a llama-server, and what it does before it ends one.

Whether the engine works is the sidecar's to judge. The kubelet asks it only once in the life of a container, whether
the first request has been answered, and before the end, whether the last one has. After that it asks llama-server
itself: a sidecar that is gone must not take a server with it that works.
"""

from __future__ import annotations

from typing import Any

from llama_operator.api.sidecar import DRAIN_PATH, PORT, START_PATH, START_WAIT_SECONDS
from llama_operator.api.types import LlamaModel
from llama_operator.resources.endpoints import prefix

START_SECONDS = 1800
"""How long loading a model and a first answer may take before the container is restarted."""

STOP_SECONDS = 10
"""For a container that a probe has given up: it will not drain, and one that hangs ends only when it is killed."""


def probes(model: LlamaModel) -> dict[str, Any]:
    """Probes and hook of the container."""
    check = _check(model)
    given_up = {"terminationGracePeriodSeconds": STOP_SECONDS}
    return {
        "startupProbe": {
            **_sidecar(START_PATH),
            "periodSeconds": START_WAIT_SECONDS,
            "timeoutSeconds": 5,
            "failureThreshold": START_SECONDS // START_WAIT_SECONDS,
            **given_up,
        },
        "readinessProbe": {**check, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**check, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6, **given_up},
        "lifecycle": {"preStop": _sidecar(DRAIN_PATH)},
    }


def _check(model: LlamaModel) -> dict[str, Any]:
    """/health is answered whatever the engine does. Below a path it wants the API key, if there is one, and a probe
    would have to have it; there an open port must do."""
    if prefix(model):
        return {"tcpSocket": {"port": "http"}}
    return {"httpGet": {"path": "/health", "port": "http"}}


def _sidecar(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": PORT}}
