"""The llama-server container: its flags, its probes, its resources.

Every flag is set explicitly, because llama-server's defaults are made for a desktop: port and host differ between
versions, threads and cache ignore the container's limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from llama_operator.api.types import Accelerator, LlamaModel, Quantity, Resources
from llama_operator.constants import SERVER_PORT
from llama_operator.resources import auth, quantity
from llama_operator.resources.endpoints import prefix
from llama_operator.resources.files import files
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.staging import literal
from llama_operator.resources.volumes import for_server

CONTAINER_NAME = "llama-server"

LOAD_SECONDS = 1800
"""How long loading a model may take before the container is restarted."""

SSE_PING_SECONDS = 5
"""A cut stream is noticed at the next ping (llama-server's default: 30 s), so this bounds how long a stop takes."""

MOST_THREADS = 512
"""GGML_MAX_N_THREADS: ggml supports no more."""

CACHE_MIB = 512
"""Prompt cache without a memory limit. llama-server's own default, 8192, has killed many a container."""


def container(model: LlamaModel, image: str) -> dict[str, Any]:
    engine = model.spec.engine
    built: dict[str, Any] = {
        "name": CONTAINER_NAME,
        "image": image,
        "args": [literal(word) for word in arguments(model)],
        "ports": [{"name": "http", "containerPort": SERVER_PORT, "protocol": "TCP"}],
        "volumeMounts": [*for_server(model), *auth.for_server(model)],
        "securityContext": CONTAINER,
        # The last lines of the log become the termination message: `kubectl describe` tells why it crashed.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Endpoints are told about a stopping pod asynchronously; until they know, it must go on answering.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        **_probes(prefix(model) + "/health"),
    }
    if engine.env:
        built["env"] = [msgspec.to_builtins(variable) for variable in engine.env]
    resources = _resources(model)
    if resources:
        built["resources"] = resources
    return built


def arguments(model: LlamaModel) -> list[str]:
    """Command line of llama-server. What the user gives comes last: the last of a repeated flag wins."""
    engine = model.spec.engine
    args = {
        **_files(model),
        "--alias": model.name,
        "--host": "0.0.0.0",
        "--port": str(SERVER_PORT),
        "--ctx-size": str(engine.context_size * engine.slots),
        "--parallel": str(engine.slots),
        "--threads": _threads(model),
        "--cache-ram": str(_cache_mib(model.spec.resources)),
        "--sse-ping-interval": str(SSE_PING_SECONDS),
        "--api-prefix": prefix(model),
    }
    words = [word for flag, value in args.items() if value for word in (flag, value)]
    return [*words, "--metrics", *auth.flags(model), *engine.args]


def _files(model: LlamaModel) -> dict[str, str]:
    """A draft model alone does nothing: llama-server loads it, and drafts only if it is told how."""
    path = {file.role: file.path for file in files(model)}
    adapters = [f"{path[f'adapter/{adapter.name}']}:{adapter.scale}" for adapter in model.spec.adapters]
    told = "--spec-type" in model.spec.engine.args or any(
        e.name == "LLAMA_ARG_SPEC_TYPE" for e in model.spec.engine.env
    )
    return {
        "--model": path["model"],
        "--mmproj": path.get("projector", ""),
        "--lora-scaled": ",".join(adapters),
        "--model-draft": path.get("draft", ""),
        "--spec-type": "draft-simple" if "draft" in path and not told else "",
    }


def _threads(model: LlamaModel) -> str:
    """More threads than the CPU quota allows wait for each other: a quota of 1 on 2 CPUs was measured 28x slower."""
    if model.spec.engine.threads:
        return str(model.spec.engine.threads)
    cpus = _amount(model.spec.resources.limits, "cpu") or _amount(model.spec.resources.requests, "cpu")
    return str(min(MOST_THREADS, max(1, int(cpus)))) if cpus else ""


def _cache_mib(resources: Resources) -> int:
    """An eighth of the memory limit: the cache is not part of what a model needs, and must not get it killed."""
    limit = _amount(resources.limits, "memory")
    return int(limit / Decimal(8 * 2**20)) if limit else CACHE_MIB


def _amount(quantities: Mapping[str, Quantity], name: str) -> Decimal:
    """In cores or bytes. 0 if it is not given: Kubernetes, too, takes a limit of 0 for none."""
    return quantity.parse(quantities.get(name, 0))


def accelerators(accelerator: Accelerator) -> dict[str, str]:
    """Extended resources to ask for; Kubernetes wants them as limits."""
    if accelerator.type == "cpu":
        return {}
    return {accelerator.resource_name or "nvidia.com/gpu": str(accelerator.count or 1)}


def _resources(model: LlamaModel) -> dict[str, Any]:
    wanted = model.spec.resources
    limits = {**wanted.limits, **accelerators(model.spec.accelerator)}
    return ({"limits": limits} if limits else {}) | ({"requests": wanted.requests} if wanted.requests else {})


def _probes(path: str) -> dict[str, Any]:
    """/health answers 503 while the model loads and 200 from then on, also when every slot is busy."""
    get = {"httpGet": {"path": path, "port": "http"}}
    return {
        "startupProbe": {**get, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": LOAD_SECONDS},
        "readinessProbe": {**get, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**get, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
    }
