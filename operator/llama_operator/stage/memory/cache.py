"""What llama.cpp keeps of the tokens that it has read: keys and values of each layer, or the state of a recurrent one.

The arithmetic is that of `llama_model::create_memory` (src/llama-model.cpp) and of the classes it makes
(src/llama-kv-cache.cpp, -iswa.cpp, llama-memory-recurrent.cpp), of llama.cpp 0.5.0-dev, commit 0c1e57098. The
tables are that of src/models/*.cpp: which architectures have layers that look only so far back.
"""

from __future__ import annotations

from dataclasses import dataclass

from llama_operator.stage.gguf.facts import MAX_LAYERS, Facts

PADDING = 256
"""Cells of a cache come in such groups (`GGML_PAD` in llama-context.cpp and llama-kv-cache-iswa.cpp)."""

WITHOUT = frozenset({
    "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
    "gemma-embedding", "dream", "llada", "llada-moe", "rnd1",
})  # fmt: skip
"""Architectures that read all tokens at once, and keep nothing."""

RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
"""All layers are recurrent."""
_HYBRID = frozenset({"jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe"})
"""Layers without heads for keys and values are recurrent."""
_SPARE = frozenset({"nemotron_h", "nemotron_h_moe"})
"""Of these, those that have a feed-forward part are neither."""
_INTERVAL = frozenset({"qwen3next", "qwen35", "qwen35moe"})
"""All layers but each n-th are recurrent."""
_BOTH = frozenset({"falcon-h1"})
"""Each layer is both."""

_PERIODS: dict[str, int] = {
    "afmoe": 4, "cohere2": 4, "exaone-moe": 4, "exaone4": 4, "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2,
    "llama4": 4, "mellum": 4, "muse-glimmer": 4, "olmo2": 4, "plamo3": 8,
}  # fmt: skip
"""The last of so many layers looks back without end, the others through a window, unless the file lists them."""
_DENSE_FIRST = {"cohere2moe": 4, "laguna": 4, "smallthinker": 4}
"""Here it is the first."""
_LISTED = frozenset({"gemma4", "granite_swa", "maple", "mimo2", "step35"})
"""The file lists them."""
_IGNORED = frozenset({"llama", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen3moe"})
"""A window that the file names is not used."""
_WINDOWS = {"exaone4": 4096, "gemma2": 4096, "llama4": 8192, "smallthinker": 4096}
"""Of tokens, where the file does not say it, or is not asked."""
_EXAONE4_WITH_WINDOW = 64
_GEMMA3N_CACHED = 20
"""Layers from here on use the caches of earlier ones."""
_STRANGE = ("attention.indexer.key_length", "attention.compress_ratios", "kda.head_dim")
"""Sparse attention and what else has caches of a kind of its own."""

BLOCKS: dict[str, tuple[int, int]] = {
    "f32": (1, 4), "f16": (1, 2), "bf16": (1, 2), "q8_0": (32, 34), "q5_1": (32, 24), "q5_0": (32, 22),
    "q4_1": (32, 20), "q4_0": (32, 18), "iq4_nl": (32, 18),
}  # fmt: skip
"""Types of keys and values: values in one block, and the bytes of one block."""


@dataclass(frozen=True)
class Streams:
    """`slots` caches of `cells` tokens each; `batch` tokens are read at a time. `keys` and `values` are of `BLOCKS`."""

    slots: int
    cells: int
    batch: int
    keys: str = "f16"
    values: str = "f16"
    flash: bool = True


def padded(cells: int) -> int:
    return -(-cells // PADDING) * PADDING


def window_cells(architecture: str, facts: Facts, streams: Streams) -> int:
    """Cells of a layer that looks through a window."""
    return padded(min(streams.cells, _window(architecture, facts) + streams.batch))


@dataclass(frozen=True)
class Layer:
    """`token`: bytes of one token's keys and values; `state`: those of a recurrent layer; `window`: it has one."""

    token: int
    state: int
    window: bool


def size(architecture: str, facts: Facts, streams: Streams) -> int | None:
    """In bytes; None for a kind of cache that is not known here."""
    layers = _layers(architecture, facts, streams)
    if layers is None:
        return None
    short = window_cells(architecture, facts, streams)
    return streams.slots * sum(x.state + x.token * (short if x.window else streams.cells) for x in layers)


def checkpoint(architecture: str, facts: Facts, streams: Streams) -> int | None:
    """What one slot's checkpoint takes, in bytes: of the parts that cannot go back to an earlier token, the windows and
    the states. 0 for models without such parts: llama-server takes none of them (`do_checkpoint` in
    tools/server/server-context.cpp). `llama_kv_cache::state_write` leaves out what no window sees any more, so it is
    less than the cache of the windows. 12 bytes for each token come on top.
    """
    layers = _layers(architecture, facts, streams)
    if layers is None:
        return None
    seen = min(streams.cells, _window(architecture, facts))
    return sum(x.state + (x.token * seen if x.window else 0) for x in layers)


def _layers(architecture: str, facts: Facts, streams: Streams) -> list[Layer] | None:
    layers = facts.number("block_count") - facts.number("nextn_predict_layers")
    if architecture in WITHOUT:
        return []
    if not 0 < layers <= MAX_LAYERS or any(facts.has(key) for key in _STRANGE):
        return None
    recurrent, windows = _recurrent(architecture, facts, layers), _windows(architecture, facts, layers)
    if recurrent is None or windows is None:
        return None
    state, both = _state(facts) * 4, architecture in _BOTH
    tokens = _tokens(architecture, facts, layers, streams, windows)
    return [
        Layer(0 if r and not both else token, state if r else 0, window)
        for r, token, window in zip(recurrent, tokens, windows, strict=True)
    ]


def _tokens(architecture: str, facts: Facts, layers: int, streams: Streams, windows: list[bool]) -> list[int]:
    """Bytes of one token's keys and values in each layer."""
    heads, width = facts.number("attention.head_count"), facts.number("embedding_length")
    kv_heads = facts.each("attention.head_count_kv", layers, heads)
    each = width // heads if heads else 0
    full = [facts.number(f"attention.{name}_length", each) for name in ("key", "value")]
    near = [facts.number(f"attention.{name}_length_swa", own) for name, own in zip(("key", "value"), full, strict=True)]
    latent = facts.has("attention.key_length_mla") and facts.has("attention.value_length_mla")
    cached, found = _cached(architecture, facts, layers), []
    for layer in range(layers):
        key, value = near if windows[layer] else full
        row = _row(streams.keys, key * kv_heads[layer])
        row += 0 if latent else _row(streams.values, value * kv_heads[layer])
        found.append(row if layer < cached else 0)
    return found


def _row(kind: str, values: int) -> int:
    per_block, length = BLOCKS[kind]
    return -(-values // per_block) * length


def _cached(architecture: str, facts: Facts, layers: int) -> int:
    """How many of the layers have caches of their own."""
    if architecture == "gemma3n":
        return _GEMMA3N_CACHED
    return layers - facts.number("attention.shared_kv_layers") if architecture == "gemma4" else layers


def _window(architecture: str, facts: Facts) -> int:
    given = facts.number("attention.sliding_window", _WINDOWS.get(architecture, 0))
    fixed = architecture in ("llama4", "smallthinker") and given
    return _WINDOWS[architecture] if fixed else given


def _windows(architecture: str, facts: Facts, layers: int) -> list[bool] | None:
    """Which layers look through a window; None if that is not known."""
    if architecture in _IGNORED or not _window(architecture, facts):
        return [False] * layers
    if architecture == "exaone4" and layers != _EXAONE4_WITH_WINDOW:
        return [False] * layers
    if architecture in ("lfm2", "lfm2moe"):
        return [architecture == "lfm2"] * layers
    known = architecture in _PERIODS or architecture in _DENSE_FIRST or architecture in _LISTED
    if "attention.sliding_window_pattern" in facts.lists and known:
        return [bool(flag) for flag in facts.each("attention.sliding_window_pattern", layers)]
    if not known or architecture in _LISTED:
        return None
    period = facts.number("attention.sliding_window_pattern") or (_PERIODS | _DENSE_FIRST)[architecture]
    far = 0 if architecture in _DENSE_FIRST else period - 1
    return [layer % period != far for layer in range(layers)]


def _recurrent(architecture: str, facts: Facts, layers: int) -> list[bool] | None:
    """Which layers keep a state instead of keys and values; None if that is not known."""
    if architecture in RECURRENT or architecture in _BOTH:
        return [True] * layers
    if architecture in _HYBRID:
        wide = facts.each("feed_forward_length", layers) if architecture in _SPARE else [0] * layers
        heads = facts.each("attention.head_count_kv", layers)
        return [not kv and not forward for kv, forward in zip(heads, wide, strict=True)]
    if architecture in _INTERVAL:
        if "attention.recurrent_layers" in facts.lists:
            return [bool(flag) for flag in facts.each("attention.recurrent_layers", layers)]
        interval = facts.number("full_attention_interval") or 4
        return [(layer + 1) % interval != 0 for layer in range(layers)]
    strange = any(facts.has(key) for key in ("ssm.state_size", "wkv.head_size", "shortconv.l_cache"))
    return None if strange or facts.has("attention.recurrent_layers") else [False] * layers


def _state(facts: Facts) -> int:
    """Values that one recurrent layer keeps of one sequence (`llama_hparams::n_embd_r` and `n_embd_s`)."""
    width, convolution = facts.number("embedding_length"), facts.number("ssm.conv_kernel")
    if facts.has("wkv.head_size"):
        return width * (facts.number("token_shift_count", 2) + facts.number("wkv.head_size"))
    if facts.has("shortconv.l_cache"):
        return width * (facts.number("shortconv.l_cache") - 1)
    inner, state = facts.number("ssm.inner_size"), facts.number("ssm.state_size")
    mixed = max(convolution - 1, 0) * (inner + 2 * facts.number("ssm.group_count") * state)
    return mixed + state * inner
