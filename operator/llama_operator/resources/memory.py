"""What the stager is told about memory: how much llama-server will be asked to keep, and how much it may have."""

from __future__ import annotations

from decimal import Decimal

from llama_operator.api import staging as api
from llama_operator.api.types import Engine, LlamaModel, Resources
from llama_operator.resources import quantity

CACHE_MIB = 512
"""Prompt cache without a memory limit. llama-server's own default, 8192, has killed many a container."""

_MIB = 1 << 20
_MOST = 1 << 31

_KEYS = ("-ctk", "--cache-type-k", "LLAMA_ARG_CACHE_TYPE_K")
_VALUES = ("-ctv", "--cache-type-v", "LLAMA_ARG_CACHE_TYPE_V")
_MICRO_BATCH = ("-ub", "--ubatch-size", "LLAMA_ARG_UBATCH")
_FLASH = ("-fa", "--flash-attn", "LLAMA_ARG_FLASH_ATTN")
_OFF = frozenset({"off", "disabled", "false", "0"})
"""As llama-server reads it (common/arg.cpp, is_falsey)."""
_CACHE = ("-cram", "--cache-ram", "LLAMA_ARG_CACHE_RAM")
"""Names of flags, then that of the variable; flags win."""


def settings(model: LlamaModel) -> api.Engine:
    """With an accelerator the model is in the device's memory: then the container's limit says nothing about it."""
    engine, on_host = model.spec.engine, model.spec.accelerator.type == "cpu"
    asked = _number(_told(engine, _CACHE), -1)
    return api.Engine(
        context=engine.context_size,
        slots=engine.slots,
        batch=_number(_told(engine, _MICRO_BATCH), api.BATCH) or api.BATCH,
        keys=_told(engine, _KEYS) or "f16",
        values=_told(engine, _VALUES) or "f16",
        flash=_told(engine, _FLASH) not in _OFF,
        prompt_cache=(cache_mib(model.spec.resources) if asked < 0 else asked) * _MIB,
        spare=asked < 0,
        limit=int(_limit(model.spec.resources)) if on_host else 0,
    )


def cache_mib(resources: Resources) -> int:
    """An eighth of the memory limit: the cache is not part of what a model needs, and must not get it killed."""
    limit = _limit(resources)
    return int(limit / (8 * _MIB)) if limit else CACHE_MIB


def _limit(resources: Resources) -> Decimal:
    """In bytes. 0 if it is not given: Kubernetes, too, takes a limit of 0 for none."""
    return quantity.parse(resources.limits.get("memory", 0))


def _told(engine: Engine, names: tuple[str, ...]) -> str:
    """What the user's own flags or variables say last; empty if nothing."""
    *flags, variable = names
    words = [after for word, after in zip(engine.args, engine.args[1:], strict=False) if word in flags]
    words += [word.partition("=")[2] for word in engine.args if word.partition("=")[0] in flags and "=" in word]
    values = [env.value or "" for env in engine.env if env.name == variable]
    return (words or values or [""])[-1]


def _number(word: str, default: int) -> int:
    return int(word) if word.isascii() and word.isdecimal() and int(word) < _MOST else default
