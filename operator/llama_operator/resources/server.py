"""The llama-server container: its resources and all its parts; `resources.arguments` has its command line."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.api.types import Accelerator, LlamaModel, SpecError
from llama_operator.config import Config
from llama_operator.constants import SERVER_PORT
from llama_operator.resources import auth, settings
from llama_operator.resources.arguments import arguments
from llama_operator.resources.probes import probes
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.staging import literal
from llama_operator.resources.volumes import for_server

CONTAINER_NAME = "llama-server"


def container(model: LlamaModel, image: str, listen: str = "0.0.0.0") -> dict[str, Any]:
    engine = model.spec.engine
    built: dict[str, Any] = {
        "name": CONTAINER_NAME,
        "image": image,
        "args": [literal(word) for word in arguments(model, listen)],
        "ports": [{"name": "http", "containerPort": SERVER_PORT, "protocol": "TCP"}],
        "volumeMounts": [*for_server(model), *auth.for_server(model)],
        "securityContext": CONTAINER,
        # The last lines of the log become the termination message: `kubectl describe` tells why it crashed.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **probes(model),
    }
    if variables := [*settings.variables(engine), *engine.env]:
        built["env"] = [msgspec.to_builtins(variable) for variable in variables]
    resources = _resources(model)
    if resources:
        built["resources"] = resources
    return built


def image(model: LlamaModel, config: Config) -> str:
    """The spec's, or the operator's for the accelerator. Raises `SpecError` if it has none."""
    if model.spec.image:
        return model.spec.image
    kind = model.spec.accelerator.type
    found = config.server_images.get(kind)
    if not found:
        raise SpecError(
            "spec.image",
            f"the operator was installed without an image for accelerator type {kind}; set spec.image",
        )
    return found


def accelerators(accelerator: Accelerator) -> dict[str, str]:
    """Extended resources to ask for; Kubernetes wants them as limits."""
    if accelerator.type == "cpu":
        return {}
    return {accelerator.resource_name or "nvidia.com/gpu": str(accelerator.count or 1)}


def _resources(model: LlamaModel) -> dict[str, Any]:
    wanted = model.spec.resources
    limits = {**wanted.limits, **accelerators(model.spec.accelerator)}
    return ({"limits": limits} if limits else {}) | ({"requests": wanted.requests} if wanted.requests else {})
