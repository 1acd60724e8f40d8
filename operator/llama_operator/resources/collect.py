"""The Job that removes from a shared volume what no model uses any more. It belongs to no model: those have gone."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.staging import Collect
from llama_operator.api.types import Pod
from llama_operator.config import Config
from llama_operator.resources import security
from llama_operator.resources.metadata import digest
from llama_operator.resources.security import CONTAINER

CONTAINER_NAME = "collect"
ROOT = "/models"
DONE_SECONDS = 3600
DEADLINE_SECONDS = 3600
ANYWHERE = Pod()


def collect_job(
    *,
    namespace: str,
    claim_name: str = "",
    node_path: str = "",
    node: str = "",
    live: tuple[str, ...],
    as_of: int,
    need: int,
    bucket: int,
    config: Config,
    quota: int = 0,
    placement: Pod = ANYWHERE,
) -> dict[str, Any]:
    """Exactly one of `claim_name` and `node_path` is set; `node` is where it has to run, or should.

    `live`: names of the links that are in use as of `as_of` (Unix time, seconds). `need`: bytes to make free, least
    recently staged first; 0 removes all that is unused. `bucket` tells one Job for this volume from the next.
    """
    what = digest([namespace if claim_name else "", claim_name, node_path, node])
    request = Collect(ROOT, live, as_of, "Keep" if need else "Delete", need, quota)
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": security.POD,
        "imagePullSecrets": msgspec.to_builtins(placement.image_pull_secrets),
        "containers": [
            {
                "name": CONTAINER_NAME,
                "image": config.stage_image,
                "command": ["python", "-m", "llama_operator.stage.collect"],
                "args": [msgspec.json.encode(request).decode()],
                "volumeMounts": [{"name": "models", "mountPath": ROOT}],
                "securityContext": CONTAINER,
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": claim_name}}
            if claim_name
            else {"name": "models", "hostPath": {"path": node_path, "type": "DirectoryOrCreate"}}
        ],
    }
    if node_path:
        pod["nodeSelector"] = {"kubernetes.io/hostname": node}
        pod["tolerations"] = [{"operator": "Exists"}]
    labels = {
        "app.kubernetes.io/name": "llama-cache",
        constants.COMPONENT_LABEL: constants.COLLECTOR,
        constants.MANAGED_BY_LABEL: constants.MANAGED_BY,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"llama-cache-{what}-{bucket}", "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": DONE_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
