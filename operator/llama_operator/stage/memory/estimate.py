"""The parts of the memory that llama-server will take, from the headers of its files.

What a batch takes on its way is not computed from llama.cpp's graph; the widths below were found by measuring
(docs/benchmarks-memory.md), and so was what the program takes for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llama_operator.api.staging import Engine, Memory
from llama_operator.stage.gguf.facts import MAX_LAYERS
from llama_operator.stage.gguf.header import Header
from llama_operator.stage.memory import cache
from llama_operator.stage.memory.cache import BLOCKS, Streams

PROCESS = 24 << 20
"""Program and libraries, threads, buffers of requests."""
WORD = 193
"""Of the vocabulary, and of its merges: in bytes, with the maps that lead to it."""

_ABSURD = 1 << 50
"""More than any machine has: the file says nonsense."""

Headers = Mapping[str, Sequence[Header]]
"""By role: model, projector, draft, adapter/NAME. Of a split model all parts that are known."""


def estimate(headers: Headers, engine: Engine, *, missing: bool = False) -> Memory:
    """`missing`: not all headers are there. What is not known counts as nothing, so the model takes at least this."""
    weights = sum(part.weights for parts in headers.values() for part in parts)
    kept, compute, rewound, process, partial = 0, 0, 0, PROCESS, missing
    for role in ("model", "draft"):
        parts = headers.get(role, ())
        if not parts:
            continue
        first, streams = parts[0], _streams(engine, draft=role == "draft")
        found = [cache.size(first.architecture, first.facts, streams), _compute(first, streams)]
        cached, batch = (None if size is None or size > _ABSURD else size for size in found)
        kept, compute = kept + (cached or 0), compute + (batch or 0)
        partial = partial or cached is None or batch is None
        process += WORD * first.facts.words
        if cached and (rewound or role == "model"):  # a draft model has a part in each checkpoint of its model
            rewound += cache.checkpoint(first.architecture, first.facts, streams) or 0
    checkpoints = rewound * engine.checkpoints * engine.slots
    total = weights + kept + compute + checkpoints + engine.prompt_cache + process
    return Memory(weights, kept, compute, engine.prompt_cache, process, total, checkpoints, partial)


def _streams(engine: Engine, *, draft: bool) -> Streams:
    """A draft model has as much context, and keys and values of the types that llama-server chooses without a flag."""
    cells = cache.padded(engine.context)
    batch = min(engine.batch, cells * engine.slots)
    known = engine.keys in BLOCKS and engine.values in BLOCKS
    types = (engine.keys, engine.values) if known and not draft else ("f16", "f16")
    return Streams(engine.slots, cells, batch, *types, flash=engine.flash)


def _compute(header: Header, streams: Streams) -> int:
    """In bytes: the widest point of the graph in float32, for each token of a batch, and the attention's masks."""
    facts = header.facts
    width, used = facts.number("embedding_length"), facts.number("expert_used_count")
    dense = 5 * width + 3 * max(facts.each("feed_forward_length", MAX_LAYERS))
    experts = used * (2 * width + 2 * facts.number("expert_feed_forward_length")) + width
    recurrent = 8 * facts.number("ssm.inner_size")
    widest, mask = max(dense, experts if used else 0, recurrent), 2
    if not streams.flash:  # a product of each head with each token of the context, and masks of twice the width
        widest, mask = max(widest, 6 * width + facts.number("attention.head_count") * streams.cells), 4
    window = facts.has("attention.sliding_window")
    masks = streams.cells + (cache.window_cells(header.architecture, facts, streams) if window else 0)
    return streams.batch * (4 * widest + mask * masks)
