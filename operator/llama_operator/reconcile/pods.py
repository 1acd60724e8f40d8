"""What the pods of a model say about it: has the file been staged, does the server answer, and if not, why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llama_operator import constants
from llama_operator.api.conditions import Reason
from llama_operator.api.staging import Failed
from llama_operator.reconcile import advice, containers
from llama_operator.reconcile.evidence import Evidence, Suspect, of_pod
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.resources.sidecar import CONTAINER_NAME as SIDECAR
from llama_operator.resources.staging import CONTAINER_NAME as STAGE

Object = dict[str, Any]
Container = tuple[str, str]
"""Uid of the pod, and name of one of its containers."""

_FOR_NOBODY = re.compile(
    r"(?:\. (?:no new claims to deallocate|not found))?[.,]? preemption: .*$|\. not found$|\.$", re.DOTALL
)
"""What other plugins of the scheduler add: whether it would help to evict others, or to free devices."""

LOADING = Finding(Reason.STARTING, "llama-server is being started: its image is fetched, then it loads the model")
"""Until the Deployment has counted it: moments that are not worth a write."""


def staging(pod: Object) -> Finding:
    """How far the stager of this pod is: an init container of a server, the only container of a Job's pod."""
    name, status = pod["metadata"]["name"], _stager(pod)
    terminated = status.get("state", {}).get("terminated", {})
    if failed(pod) and not _of_its_own(pod, terminated):
        return _pod_failure(pod)
    if terminated.get("exitCode") == 0:
        return containers.staged(terminated)
    blocked = containers.blocked(status)
    if blocked:
        return blocked
    ended = containers.ended(status)
    if ended and ended.get("exitCode") != 0:
        return containers.staging_failure(ended, name)
    if stages(pod):
        return Finding(
            Reason.STAGING,
            f"pod {name} is staging the model's files; `kubectl logs {name} -c stage -f` shows how far it is",
        )
    return unstarted(pod["metadata"]["labels"][constants.MODEL_LABEL])


def failure(pod: Object) -> tuple[str, Failed] | None:
    """What its stager has reported at its last failure, and a name for that attempt; None if it did not fail since."""
    status = _stager(pod)
    ended = None if "running" in status.get("state", {}) else containers.ended(status)
    told = containers.failure(ended) if ended and ended.get("exitCode") != 0 else None
    return (f"{pod['metadata'].get('uid')} {ended.get('finishedAt')}", told) if ended and told else None


def blocked(observed: Iterable[Object]) -> Iterator[Container]:
    """Containers that cannot be started."""
    for pod in observed:
        status: Object = pod.get("status", {})
        for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
            if containers.blocked(container):
                yield pod["metadata"]["uid"], container["name"]


def stages(pod: Object) -> bool:
    """Whether its stager runs at this moment."""
    return not failed(pod) and "running" in _stager(pod).get("state", {})


def unstarted(model: str) -> Finding:
    """One message for the whole way to a running stager: its steps take moments, and each would be a write."""
    return Finding(
        Reason.STAGING,
        "waiting for a pod that can stage the model's files: one with a node, its volumes, a network and its image; "
        f"`kubectl describe pods -l {constants.MODEL_LABEL}={model}` shows how far it is",
    )


def serving(pod: Object, claims: Sequence[Suspect], evidence: Evidence, problem: Finding | None = None) -> Finding:
    """Why this pod does not answer, seen from Kubernetes; `Available` if it does.

    `claims`: those that it uses and that are not known to be bound; `evidence`: what events have told; `problem`: what
    its sidecar says.
    """
    name, ready = pod["metadata"]["name"], condition(pod, "Ready")
    if ready.get("status") == "True":
        return Finding(Reason.AVAILABLE, "the server answers")
    if failed(pod):
        return _pod_failure(pod)
    homeless = unplaced(pod)
    if homeless:
        return homeless
    for suspect in of_pod(pod, claims):
        if suspect in evidence:
            return evidence[suspect]
    other = _beside(pod)
    if other:
        return other
    watcher = _containers(pod, "containerStatuses").get(SIDECAR, {})
    status = server(pod)
    blocked = containers.blocked(watcher) or containers.blocked(status)
    if blocked:
        return blocked
    if "running" not in watcher.get("state", {}) and (ended := containers.ended(watcher)):
        return containers.sidecar_failure(ended, name)
    if status.get("ready") and "running" in status.get("state", {}):
        return _ready_but(name, ready)
    running = status.get("state", {}).get("running")
    if running is not None and problem:
        return problem
    if running and ready.get("lastTransitionTime", "") > running.get("startedAt", ""):
        # Ready turned False only after the container had started: it has answered, and does not any more.
        return Finding(
            Reason.UNRESPONSIVE,
            f"llama-server in pod {name} does not answer its health check any more; it is restarted within a "
            f"minute, and `kubectl logs {name} -c llama-server` shows what it does",
        )
    ended = containers.ended(status)
    if ended:
        return containers.crash(ended, name)
    if running is not None:
        return LOADING
    return Finding(Reason.PENDING, f"pod {name} has not started llama-server yet")


def unplaced(pod: Object) -> Finding | None:
    """The scheduler has no node for it, and says why."""
    placed = condition(pod, "PodScheduled")
    said = placed.get("message", "no node takes the pod")
    if placed.get("status") != "False" or advice.waits_for_claim(said):
        return None
    words = _FOR_NOBODY.sub("", said)
    reason = Reason.VOLUME_PENDING if advice.about_volume(words) else Reason.UNSCHEDULABLE
    return Finding(reason, f"pod {pod['metadata']['name']} has no node: {words}; {advice.on_scheduling(words)}")


def failed(pod: Object) -> bool:
    """Ended for ever: evicted, or refused by the kubelet. A new pod takes its place; this one stays as a record."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _of_its_own(pod: Object, terminated: Object) -> bool:
    """A Job's pod that has ended as its container did, and was not evicted."""
    return bool(terminated) and not pod["status"].get("reason") and not _containers(pod, "initContainerStatuses")


def _pod_failure(pod: Object) -> Finding:
    status = pod["status"]
    why = ": ".join(part for part in (status.get("reason"), status.get("message")) if part)
    return Finding(
        Reason.POD_FAILED,
        f"pod {pod['metadata']['name']} failed: {why or 'no reason given'}; another takes its place. If that fails, "
        "too, set spec.resources.requests (memory) or use spec.storage (disk), or look after the node",
        quotes=True,
    )


def _beside(pod: Object) -> Finding | None:
    """A container that is not ours, a service mesh's, keeps the pod from starting or from being Ready."""
    name, later = pod["metadata"]["name"], _containers(pod, "containerStatuses")
    server = later.get(SERVER, {})
    if server.get("ready"):
        others = later
    elif "waiting" in server.get("state", {}):
        others = _containers(pod, "initContainerStatuses")
    else:
        return None
    for status in others.values():
        if status["name"] in (STAGE, SIDECAR, SERVER) or status.get("ready"):
            continue
        blocked, ended = containers.blocked(status), containers.ended(status)
        if blocked:
            return Finding(Reason.POD_BLOCKED, blocked.message, quotes=True)
        if ended and ended.get("exitCode") != 0:
            how = f"ended with code {ended.get('exitCode')}{containers.last_words(ended)}"
            return Finding(
                Reason.POD_BLOCKED,
                f"container {status['name']}, which is not the operator's, keeps pod {name} from serving: it {how}; "
                "ask who put it there",
                quotes=True,
            )
    return None


def _ready_but(name: str, ready: Object) -> Finding:
    """llama-server answers, and the pod does not count as ready all the same."""
    if ready.get("reason") == "ReadinessGatesNotReady":
        words = f"a readiness gate holds back pod {name}: {ready.get('message', '')}; ask who put it there"
    elif ready.get("reason") == "ContainersNotReady":
        words = f"pod {name} is held back: {ready.get('message', '')}; ask who put these containers there"
    else:  # the kubelet always gives a reason; the node controller, which speaks for a silent node, gives none
        return Finding(
            Reason.UNRESPONSIVE,
            f"the node of pod {name} does not report any more; see `kubectl get nodes`, mend it or delete it. After "
            "five minutes another node is tried",
        )
    return Finding(Reason.POD_BLOCKED, words)


def condition(pod: Object, type_: str) -> Object:
    conditions: list[Object] = pod.get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), {})


def server(pod: Object) -> Object:
    """The status of its llama-server's container; empty while there is none."""
    return _containers(pod, "containerStatuses").get(SERVER, {})


def _stager(pod: Object) -> Object:
    found = _containers(pod, "initContainerStatuses").get(STAGE) or _containers(pod, "containerStatuses").get(STAGE)
    return found or {}


def _containers(pod: Object, field: str) -> dict[str, Object]:
    return {status["name"]: status for status in pod.get("status", {}).get(field) or []}
