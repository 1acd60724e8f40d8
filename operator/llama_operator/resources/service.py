"""The Service in front of the servers."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.resources.metadata import child, selector


def service(model: LlamaModel) -> dict[str, Any]:
    wanted = model.spec.service
    return child(
        model,
        api_version="v1",
        kind="Service",
        name=model.name,
        annotations=wanted.annotations,
        spec={
            "type": wanted.type,
            "selector": selector(model),
            "ports": [{"name": "http", "port": wanted.port, "targetPort": "http", "protocol": "TCP"}],
        },
    )
