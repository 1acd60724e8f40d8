"""Builders: a LlamaModel becomes the Kubernetes objects that serve it. Pure functions on plain data, one per kind."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.resources import deployment, ingress, service, storage

OPTIONAL = frozenset({"Ingress", "Job"})
"""Kinds of children that a change of the spec can take away again: all that the operator ever deletes, and may delete.

A Job stages ahead of the pods (`reconcile.ahead` decides when). A model always has a Deployment and a Service. A
PersistentVolumeClaim cannot be given up (the CRD refuses it), because a file would be lost with it.
"""


def build(model: LlamaModel, config: Config) -> list[dict[str, Any]]:
    """All children of the model, complete, in the order in which they are applied.

    The volume comes before the pods that mount it; the Service before the Ingress that points at it. Raises
    `SpecError` when something is missing that the API server cannot know.
    """
    children = [
        storage.claim(model),
        deployment.deployment(model, config),
        service.service(model),
        ingress.ingress(model),
    ]
    return [child for child in children if child is not None]
