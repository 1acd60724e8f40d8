"""A kubelet that needs no node: what it would write into a pod's status, at once.

All goes well, unless llama-server is started with BAD: then it has ended three times.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from llama_operator.resources.server import CONTAINER_NAME as SERVER
from tests.integration.property.cluster import Cluster
from tests.integration.server import Object, RefusedError

BAD = "--check-tensors"
MEMORY = dict.fromkeys(("weights", "kvCache", "compute", "promptCache", "process"), 1 << 27) | {"total": 5 << 27}
REPORT = json.dumps({"files": [{"role": "model", "bytes": 1}], "memory": MEMORY})
"""What each stager has found."""


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
    ended = {"exitCode": 0, "startedAt": now, "finishedAt": now, "reason": "Completed"}
    staged = {"terminated": {**ended, "message": REPORT}}
    ends = spec["restartPolicy"] == "OnFailure"  # a Job's
    state = staged if ends else {"running": {"startedAt": now}}
    crashes = any(BAD in container.get("args", []) for container in spec["containers"])
    crashed = {"terminated": {**ended, "exitCode": 1, "reason": "Error"}}
    well = dict.fromkeys(types, "True") | (dict.fromkeys(("ContainersReady", "Ready"), "False") if crashes else {})
    return {
        "phase": "Succeeded" if ends else "Running",
        "startTime": now,
        "conditions": [{"type": type_, "status": well[type_], "lastTransitionTime": now} for type_ in types],
        "initContainerStatuses": [_container(c, staged) for c in spec.get("initContainers", [])],
        "containerStatuses": [
            _container(c, crashed, True) if crashes and c["name"] == SERVER else _container(c, state)
            for c in spec["containers"]
        ],
    }


def _container(container: Object, state: Object, crashes: bool = False) -> Object:
    fixed = {"ready": not crashes, "started": not crashes, "restartCount": 2 * crashes, "imageID": ""}
    told = {"resources": container.get("resources", {})}  # or the API server takes the node for one that cannot resize
    return {"name": container["name"], "image": container["image"], "state": state, **fixed, **told}
