"""The numbers of a header that tell how much memory a model takes: those of `<architecture>.…`, by the rest of the key.

Each is what llama.cpp reads into `llama_hparams` (src/llama-hparams.h). What a file says may be absurd, so there is a
bound on each number and on each list, and what is beyond counts as not said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_LAYERS = 512
"""LLAMA_MAX_LAYERS: of lists, too, which have one number for each layer."""
MAX_NUMBER = 1 << 31
"""llama.cpp reads 32 bits; nothing that is counted here comes near."""

KEYS = frozenset({
    "block_count", "context_length", "embedding_length", "feed_forward_length", "nextn_predict_layers",
    "expert_used_count", "expert_feed_forward_length", "full_attention_interval",
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length",
    "attention.key_length_swa", "attention.value_length_swa", "attention.key_length_mla",
    "attention.value_length_mla", "attention.sliding_window", "attention.sliding_window_pattern",
    "attention.shared_kv_layers", "attention.recurrent_layers", "attention.indexer.key_length",
    "attention.compress_ratios", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.group_count",
    "wkv.head_size", "token_shift_count", "shortconv.l_cache", "kda.head_dim",
})  # fmt: skip
WORDS = frozenset({b"tokenizer.ggml.tokens", b"tokenizer.ggml.merges"})
"""Lists whose length counts: llama.cpp keeps them in maps."""


@dataclass(frozen=True)
class Facts:
    """`numbers` and `lists` by key; `words` is the length of the lists of `WORDS`, together."""

    numbers: dict[str, int] = field(default_factory=dict)
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict)
    words: int = 0

    def put(self, key: str, value: int | Sequence[int]) -> None:
        """Left out if it is not plausible."""
        if isinstance(value, int):
            if 0 <= value < MAX_NUMBER:
                self.numbers[key] = value
        elif all(0 <= one < MAX_NUMBER for one in value):
            self.lists[key] = tuple(value)

    def number(self, key: str, default: int = 0) -> int:
        """Of a list the largest."""
        return self.numbers.get(key, max(self.lists.get(key, ()), default=default))

    def has(self, key: str) -> bool:
        """Said, and not 0."""
        return self.number(key) != 0

    def each(self, key: str, layers: int, default: int = 0) -> Sequence[int]:
        """One number for each of the `layers`, from a list or the same for all."""
        listed = self.lists.get(key)
        if listed is None:
            return [self.numbers.get(key, default)] * layers
        return [*listed[:layers], *[default] * (layers - len(listed))]
