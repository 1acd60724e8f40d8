"""How much memory llama-server will be asked to keep, and how much it may have: what the stager is told of it."""

from __future__ import annotations

from decimal import Decimal

from llama_operator.api import staging as api
from llama_operator.api.types import LlamaModel, Resources
from llama_operator.resources import quantity
from llama_operator.resources.settings import batch, checkpoints

CACHE_MIB = 512
"""Prompt cache without a memory limit. llama-server's own default, 8192, has killed many a container."""

_MIB = 1 << 20


def settings(model: LlamaModel) -> api.Engine:
    """With an accelerator the model is in the device's memory: then the container's limit says nothing about it."""
    engine, on_host = model.spec.engine, model.spec.accelerator.type == "cpu"
    types = {"keys": engine.kv_cache.keys, "values": engine.kv_cache.values} if engine.kv_cache else {}
    return api.Engine(
        context=engine.context_size,
        slots=engine.slots,
        batch=batch(engine)[1],
        flash=engine.flash_attention != "disabled",
        checkpoints=checkpoints(engine),
        prompt_cache=cache_mib(model) * _MIB,
        spare=engine.prompt_cache is None,
        limit=int(_limit(model.spec.resources)) if on_host else 0,
        **types,
    )


def cache_mib(model: LlamaModel) -> int:
    """As asked, in whole MiB; else an eighth of the memory limit: the cache must not get a container killed."""
    if (asked := model.spec.engine.prompt_cache) is not None:
        return int(quantity.parse(asked) / _MIB)
    limit = _limit(model.spec.resources)
    return int(limit / (8 * _MIB)) if limit else CACHE_MIB


def _limit(resources: Resources) -> Decimal:
    """In bytes. 0 if it is not given: Kubernetes, too, takes a limit of 0 for none."""
    return quantity.parse(resources.limits.get("memory", 0))
