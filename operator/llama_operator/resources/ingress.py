"""The Ingress, where the spec asks for one."""

from __future__ import annotations

from typing import Any

from llama_operator.api.types import LlamaModel
from llama_operator.resources.metadata import child


def ingress(model: LlamaModel) -> dict[str, Any] | None:
    wanted = model.spec.ingress
    if wanted is None:
        return None
    backend = {"service": {"name": model.name, "port": {"name": "http"}}}
    spec: dict[str, Any] = {
        "rules": [
            {
                "host": wanted.host,
                "http": {"paths": [{"path": wanted.path, "pathType": "Prefix", "backend": backend}]},
            }
        ],
    }
    if wanted.class_name:
        spec["ingressClassName"] = wanted.class_name
    if wanted.tls:
        spec["tls"] = [{"hosts": [wanted.host], "secretName": wanted.tls.secret_name}]
    return child(
        model,
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        name=model.name,
        annotations=wanted.annotations,
        spec=spec,
    )
