"""The volume that holds staged files: with the pod, a claim of the model's own, or a cache that models share."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import Cache, LlamaModel, SpecError
from llama_operator.config import Config
from llama_operator.resources import quantity
from llama_operator.resources.metadata import child

Object = dict[str, Any]


def claim_name(model: LlamaModel) -> str:
    """Own suffix, so that it cannot be a claim which the user made for something else of the same name."""
    return f"{model.name}-model"


def claim(model: LlamaModel) -> Object | None:
    if model.spec.storage is None or model.spec.storage.claim is None:
        return None
    wanted = model.spec.storage.claim
    spec: Object = {
        "accessModes": list(wanted.access_modes),
        "resources": {"requests": {"storage": wanted.size}},
    }
    if wanted.storage_class_name:
        spec["storageClassName"] = wanted.storage_class_name
    return child(model, api_version="v1", kind="PersistentVolumeClaim", name=claim_name(model), spec=spec)


def staged(model: LlamaModel) -> Object:
    """The volume, without a name."""
    storage = model.spec.storage
    if storage is None:
        return {"emptyDir": {}}
    if storage.cache:
        return shared(storage.cache)
    return {"persistentVolumeClaim": {"claimName": claim_name(model)}}


def shared(cache: Cache) -> Object:
    """A cache's volume, without a name."""
    if cache.claim_name:
        return {"persistentVolumeClaim": {"claimName": cache.claim_name}}
    # The kubelet would make the folder for root alone, so it must be there.
    return {"hostPath": {"path": cache.node_path, "type": "Directory"}}


def sub_path(cache: Cache | None, namespace: str) -> str:
    """What of the volume is mounted, empty for all of it: of a folder of the node a namespace sees only its own part.

    The kubelet makes it where it is missing, with the mode of the folder it is in, for root
    (k8s.io/kubernetes pkg/kubelet/kubelet_pods.go, makeMounts; pkg/volume/util/subpath, SafeMakeDir).
    """
    return namespace if cache and cache.node_path else ""


def check(model: LlamaModel, config: Config) -> None:
    """Raises `SpecError` for a folder of the nodes that the platform has not given to models.

    One below is not given with it: it may be a namespace's, who could put a link there that leads anywhere on the node.
    """
    storage = model.spec.storage
    path = storage.cache.node_path if storage and storage.cache else None
    if path is None or path in config.node_paths:
        return
    allowed = ", ".join(config.node_paths) or "none"
    raise SpecError(
        "spec.storage.cache.nodePath",
        f"it must be a folder that the operator was installed with ({allowed}); choose one, use claimName, or add it "
        "to nodePaths in the chart's values",
    )


def quota(cache: Cache) -> int:
    """In bytes; 0 for none."""
    return int(quantity.parse(cache.quota)) if cache.quota is not None else 0
