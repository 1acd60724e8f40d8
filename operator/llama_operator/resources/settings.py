"""What the typed settings of `spec.engine` become for llama-server: words of its command line, and one variable.

A setting that has the engine's own default is left out, so that pods are not replaced when we learn of a new one. The
words are those of the build that is shipped; a test starts it with each of them.
"""

from __future__ import annotations

from llama_operator.api.engine import ConfigMapKeyRef, Engine, EnvVar
from llama_operator.api.types import Spec

SIZE, MICRO = 2048, 512
"""llama-server's own batch sizes, in tokens."""

_SWITCH = {"enabled": "on", "disabled": "off"}
_UNITS = {"s": 1, "m": 60, "h": 3600}


def words(spec: Spec) -> list[str]:
    engine = spec.engine
    pairs = {
        **_batch(engine),
        **_kv_cache(engine),
        "--flash-attn": _SWITCH.get(engine.flash_attention),
        "--n-gpu-layers": engine.gpu_layers,
        **_split(engine),
        "--chat-template": engine.chat_template.name if engine.chat_template else None,
        **_reasoning(engine),
        "--spec-draft-n-max": spec.draft.max_tokens if spec.draft else None,
        "--spec-draft-n-min": spec.draft.min_tokens if spec.draft else None,
        "--sleep-idle-seconds": seconds(engine.idle_sleep) if engine.idle_sleep else None,
    }
    mode = {"embedding": ["--embeddings"], "rerank": ["--reranking"]}.get(engine.mode, [])
    told = [str(word) for flag, value in pairs.items() if value is not None for word in (flag, value)]
    return [*mode, *told, *([] if engine.web_ui else ["--no-ui"])]


def variables(engine: Engine) -> list[EnvVar]:
    """A template from a ConfigMap comes as a variable: the kubelet reads it, and nothing has to be mounted."""
    place = engine.chat_template.config_map_key_ref if engine.chat_template else None
    return [EnvVar("LLAMA_ARG_CHAT_TEMPLATE", value_from={"configMapKeyRef": _reference(place)})] if place else []


def _reference(place: ConfigMapKeyRef) -> dict[str, str]:
    return {"name": place.name, "key": place.key}


def seconds(duration: str) -> int:
    """Of `30s`, `10m` or `2h`."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def checkpoints(engine: Engine) -> int:
    """Of each slot, at most. llama-server takes them of completions alone."""
    return engine.context_checkpoints if engine.mode == "chat" else 0


def batch(engine: Engine) -> tuple[int, int]:
    """Sizes of the batch and of the micro-batch, in tokens, whether llama-server is told them or has them by default.

    What is embedded or ranked must fit into one micro-batch (server.cpp: "embeddings require all tokens to be processed
    in a single ubatch"), so there it has room for all that a request may have.
    """
    given = engine.batch
    if engine.mode == "chat":
        size = given.size if given and given.size else SIZE
        return size, given.micro if given and given.micro else min(MICRO, size)
    size = given.size if given and given.size else engine.context_size
    return size, given.micro if given and given.micro else size


def _batch(engine: Engine) -> dict[str, int]:
    size, micro = batch(engine)
    return {} if (size, micro) == (SIZE, MICRO) else {"--batch-size": size, "--ubatch-size": micro}


def _kv_cache(engine: Engine) -> dict[str, str]:
    if engine.kv_cache is None:
        return {}
    types = {"--cache-type-k": engine.kv_cache.keys, "--cache-type-v": engine.kv_cache.values}
    return {flag: type_ for flag, type_ in types.items() if type_ != "f16"}


def _split(engine: Engine) -> dict[str, str | int | None]:
    split = engine.split
    if split is None:
        return {}
    return {
        "--split-mode": split.mode if split.mode != "layer" else None,
        "--tensor-split": ",".join(map(str, split.proportions)) or None,
        "--main-gpu": split.main,
    }


def _reasoning(engine: Engine) -> dict[str, str | int | None]:
    reasoning = engine.reasoning
    if reasoning is None:
        return {}
    return {
        "--reasoning": _SWITCH.get(reasoning.mode),
        "--reasoning-format": reasoning.format if reasoning.format != "auto" else None,
        "--reasoning-budget": reasoning.budget,
    }
