"""The command line of llama-server.

What a container needs is set explicitly, because llama-server's defaults are made for a desktop: port and host differ
between versions, threads and cache ignore the container's limits. Of the other settings those that the user gave are
set, and what follows from them (`resources.settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from llama_operator.api.types import LlamaModel, Quantity
from llama_operator.constants import SERVER_PORT
from llama_operator.resources import auth, memory, quantity, settings
from llama_operator.resources.endpoints import prefix
from llama_operator.resources.files import files

SSE_PING_SECONDS = 5
"""A cut stream is noticed at the next ping (llama-server's default: 30 s), so this bounds how long a stop takes."""

MOST_THREADS = 512
"""GGML_MAX_N_THREADS: ggml supports no more."""


def arguments(model: LlamaModel, listen: str = "0.0.0.0") -> list[str]:
    """All of them; `listen`: the address to listen on. What the user gives comes last: the last of a repeated flag
    wins."""
    engine = model.spec.engine
    args = {
        **_files(model),
        "--alias": model.name,
        "--host": listen,
        "--port": str(SERVER_PORT),
        "--ctx-size": str(engine.context_size * engine.slots),
        "--parallel": str(engine.slots),
        "--threads": _threads(model),
        "--cache-ram": str(memory.cache_mib(model)),
        "--ctx-checkpoints": str(settings.checkpoints(engine)),
        "--sse-ping-interval": str(SSE_PING_SECONDS),
        "--api-prefix": prefix(model),
    }
    words = [word for flag, value in args.items() if value for word in (flag, value)]
    return [*words, "--metrics", *auth.flags(model), *settings.words(model.spec), *engine.args]


def _files(model: LlamaModel) -> dict[str, str]:
    """A draft model alone does nothing: llama-server loads it, and drafts only if it is told how."""
    path = {file.role: file.path for file in files(model)}
    adapters = [f"{path[f'adapter/{adapter.name}']}:{adapter.scale}" for adapter in model.spec.adapters]
    told = any(word.replace("_", "-") == "--spec-type" for word in model.spec.engine.args) or any(
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
    """More threads than the CPU quota allows wait for each other: a quota of 1 on 2 CPUs was measured 1.4 times slower
    in generating on an idle machine (docs/benchmarks-engine.md), and 28 times on a busy one."""
    if model.spec.engine.threads:
        return str(model.spec.engine.threads)
    cpus = _amount(model.spec.resources.limits, "cpu") or _amount(model.spec.resources.requests, "cpu")
    return str(min(MOST_THREADS, max(1, int(cpus)))) if cpus else ""


def _amount(quantities: Mapping[str, Quantity], name: str) -> Decimal:
    """In cores. 0 if it is not given: Kubernetes, too, takes a limit of 0 for none."""
    return quantity.parse(quantities.get(name, 0))
