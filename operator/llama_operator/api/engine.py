"""`spec.engine`: how llama-server runs, as frozen, typed data (`api.types` says what these types are for)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class _Base(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    pass


class EnvVar(_Base, frozen=True):
    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class Batch(_Base, frozen=True):
    size: int | None = None
    micro: int | None = None


CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]


class KVCache(_Base, frozen=True):
    keys: CacheType = "f16"
    values: CacheType = "f16"


class Split(_Base, frozen=True):
    """`main`: the number of an accelerator, from 0."""

    mode: Literal["none", "layer", "row", "tensor"] = "layer"
    proportions: tuple[int, ...] = ()
    main: int | None = None


class ConfigMapKeyRef(_Base, frozen=True):
    name: str
    key: str


class ChatTemplate(_Base, frozen=True):
    """Exactly one member is set."""

    name: str | None = None
    config_map_key_ref: ConfigMapKeyRef | None = None


Switch = Literal["auto", "enabled", "disabled"]
"""Not `on` and `off`: without quotes those are no text in kubectl's YAML."""


class Reasoning(_Base, frozen=True):
    """`budget`: tokens of one answer's reasoning; None for no limit."""

    mode: Switch = "auto"
    format: Literal["auto", "none", "deepseek", "deepseek-legacy"] = "auto"
    budget: int | None = None


class Engine(_Base, frozen=True):
    mode: Literal["chat", "embedding", "rerank"] = "chat"
    context_size: int = 4096
    slots: int = 1
    threads: int | None = None
    batch: Batch | None = None
    kv_cache: KVCache | None = None
    flash_attention: Switch = "auto"
    prompt_cache: str | int | None = None
    context_checkpoints: int = 4
    gpu_layers: Literal["auto", "all"] | int | None = None
    split: Split | None = None
    chat_template: ChatTemplate | None = None
    reasoning: Reasoning | None = None
    idle_sleep: str | None = None
    web_ui: bool = msgspec.field(default=True, name="webUI")
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
