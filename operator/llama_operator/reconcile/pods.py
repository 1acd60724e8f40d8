"""What the pods of a model say about it: has the file been staged, does the server answer, and if not, why not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.resources.staging import CONTAINER_NAME as STAGE

# Reasons that the kubelet gives a waiting container: k8s.io/kubernetes pkg/kubelet/images/types.go, .../container.
_PULL_FAILURES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_FAILURES = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

_MODEL_FIELDS = {"name": str, "architecture": str, "bytes": int, "sha256": str, "revision": str}
"""Members of `status.model`. The API server drops others, so writing them would never come to rest."""


@dataclass(frozen=True)
class Finding:
    """One reason and a message for a person; `model` is what the stager found in the file, once it is staged."""

    reason: Reason
    message: str
    model: dict[str, Any] | None = None


LOADING = Finding(Reason.STARTING, "llama-server is loading the model")
"""Also before the container runs, and until the Deployment has counted it: moments that are not worth a write."""


def staging(pod: dict[str, Any]) -> Finding:
    """How far the init container of this pod is."""
    status = _container(pod, "initContainerStatuses", STAGE)
    name = pod["metadata"]["name"]
    state = status.get("state", {})
    if failed(pod):
        return _pod_failure(pod)
    if "terminated" in state and state["terminated"].get("exitCode") == 0:
        return Finding(Reason.STAGED, "the model file is verified and in place", _model(state["terminated"]))
    blocked = _blocked(status)
    if blocked:
        return blocked
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if ended and ended.get("exitCode") != 0:
        return _staging_failure(ended, name)
    return Finding(Reason.STAGING, f"pod {name} {_progress(pod, state)}")


def serving(pod: dict[str, Any]) -> Finding:
    """Why this pod does not answer, seen from Kubernetes; `Available` if it does."""
    if any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(pod)):
        return Finding(Reason.AVAILABLE, "the server answers")
    if failed(pod):
        return _pod_failure(pod)
    for c in _conditions(pod):
        if c["type"] == "PodScheduled" and c["status"] == "False":
            return Finding(Reason.UNSCHEDULABLE, c.get("message", "no node has room for the pod"))
    status = _container(pod, "containerStatuses", SERVER)
    name = pod["metadata"]["name"]
    blocked = _blocked(status)
    if blocked:
        return blocked
    running = status.get("state", {}).get("running")
    if running and _was_ready_since(pod, running.get("startedAt", "")):
        return Finding(Reason.UNRESPONSIVE, f"llama-server in pod {name} does not answer its health check any more")
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
    if ended:
        return _crash(ended, name, status.get("restartCount", 0))
    if running is not None:
        return LOADING
    return Finding(Reason.PENDING, f"pod {name} has not started llama-server yet")


def failed(pod: dict[str, Any]) -> bool:
    """Ended for ever: evicted, or refused by the kubelet. A new pod takes its place; this one stays as a record."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _pod_failure(pod: dict[str, Any]) -> Finding:
    status = pod["status"]
    why = ": ".join(part for part in (status.get("reason"), status.get("message")) if part)
    return Finding(Reason.POD_FAILED, f"pod {pod['metadata']['name']} failed: {why or 'no reason given'}")


def _progress(pod: dict[str, Any], state: dict[str, Any]) -> str:
    if any(c["type"] == "PodReadyToStartContainers" and c["status"] == "False" for c in _conditions(pod)):
        return "waits for its volumes and its network"
    return "is staging the model file" if state else "is pending"


def _was_ready_since(pod: dict[str, Any], started: str) -> bool:
    """Ready turned False only after the container had started: it has answered, and does not any more."""
    turned = [c.get("lastTransitionTime") or "" for c in _conditions(pod) if c["type"] == "Ready"]
    return any(time > started for time in turned)


def _container(pod: dict[str, Any], field: str, name: str) -> dict[str, Any]:
    statuses = pod.get("status", {}).get(field) or []
    return next((s for s in statuses if s["name"] == name), {})


def _conditions(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod.get("status", {}).get("conditions") or []


def _blocked(status: dict[str, Any]) -> Finding | None:
    """A container that the kubelet cannot even start."""
    waiting = status.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_FAILURES:
        return Finding(Reason.IMAGE_PULL_FAILED, f"image {status.get('image')}: {message or reason}")
    if reason in _CONFIG_FAILURES:
        return Finding(Reason.CONTAINER_CONFIG_INVALID, f"container {status['name']}: {message or reason}")
    return None


def _report(terminated: dict[str, Any]) -> dict[str, Any] | None:
    """The stager's termination message. It may be a log tail instead, if the stager was killed."""
    try:
        report = json.loads(terminated.get("message", ""))
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def _model(terminated: dict[str, Any]) -> dict[str, Any] | None:
    """What the stager found in the file, as far as `status.model` has a place for it."""
    report = _report(terminated) or {}
    return {key: report[key] for key, type_ in _MODEL_FIELDS.items() if isinstance(report.get(key), type_)} or None


def _staging_failure(terminated: dict[str, Any], pod: str) -> Finding:
    report = _report(terminated) or {}
    if report.get("reason") in STAGING_FAILURES:
        return Finding(Reason(report["reason"]), str(report.get("message", "")))
    how = terminated.get("reason", "Error")
    tail = terminated.get("message", "").strip()[-500:]
    return Finding(
        Reason.STAGING_FAILED,
        f"the stager in pod {pod} ended with {how}, code {terminated.get('exitCode')}: {tail}",
    )


def _crash(terminated: dict[str, Any], pod: str, restarts: int) -> Finding:
    if terminated.get("reason") == "OOMKilled":
        return Finding(
            Reason.OUT_OF_MEMORY,
            f"llama-server in pod {pod} was killed for memory, restarted {restarts} times; "
            "raise spec.resources.limits.memory, or lower spec.engine.contextSize or slots",
        )
    tail = terminated.get("message", "").strip()[-1000:]
    code = terminated.get("exitCode")
    return Finding(
        Reason.SERVER_CRASHED,
        f"llama-server in pod {pod} ended with code {code}, restarted {restarts} times: {tail}",
    )
