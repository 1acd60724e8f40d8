"""The Job that removes from a cache what no model uses."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import Cache, Pod
from llama_operator.config import Config
from llama_operator.resources import pod, storage
from llama_operator.resources.files import ROOT
from llama_operator.resources.metadata import digest
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.staging import RESOURCES, literal

CONTAINER_NAME = "collect"
_ARGUMENT = 60_000
"""Characters of one argument. Linux takes 128 KiB, `literal` doubles some, and a list of links can be longer."""
_KEPT_SECONDS = 300
_DEADLINE_SECONDS = 3600


def collect_job(
    namespace: str, cache: Cache, request: str, config: Config, placement: Pod, node: str | None = None
) -> dict[str, Any]:
    """It runs where `placement` lets the cache's models run; on `node`, where the cache is a folder of that node.

    The same request (JSON) is the same Job. Nothing owns it: the model that was the reason may be gone. A long request
    is in several arguments, to be joined.
    """
    parts = [request[start : start + _ARGUMENT] for start in range(0, len(request), _ARGUMENT)]
    container = {
        "name": CONTAINER_NAME,
        "image": config.stage_image,
        "command": ["python", "-m", "llama_operator.stage.collect"],
        "args": [literal(part) for part in parts],
        "volumeMounts": [{"name": "models", "mountPath": ROOT}],
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    spec = pod.spec(
        _placed(placement, node),
        restartPolicy="OnFailure",
        containers=[container],
        volumes=[{"name": "models", **storage.shared(cache)}],
    )
    labels = {
        "app.kubernetes.io/name": "llama-collector",
        constants.COMPONENT_LABEL: constants.COLLECTOR,
        constants.MANAGED_BY_LABEL: constants.MANAGED_BY,
    }
    template = {"metadata": {"labels": {**placement.labels, **labels}, "annotations": {}}, "spec": spec}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"llama-collect-{digest(template)}", "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": _DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": template,
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(job))
    return plain


def _placed(placement: Pod, node: str | None) -> Pod:
    if node is None:
        return msgspec.structs.replace(placement, topology_spread_constraints=())
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return msgspec.structs.replace(placement, node_selector={}, affinity=affinity, topology_spread_constraints=())
