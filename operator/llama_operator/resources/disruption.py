"""The PodDisruptionBudget: nodes are drained one server at a time."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.resources.metadata import child, selector


def disruptionbudget(model: LlamaModel) -> dict[str, Any]:
    """Whatever the number of servers is, for an autoscaler may change it.

    With one server it allows everything: who wants none to be missed needs two. A server that is not Ready serves
    nobody, and must not hold up a drain.
    """
    return child(
        model,
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        name=model.name,
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(model)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    )
