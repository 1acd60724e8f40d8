"""The NetworkPolicy: the model for everybody, or for whom the spec names; what tells of it, for the operator.

What the kubelet asks comes from the pod's own node, which every network plugin lets through
(https://kubernetes.io/docs/concepts/services-networking/network-policies/). Where a pod may go is not limited: a
stager's source can be anywhere.
"""

from __future__ import annotations

from typing import Any

from llama_operator import constants
from llama_operator.api import sidecar
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.resources.metadata import child

Object = dict[str, Any]

OPERATORS = (constants.PROGRESS_PORT, sidecar.PORT)
"""Ports of the pods that only the operator asks."""


def networkpolicy(model: LlamaModel, config: Config) -> Object | None:
    """For all pods of the model, those that only stage among them."""
    wanted = model.spec.network_policy
    if not wanted.enabled:
        return None
    ours = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": config.namespace}}}
    return child(
        model,
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        name=model.name,
        spec={
            "podSelector": {"matchLabels": {constants.MODEL_LABEL: model.name}},
            "policyTypes": ["Ingress"],
            "ingress": [
                _rule((constants.SERVER_PORT,), list(wanted.sources)),
                _rule(OPERATORS, [ours] if config.namespace else []),
            ],
        },
    )


def _rule(ports: tuple[int, ...], sources: list[Object]) -> Object:
    """From everywhere if there are no sources."""
    return {"ports": [{"port": port, "protocol": "TCP"} for port in ports]} | ({"from": sources} if sources else {})
