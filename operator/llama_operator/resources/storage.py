"""The volume that holds staged files, where the spec asks for one that outlives the pods."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.resources.metadata import child


def claim_name(model: LlamaModel) -> str:
    """Own suffix, so that it cannot be a claim which the user made for something else of the same name."""
    return f"{model.name}-model"


def claim(model: LlamaModel) -> dict[str, Any] | None:
    wanted = model.spec.storage.claim if model.spec.storage else None
    if wanted is None:
        return None
    spec: dict[str, Any] = {
        "accessModes": list(wanted.access_modes),
        "resources": {"requests": {"storage": wanted.size}},
    }
    if wanted.storage_class_name:
        spec["storageClassName"] = wanted.storage_class_name
    return child(model, api_version="v1", kind="PersistentVolumeClaim", name=claim_name(model), spec=spec)
