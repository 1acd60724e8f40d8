"""Each typed setting of the engine at each of its values, as parts of a spec: to start llama-server with."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from llama_operator.api import engine

_DRAFT = {"source": {"url": {"url": "http://files/d.gguf"}}}


def _choices(holder: type, field: str) -> tuple[str, ...]:
    """The texts that a field may have."""
    hint = get_type_hints(holder)[field]
    return tuple(
        choice for part in (hint, *get_args(hint)) for choice in get_args(part) if isinstance(choice, str)
    ) or (get_args(hint))


def _engine(**members: Any) -> dict[str, Any]:
    return {"engine": members}


EVERY: list[dict[str, Any]] = [
    _engine(),
    *(_engine(mode=mode) for mode in _choices(engine.Engine, "mode")),
    _engine(batch={"size": 64}),
    _engine(batch={"size": 256, "micro": 64}),
    *(_engine(kvCache={"keys": type_}) for type_ in _choices(engine.KVCache, "keys")),
    *(_engine(kvCache={"values": type_}) for type_ in _choices(engine.KVCache, "values")),
    *(_engine(flashAttention=switch) for switch in _choices(engine.Engine, "flash_attention")),
    *(_engine(promptCache=size) for size in (0, "64Mi")),
    *(_engine(contextCheckpoints=count) for count in (0, 8)),
    *(_engine(gpuLayers=layers) for layers in (0, 1, *_choices(engine.Engine, "gpu_layers"))),
    *(_engine(split={"mode": mode}) for mode in _choices(engine.Split, "mode")),
    _engine(split={"proportions": [3, 1], "main": 0}),
    _engine(chatTemplate={"name": "chatml"}),
    *(_engine(reasoning={"mode": mode}) for mode in _choices(engine.Reasoning, "mode")),
    *(_engine(reasoning={"format": form}) for form in _choices(engine.Reasoning, "format")),
    *(_engine(reasoning={"budget": budget}) for budget in (0, 1024)),
    *(_engine(idleSleep=time) for time in ("30s", "2h")),
    _engine(webUI=False),
    {"draft": {**_DRAFT, "maxTokens": 8, "minTokens": 2}},
]
