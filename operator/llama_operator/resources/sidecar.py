"""The container beside llama-server that knows whether it works, and lets it finish (`llama_operator.sidecar`).

It sees llama-server because the pod's containers share one process namespace. It is no init container that goes on
(`restartPolicy: Always`): the kubelet would start llama-server a second later (docs/decisions/0014-sidecar.md). So it
is told to end together with llama-server, and goes when that has gone: it is there for the whole of a drain.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.api import sidecar as api
from llama_operator.api.types import LlamaModel
from llama_operator.constants import SERVER_PORT
from llama_operator.resources import auth
from llama_operator.resources.endpoints import prefix
from llama_operator.resources.probes import START_SECONDS
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.staging import literal

CONTAINER_NAME = "sidecar"
RESOURCES: dict[str, Any] = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
"""It takes 18 MiB. No CPU limit: who is made to wait misjudges who waits."""

STOP_SECONDS = 15
"""Of the pod's grace period, left for llama-server to end in; a drain has the rest."""

WAITING_SECONDS = {"cpu": 40.0}
OTHER_WAITING_SECONDS = 180.0
"""Without CPU time; llama-server waits for another processor without using its own."""
COMPUTING_SECONDS = {"cpu": 3600.0}
OTHER_COMPUTING_SECONDS = 300.0
"""With CPU time, for one batch, which has at most 2048 tokens. A hung GPU is waited for in a loop."""


def container(model: LlamaModel, image: str) -> dict[str, Any]:
    return {
        "name": CONTAINER_NAME,
        "image": image,
        "command": ["python", "-m", "llama_operator.sidecar"],
        "args": [literal(msgspec.json.encode(request(model)).decode())],
        "ports": [{"name": "sidecar", "containerPort": api.PORT, "protocol": "TCP"}],
        "volumeMounts": auth.for_server(model),
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def request(model: LlamaModel) -> api.Request:
    kind, grace = model.spec.accelerator.type, model.spec.pod.termination_grace_period_seconds
    # A server that wakes loads the model again, and answers nothing of what tells progress meanwhile.
    wakes = float(START_SECONDS) if model.spec.engine.idle_sleep else 0.0
    return api.Request(
        port=SERVER_PORT,
        prefix=prefix(model),
        mode=model.spec.engine.mode,
        waiting=WAITING_SECONDS.get(kind, OTHER_WAITING_SECONDS),
        computing=max(COMPUTING_SECONDS.get(kind, OTHER_COMPUTING_SECONDS), wakes),
        drain=max(grace - STOP_SECONDS, grace / 2),
        key_file=auth.FILE if auth.keys(model) else "",
    )
