"""A kubelet that needs no node: what it would write into a pod's status if all went well, at once."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.integration.property.cluster import Cluster
from tests.integration.server import Object, RefusedError


def run(cluster: Cluster, pods: list[Object]) -> bool:
    """Have these pods run. Whether any had to be made to."""
    waiting = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and not _runs(pod)]
    for pod in waiting:
        try:
            cluster.server("PATCH", f"{cluster.path('Pod', pod['metadata']['name'])}/status", {"status": _status(pod)})
        except RefusedError as error:
            if error.code not in (404, 409):  # it has been deleted since
                raise
    return bool(waiting)


def _runs(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") in ("Running", "Succeeded"))


def _status(pod: Object) -> Object:
    now, spec = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), pod["spec"]
    types = ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
    staged = {"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now, "reason": "Completed"}}
    ends = spec["restartPolicy"] == "OnFailure"  # a Job's
    state = staged if ends else {"running": {"startedAt": now}}
    return {
        "phase": "Succeeded" if ends else "Running",
        "startTime": now,
        "conditions": [{"type": type_, "status": "True", "lastTransitionTime": now} for type_ in types],
        "initContainerStatuses": [
            _container(c, state if "restartPolicy" in c else staged) for c in spec.get("initContainers", [])
        ],
        "containerStatuses": [_container(c, state) for c in spec["containers"]],
    }


def _container(container: Object, state: Object) -> Object:
    fixed = {"ready": True, "started": True, "restartCount": 0, "imageID": ""}
    return {"name": container["name"], "image": container["image"], "state": state, **fixed}
