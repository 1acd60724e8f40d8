"""Whether a memory limit can hold a model: refused with the numbers, and with what to change."""

from __future__ import annotations

from llama_operator.api.staging import Engine, Memory
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.text import size

TOLERANCE = 20
"""A limit is refused if it is more than a 20th below what is predicted: the prediction may be wrong by as much."""
_MIB = 1 << 20


def check(memory: Memory, engine: Engine) -> None:
    """Raises `Failure` (MemoryTooSmall).

    A prompt cache that nobody has asked for is no part of the need. The weights are, although llama-server maps the
    file: with a limit below them it would not be killed, but would read the file again for every token (measured: 13.7
    tokens per second became 1.1).
    """
    need = memory.total - (memory.prompt_cache if engine.spare else 0)
    if not engine.limit or engine.limit >= need - need // TOLERANCE:
        return
    enough = -(-need // _MIB)
    least = "at least " if memory.partial else ""
    raise Failure(
        Reason.MEMORY_TOO_SMALL,
        f"spec.resources.limits.memory: the model needs {least}{size(need)} ({_parts(memory, engine)}), and "
        f"the limit is {size(engine.limit)}; raise the limit to {enough}Mi or more, or {_less(memory, engine, need)}",
    )


def _parts(memory: Memory, engine: Engine) -> str:
    tokens = f"{engine.slots} x {engine.context} tokens" if engine.slots > 1 else f"{engine.context} tokens"
    parts = [
        ("weights", memory.weights),
        (f"cache for {tokens}", memory.kv_cache),
        ("compute", memory.compute),
        ("context checkpoints", memory.checkpoints),
        ("prompt cache", 0 if engine.spare else memory.prompt_cache),
        ("process", memory.process),
    ]
    return ", ".join(f"{name} {size(count)}" for name, count in parts if count)


def _less(memory: Memory, engine: Engine, need: int) -> str:
    """What helps most, beside a larger limit. Without a single checkpoint each answer would begin anew."""
    least = memory.checkpoints // max(1, engine.checkpoints)
    if memory.checkpoints > least and need - memory.checkpoints + least <= engine.limit:
        return "lower spec.engine.contextCheckpoints"
    fixed = memory.weights + memory.process
    if memory.kv_cache and fixed + memory.compute < engine.limit:
        return "lower spec.engine.contextSize or spec.engine.slots"
    return "use a smaller model or quantization"
