"""Pods as the kubelet would report them: there is no node here, so the benchmark plays it."""

from __future__ import annotations

from benchmarks.control_plane.place import NAMESPACE, Place
from llama_operator.kube.kinds import BY_NAME, POD

_MERGE = "application/merge-patch+json"
_BLOCKED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}


async def create(here: Place, model: str) -> None:
    """A pod of the model's Deployment that nothing is known of yet."""
    deployment = await here.send("GET", BY_NAME["Deployment"].path(NAMESPACE, model))
    template = deployment["spec"]["template"]
    await here.send(
        "POST",
        POD.path(NAMESPACE),
        {
            "apiVersion": POD.api_version,
            "kind": POD.kind,
            "metadata": template["metadata"] | {"name": model},
            "spec": template["spec"],
        },
    )


async def block(here: Place, model: str) -> None:
    """The scheduler finds no node for it."""
    await here.send("PATCH", POD.path(NAMESPACE, model) + "/status", {"status": {"conditions": [_BLOCKED]}}, _MERGE)
