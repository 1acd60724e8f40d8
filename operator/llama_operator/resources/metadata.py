"""What every child has in common: names, labels, its owner, and the hash of what was asked for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import LlamaModel


def labels(model: LlamaModel, component: str = constants.SERVER) -> dict[str, str]:
    """The recommended labels of Kubernetes, and the one that ties the child to its model."""
    return {
        "app.kubernetes.io/name": "llama-server",
        "app.kubernetes.io/instance": model.name,
        constants.COMPONENT_LABEL: component,
        constants.MANAGED_BY_LABEL: constants.MANAGED_BY,
        constants.MODEL_LABEL: model.name,
    }


def selector(model: LlamaModel) -> dict[str, str]:
    """Selector of the servers: a Deployment's selector is immutable, so it holds nothing that could ever change."""
    return {constants.MODEL_LABEL: model.name, constants.COMPONENT_LABEL: constants.SERVER}


def child(
    model: LlamaModel,
    *,
    api_version: str,
    kind: str,
    name: str,
    spec: dict[str, Any] | None,
    annotations: dict[str, str] | None = None,
    component: str = constants.SERVER,
) -> dict[str, Any]:
    """A complete child object, made of plain JSON types of its own.

    The controller reference lets Kubernetes' garbage collector delete it with the model, so that no finalizer is
    needed and `kubectl delete` works while the operator is away.
    """
    obj: dict[str, Any] = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": model.namespace,
            "labels": labels(model, component),
            "annotations": dict(annotations or {}),
            "ownerReferences": [
                {
                    "apiVersion": constants.API_VERSION,
                    "kind": constants.KIND,
                    "name": model.name,
                    "uid": model.uid,
                    "controller": True,
                }
            ],
        },
    }
    if spec is not None:
        obj["spec"] = spec
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj))
    return stamped(plain)


def stamped(obj: dict[str, Any]) -> dict[str, Any]:
    """The object or pod template with the fingerprint of its content among its annotations, whatever was there."""
    annotations = {k: v for k, v in obj["metadata"]["annotations"].items() if k != constants.APPLIED_HASH}
    bare = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
    annotations[constants.APPLIED_HASH] = digest(bare)
    return bare


def digest(data: Any) -> str:
    """Short, stable fingerprint of plain data (64 bits as hexadecimal digits)."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
