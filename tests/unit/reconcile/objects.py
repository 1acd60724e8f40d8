"""Objects as the API server, the Deployment controller and the kubelet (1.34) write them."""

from __future__ import annotations

import copy
import json
from typing import Any

from llama_operator.api.types import parse
from llama_operator.constants import APPLIED_HASH
from llama_operator.reconcile.evidence import Evidence
from llama_operator.reconcile.status import Observed
from llama_operator.resources import build
from tests.unit.resources.models import CONFIG, raw

Object = dict[str, Any]

CREATED, STARTED, LATER = "2026-11-24T02:00:00Z", "2026-11-24T02:00:20Z", "2026-11-24T02:05:00Z"
FOUND: Object = {
    "sha256": "ab" * 32,
    "bytes": 4096,
    "architecture": "llama",
    "name": "Tiny",
    "quantization": "Q4_K_M",
    "parameters": 7_241_732_096,
}
FILE = {"role": "model", **FOUND}
"""A file as the stager reports it."""
MEMORY: Object = {"weights": 4096, "kvCache": 128, "compute": 64, "promptCache": 512, "process": 32, "total": 4832}
NAME = "tiny-6d5f8c7b9-x2x5k"


def children(**spec: Any) -> list[Object]:
    return copy.deepcopy(build(parse(raw(**spec)), CONFIG))


def template_hash(**spec: Any) -> str:
    template = next(child for child in children(**spec) if child["kind"] == "Deployment")["spec"]["template"]
    return str(template["metadata"]["annotations"][APPLIED_HASH])


# --- containers -------------------------------------------------------------------------------------------------


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(since: str = STARTED) -> Object:
    return {"running": {"startedAt": since}}


def terminated(code: int, message: str = "", reason: str = "") -> Object:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "startedAt": CREATED,
            "finishedAt": STARTED,
            "containerID": "containerd://0123",
        }
        | ({"message": message} if message else {})
    }


STAGED = terminated(0, json.dumps({"files": [FILE], "memory": MEMORY}))


def container(name: str, state: Object, last: Object | None = None, restarts: int = 0, **more: Any) -> Object:
    return {
        "name": name,
        "state": state,
        "lastState": last or {},
        "ready": False,
        "restartCount": restarts,
        "image": f"localhost/{name}:0.1.0",
        "imageID": "",
        **more,
    }


# --- pods -------------------------------------------------------------------------------------------------------


def condition(type_: str, status: bool, since: str = CREATED, **more: Any) -> Object:
    return {"type": type_, "status": str(status), "lastProbeTime": None, "lastTransitionTime": since, **more}


def pod(
    *,
    stage: Object | None = None,
    sidecar: Object | None = None,
    server: Object | None = None,
    ready: Object | None = None,
    name: str = NAME,
    version: str | None = None,
    **status: Any,
) -> Object:
    """A pod on a node; `stage`, `sidecar` and `server` are container statuses. The sidecar runs once all is staged."""
    watches = container("sidecar", running(), ready=True, started=True) if stage and stage["ready"] else None
    scheduled = [condition("PodReadyToStartContainers", True), condition("PodScheduled", True)]
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": CREATED,
            "labels": {"llama-operator.dev/model": "tiny"},
            "annotations": {APPLIED_HASH: version or template_hash()},
        },
        "status": {
            "phase": "Pending",
            "conditions": [*scheduled, ready or condition("Ready", False, reason="ContainersNotReady")],
            "initContainerStatuses": [stage or container("stage", waiting("PodInitializing"))],
            "containerStatuses": [
                server or container("llama-server", waiting("PodInitializing")),
                sidecar or watches or container("sidecar", waiting("PodInitializing")),
            ],
            **status,
        },
    }


def unscheduled(message: str, **more: Any) -> Object:
    """What the scheduler writes; the kubelet has not seen this pod."""
    built = pod(**more)
    refused = condition("PodScheduled", False, reason="Unschedulable", message=message)
    built["status"] = {"phase": "Pending", "conditions": [refused]}
    return built


def unseen(**more: Any) -> Object:
    """Nobody has written a status yet, but the API server its phase."""
    return pod(**more) | {"status": {"phase": "Pending", "conditions": []}}


def set_up(**more: Any) -> Object:
    """On a node, which has not got its volumes, its network and its sandbox ready."""
    built = pod(**more)
    built["status"]["conditions"][0] = condition("PodReadyToStartContainers", False)
    return built


def staging(**more: Any) -> Object:
    return pod(stage=container("stage", running()), **more)


def stage_failed(reason: str, **more: Any) -> Object:
    """The stager ended with its own report, and the kubelet waits before it tries again."""
    report = json.dumps({"reason": reason, "message": f"what to do about {reason}"})
    again = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=stage")
    return pod(stage=container("stage", again, terminated(1, report), restarts=1), **more)


def serving(server: Object, **more: Any) -> Object:
    """Staged; the server container is in this state."""
    return pod(stage=container("stage", STAGED, ready=True), server=server, phase="Running", **more)


def answering(**more: Any) -> Object:
    up = container("llama-server", running(), ready=True, started=True)
    return serving(up, ready=condition("Ready", True, since=LATER), **more)


# --- events -------------------------------------------------------------------------------------------------------


def event(
    reason: str, note: str, *, type_: str = "Warning", first: str = CREATED, last: str = "", **more: Any
) -> Object:
    """As `events.k8s.io/v1` shows an event of the old kind, which kubelet and controllers write."""
    return {
        "metadata": {"name": f"{NAME}.18a", "namespace": "default", "creationTimestamp": first},
        "eventTime": None,
        "reason": reason,
        "type": type_,
        "note": note,
        "deprecatedFirstTimestamp": first,
        "deprecatedLastTimestamp": last or first,
        "deprecatedCount": 1,
        "deprecatedSource": {"component": "kubelet"},
        **more,
    }


# --- children as observed -----------------------------------------------------------------------------------------


def observed(
    pods: list[Object],
    *,
    status: Object | None = None,
    ingress_ip: str | None = None,
    phase: str = "Bound",
    evidence: Evidence | None = None,
    **spec: Any,
) -> Observed:
    """The model's children, applied and taken up by their controllers, and these pods.

    `status` is the Deployment's, over that of a finished rollout where every pod in `pods` answers or none does;
    `phase` is the PersistentVolumeClaim's.
    """
    wanted = spec.get("replicas", 1)
    ready = sum(any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"]["conditions"]) for p in pods)
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    found = children(**spec)
    for child in found:
        child["metadata"] |= {"uid": f"uid-{child['kind']}", "generation": 1, "resourceVersion": "1"}
        if child["kind"] == "Deployment":
            child["status"] = {"observedGeneration": 1, **{k: v for k, v in counts.items() if v}, **(status or {})}
        if child["kind"] in ("Service", "Ingress"):
            child["status"] = {"loadBalancer": {"ingress": [{"ip": ingress_ip}]} if ingress_ip else {}}
        if child["kind"] == "PersistentVolumeClaim":
            child["status"] = {"phase": phase}
    return Observed(found, pods, evidence or {})
