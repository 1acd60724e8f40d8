"""Where a model can be reached: the one place that knows how paths and addresses are put together."""

from __future__ import annotations

from llama_operator.api.types import LlamaModel


def prefix(model: LlamaModel) -> str:
    """Path in front of all of llama-server's paths: empty, or `/like/this` without a slash at the end."""
    if model.spec.ingress is None or model.spec.ingress.path == "/":
        return ""
    return model.spec.ingress.path


def service_url(model: LlamaModel) -> str:
    """Address inside the cluster. `svc` without the cluster's domain resolves in every pod, whatever the domain is."""
    return f"http://{model.name}.{model.namespace}.svc:{model.spec.service.port}{prefix(model)}"


def ingress_url(model: LlamaModel) -> str | None:
    """Address outside the cluster, without the port that an ingress controller may be mapped to.

    Without a slash at its end: clients append `/v1`, and llama-server does not know `/path//v1`. Its web UI needs one.
    """
    if model.spec.ingress is None:
        return None
    scheme = "https" if model.spec.ingress.tls else "http"
    return f"{scheme}://{model.spec.ingress.host}{prefix(model)}"
