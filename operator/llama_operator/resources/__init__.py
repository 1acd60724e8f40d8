"""Builders: a LlamaModel becomes the Kubernetes objects that serve it. Pure functions on plain data, one per kind."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.resources import auth, deployment, disruption, ingress, networkpolicy, service, storage

OPTIONAL = frozenset({"Ingress", "Job", "NetworkPolicy"})
"""Kinds of children that a change of the spec can take away again: all that the operator ever deletes, and may delete.

A Job stages ahead of the pods (`reconcile.ahead` decides when). A model always has a Deployment, a Service and a
PodDisruptionBudget. A PersistentVolumeClaim cannot be given up (the CRD refuses it), because a file would be lost with
it; a Secret is made once and never looked at again.
"""


def build(model: LlamaModel, config: Config) -> list[dict[str, Any]]:
    """All children of the model, complete, in the order in which they are applied.

    The volume and the Secret come before the pods that mount them; the Service before the Ingress that points at it.
    Raises `SpecError` when something is missing that the API server cannot know.
    """
    children = [
        storage.claim(model),
        auth.secret(model),
        deployment.deployment(model, config),
        service.service(model),
        ingress.ingress(model),
        networkpolicy.networkpolicy(model, config),
        disruption.disruptionbudget(model),
    ]
    return [child for child in children if child is not None]
