"""The Job that removes from a cache what no model uses any more. It belongs to no model: those have gone."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.staging import Collect
from llama_operator.api.types import Cache, Pod
from llama_operator.config import Config
from llama_operator.resources import pod, storage
from llama_operator.resources.files import ROOT
from llama_operator.resources.metadata import digest
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.staging import RESOURCES, literal

CONTAINER_NAME = "collect"
DEADLINE_SECONDS = 600
"""Ends a Job whose list is older than `api.staging.MARGIN_SECONDS`, also one that waited for its node: if the
operator's clock is ahead, links that were staged after the list was made would look unused. The cluster measures this
by its own clock; the collector could not tell, for `as_of` is of the wrong one. What is left, the next Job takes."""
DONE_SECONDS = 300
"""A Job that is done keeps its pod so long, and the pod a claim that somebody wants to delete."""
ANYWHERE = Pod()

_ARGUMENT = 60_000
"""Characters of one argument. Linux takes 128 KiB, `literal` doubles some, and a list of links can be longer."""


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
    """Exactly one of `claim_name` and `node_path` is set. `node` is where it must run: always set with the latter, and
    for a claim if a pod there has it mounted, for no other node may be able to.

    `live`: names of the links that are in use as of `as_of` (Unix time, seconds). `need`: bytes to make free, on the
    volume and below `quota` (bytes, 0 for none), least recently staged first; 0 removes all that is unused. `bucket`
    tells one Job for this volume from the next. `placement`: where the cache's models may run, and how images are
    pulled there.
    """
    cache = Cache(claim_name=claim_name or None, node_path=node_path or None)
    request = Collect(ROOT, live, as_of, "Keep" if need else "Delete", need, quota)
    text, part = msgspec.json.encode(request).decode(), storage.sub_path(cache, namespace)
    container = {
        "name": CONTAINER_NAME,
        "image": config.stage_image,
        "command": ["python", "-m", "llama_operator.stage.collect"],
        "args": [literal(text[start : start + _ARGUMENT]) for start in range(0, len(text), _ARGUMENT)],
        "volumeMounts": [{"name": "models", "mountPath": ROOT} | ({"subPath": part} if part else {})],
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    spec = pod.spec(
        _placed(placement, node),
        restartPolicy="Never",
        containers=[container],
        volumes=[{"name": "models", **storage.shared(cache)}],
    )
    labels = {
        "app.kubernetes.io/name": "llama-cache",
        constants.COMPONENT_LABEL: constants.COLLECTOR,
        constants.MANAGED_BY_LABEL: constants.MANAGED_BY,
    }
    volume = digest([claim_name, node_path, node if node_path else ""])
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"llama-cache-{volume}-{bucket}", "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": DONE_SECONDS,
            "template": {"metadata": {"labels": {**placement.labels, **labels}}, "spec": spec},
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(job))
    return plain


def _placed(placement: Pod, node: str) -> Pod:
    """On this very node, whatever is wrong with it, if there is one; else as the models are."""
    if not node:
        return msgspec.structs.replace(placement, topology_spread_constraints=())
    name = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [name]}]}}
    return msgspec.structs.replace(
        placement,
        node_selector={},
        tolerations=({"operator": "Exists"},),
        affinity={"nodeAffinity": required},
        topology_spread_constraints=(),
    )
