"""Memory for servers whose spec names none: what their pods are to get in place, and what came of it. Pure.

A pod template is made before anybody has seen the file, so it cannot say how much. Once a pod's own stager has found
out, the pod is resized (docs/decisions/0016-sizing.md). One that names memory is left as it is, whoever has put it
there: so each pod is resized once, and a restarted operator knows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.api.types import LlamaModel
from llama_operator.reconcile import advice, pods
from llama_operator.reconcile.finding import Finding
from llama_operator.resources import quantity
from llama_operator.resources.server import CONTAINER_NAME as SERVER

Object = dict[str, Any]

HEADROOM = 512 << 20
"""The least that a limit is above what is predicted, in bytes: connections and the heap's gaps do not shrink with a
model. Where more is predicted it is as much as that: an engine that repacks weights is charged for them twice, with the
file's pages, and the prompt cache may hold one prompt more than its size, as large as the cache of a slot."""

_MIB = 1 << 20
_NEVER, _FAILED = "Infeasible", "Error"
"""The kubelet's reasons (k8s.io/api/core/v1): the node never has as much; something went wrong on the way. Any other
reason for a resize that is pending means that it does not fit now."""
_UNMEASURED = "unable to read memory usage"
"""What the kubelet says of a container that it has not measured yet (seen with 1.34)."""


@dataclass(frozen=True)
class Resize:
    """`resources` is what the pod's llama-server is to ask for, beside what it asks for already."""

    pod: Object
    resources: Object


def due(asked: LlamaModel | None, shipped: str | None, current: Sequence[Object]) -> list[Resize]:
    """Those of the pods that are to be resized now.

    `asked`: the model as the pods `current` were made for it; `shipped`: the server image that the operator brings.
    """
    if asked is None or not _left_open(asked):
        return []
    found = []
    for pod in current:
        memory = pods.staging(pod).memory
        if memory and _unnamed(pod):
            limits = {"limits": {"memory": _limit(memory)}} if _known(asked, shipped, memory) else {}
            found.append(Resize(pod, {"requests": {"memory": _request(memory)}} | limits))
    return found


def short(
    asked: LlamaModel | None, current: Sequence[Object], servers: Sequence[Object], refused: Mapping[str, str]
) -> Finding | None:
    """A pod that its node, or its cluster, does not give what its llama-server will take, or does not let have it.

    `servers`: pods of older versions, too: as long as one holds memory beside the new pod, waiting is no news.
    `refused`: what the API server says to a resize, by uid of the pod.
    """
    if asked is None or not _left_open(asked):
        return None
    names = {pod["metadata"]["name"] for pod in current}
    alone = all(pods.failed(pod) or pod["metadata"]["name"] in names for pod in servers)
    found = (_short(pod, refused.get(pod["metadata"].get("uid", "")), alone) for pod in current)
    return next((finding for finding in found if finding), None)


def _short(pod: Object, refusal: str | None, alone: bool) -> Finding | None:
    name, memory = pod["metadata"]["name"], pods.staging(pod).memory
    if memory is None:
        return None
    limit = _server(pod).get("limits", {}).get("memory")
    if limit is not None and quantity.parse(limit) < memory["total"]:
        return Finding(
            Reason.MEMORY_NOT_GRANTED,
            f"llama-server in pod {name} may use {limit} of memory, by a limit that is not the spec's (mostly a "
            f"LimitRange's default), and is predicted to take {_request(memory)}: it will be killed when it does. Set "
            "spec.resources.limits.memory, lower spec.engine.contextSize or slots, or spec.engine.promptCache",
        )
    much, pending = _request(memory), pods.condition(pod, "PodResizePending")
    lacks = f"pod {name} has no claim to the {much} of memory that llama-server is predicted to take: "
    choose = f"set spec.resources.requests.memory to {much}, and a node that has it is chosen"
    if refusal:
        words = f"the API server refuses the resize: {refusal}; {advice.on_refusal(refusal)}"
    elif pending.get("status") == "True" and pending.get("reason") == _NEVER:
        words = (
            f"its node never has as much ({_said(pending)}); {choose}, or lower spec.engine.contextSize or "
            "spec.engine.slots"
        )
    elif pending.get("status") == "True" and alone:
        words = f"its node has not as much left ({_said(pending)}); it gets it once there is room. Or {choose}"
    elif (doing := pods.condition(pod, "PodResizeInProgress")).get("reason") == _FAILED and _lasting(doing):
        words = f"its node does not manage the resize ({_said(doing)}), and tries again. If that stays, {choose}"
    else:
        return None
    return Finding(Reason.MEMORY_NOT_GRANTED, lacks + words, quotes=True)


def _lasting(failed: Object) -> bool:
    """Not of the first seconds, in which the kubelet has not measured a new container yet, and tries again."""
    return _UNMEASURED not in failed.get("message", "")


def _said(condition: Object) -> str:
    return ": ".join(part for part in (condition.get("reason"), condition.get("message")) if part)


def _left_open(asked: LlamaModel) -> bool:
    """Whether it is the operator's to say. With an accelerator the model is in the device's memory."""
    given = asked.spec.resources
    return asked.spec.accelerator.type == "cpu" and "memory" not in {**given.requests, **given.limits}


def _unnamed(pod: Object) -> bool:
    """Whether its llama-server asks for no memory. A LimitRange or a webhook may have made it, or somebody has."""
    given = _server(pod)
    return bool(given) and "memory" not in {**given["requests"], **given["limits"]}


def _server(pod: Object) -> dict[str, Object]:
    """Requests and limits of its llama-server; empty if it has none."""
    for container in pod.get("spec", {}).get("containers", []):
        if container["name"] == SERVER:
            given = container.get("resources", {})
            return {name: given.get(name) or {} for name in ("requests", "limits")}
    return {}


def _known(asked: LlamaModel, shipped: str | None, memory: Object) -> bool:
    """Whether the prediction covers all that the server does: then one that takes far more than that is at fault.

    It does not cover what a projector computes, flags and variables that only llama-server understands, and other
    builds.
    """
    spec = asked.spec
    ours = spec.image in (None, shipped) and not spec.engine.args and not spec.engine.env
    return ours and spec.projector is None and not memory.get("partial")


def _request(memory: Object) -> str:
    return _mib(memory["total"])


def _limit(memory: Object) -> str:
    return _mib(memory["total"] + max(memory["total"], HEADROOM))


def _mib(count: int) -> str:
    """As a quantity, rounded up."""
    return f"{-(-count // _MIB)}Mi"
