"""How much memory is predicted, for the shapes of real models, beside what llama-server has told for the same ones."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.memory import shapes, sparse
from benchmarks.memory.shapes import Model
from llama_operator.api.staging import Engine
from llama_operator.stage.gguf import header as gguf
from llama_operator.stage.gguf.facts import KEYS, MAX_NUMBER, Facts
from llama_operator.stage.memory import cache
from llama_operator.stage.memory.cache import Streams
from llama_operator.stage.memory.estimate import estimate

MIB = 1 << 20


def header(model: Model, folder: Path) -> gguf.Header:
    """With a small vocabulary, which has no part in it."""
    small, path = replace(model, vocabulary=300), folder / "model.gguf"
    size = sparse.write(path, small.metadata(), small.tensors(), small.vocabulary)
    with path.open("rb") as file:
        return gguf.read(file, size)


# "KV buffer size" and "RS buffer size" of llama-server 0.7.0 with these flags, in MiB.
MEASURED: list[tuple[Model, int, int, int, str, float]] = [
    (shapes.LLAMA_1B, 4096, 1, 512, "f16", 128),
    (shapes.LLAMA_1B, 16384, 1, 512, "q8_0", 272),
    (shapes.LLAMA_1B, 4096, 4, 512, "f16", 512),
    (shapes.QWEN2_05B, 16384, 1, 512, "q8_0", 102),
    (shapes.QWEN3_06B, 4096, 1, 512, "f16", 448),
    (shapes.GEMMA3_1B, 4096, 1, 512, "f16", 16 + 22),
    (shapes.GEMMA3_1B, 4096, 1, 128, "f16", 16 + 16.5),
    (shapes.GEMMA3_1B, 4096, 4, 512, "f16", 64 + 88),
    (shapes.GEMMA3_1B, 16384, 1, 512, "q8_0", 34 + 11.69),
    (shapes.GPT_OSS, 4096, 1, 512, "f16", 8 + 1.5),
    (shapes.QWEN3_MOE, 4096, 1, 512, "f16", 24),
    (shapes.DEEPSEEK, 4096, 1, 512, "f16", 13.5),
    (shapes.LFM2, 4096, 4, 512, "f16", 192 + 0.62),
    (shapes.MAMBA2, 4096, 1, 512, "f16", 40.98),
]


@pytest.mark.parametrize(
    ("model", "context", "slots", "batch", "kind", "expected"),
    MEASURED,
    ids=lambda value: value.name if isinstance(value, Model) else str(value),
)
def test_the_cache_is_what_the_server_says(
    model: Model, context: int, slots: int, batch: int, kind: str, expected: float, tmp_path: Path
) -> None:
    found = header(model, tmp_path)
    size = cache.size(found.architecture, found.facts, Streams(slots, context, batch, kind, kind))
    assert size is not None
    assert size / MIB == pytest.approx(expected, abs=0.02)


# "created context checkpoint … size = … MiB" of llama-server 0.7.0, after prompts that are longer than the window. 12
# bytes for each token are in it.
CHECKPOINTS: list[tuple[Model, str, float]] = [
    (shapes.GEMMA3_1B, "f16", 11.006),
    (shapes.GPT_OSS, "f16", 0.252),
    (shapes.GPT_OSS, "q8_0", 0.134),
    (shapes.LFM2, "f16", 0.157),
    (replace(shapes.MAMBA2, layers=8), "f16", 20.492),
    (shapes.LLAMA_1B, "f16", 0),  # none is made
]


@pytest.mark.parametrize(
    ("model", "kind", "expected"), CHECKPOINTS, ids=lambda value: getattr(value, "name", str(value))
)
def test_a_checkpoint_is_what_the_server_says(model: Model, kind: str, expected: float, tmp_path: Path) -> None:
    found = header(model, tmp_path)
    size = cache.checkpoint(found.architecture, found.facts, Streams(3, 4096, 512, kind, kind))
    assert size is not None
    assert size / MIB == pytest.approx(expected, abs=0.007)


def test_a_window_that_is_longer_than_the_context_keeps_the_context(tmp_path: Path) -> None:
    found = header(shapes.GEMMA3_1B, tmp_path)
    assert cache.checkpoint("gemma3", found.facts, Streams(1, 256, 512)) == 11 * MIB // 2


def test_all_slots_have_their_checkpoints(tmp_path: Path) -> None:
    """A draft model is in those of its model, if both have something that cannot go back."""
    near, plain = header(shapes.GEMMA3_1B, tmp_path), header(shapes.QWEN2_05B, tmp_path)
    engine = Engine(4096, slots=3, checkpoints=4)
    assert estimate({"model": [near]}, engine).checkpoints == 3 * 4 * 11 * MIB
    assert estimate({"model": [near], "draft": [near]}, engine).checkpoints == 2 * 3 * 4 * 11 * MIB
    assert estimate({"model": [near], "draft": [plain]}, engine).checkpoints == 3 * 4 * 11 * MIB
    assert estimate({"model": [plain], "draft": [near]}, engine).checkpoints == 0


# "compute buffer size" at 4096 tokens, one slot, in MiB.
COMPUTE = {
    shapes.LLAMA_1B: 72.02,
    shapes.QWEN2_05B: 41.27,
    shapes.QWEN3_06B: 32.02,
    shapes.GEMMA3_1B: 56.78,
    shapes.GPT_OSS: 100.4,
    shapes.QWEN3_MOE: 92.02,
    shapes.DEEPSEEK: 88.14,
    shapes.LFM2: 72.02,
    shapes.MAMBA2: 79.23,
}


@pytest.mark.parametrize(("model", "expected"), COMPUTE.items(), ids=lambda value: getattr(value, "name", ""))
def test_what_a_batch_takes_is_near_to_what_the_server_says(model: Model, expected: float, tmp_path: Path) -> None:
    """It is a small part of the whole: 7 % of it are less than 1 % of any of these models."""
    found = estimate({"model": [header(model, tmp_path)]}, Engine(4096)).compute / MIB
    assert expected * 0.99 <= found <= expected * 1.07


@pytest.mark.parametrize(("context", "expected"), [(4096, 131.01), (8192, 251.01)])
def test_without_flash_attention_a_batch_takes_more(context: int, expected: float, tmp_path: Path) -> None:
    found = estimate({"model": [header(shapes.QWEN2_05B, tmp_path)]}, Engine(context, flash=False))
    assert found.compute / MIB == pytest.approx(expected, rel=0.01)


def test_the_parts_are_summed(tmp_path: Path) -> None:
    one, engine = header(shapes.GEMMA3_1B, tmp_path), Engine(4096, checkpoints=2, prompt_cache=7 * MIB)
    alone = estimate({"model": [one]}, engine)
    assert not alone.partial
    assert alone.weights == one.weights == sum(map(sparse.size, replace(shapes.GEMMA3_1B, vocabulary=300).tensors()))
    parts = (alone.weights, alone.kv_cache, alone.compute, alone.checkpoints, alone.prompt_cache, alone.process)
    assert min(parts) > 0
    assert alone.total == sum(parts)
    assert alone.prompt_cache == 7 * MIB
    both = estimate(
        {"model": [one], "draft": [one], "projector": [gguf.Header(3, "clip", "", "", 1, 1, weights=5)]}, engine
    )
    assert both.weights == 2 * one.weights + 5
    assert (both.kv_cache, both.compute) == (2 * alone.kv_cache, 2 * alone.compute)
    assert both.prompt_cache == alone.prompt_cache


def test_a_vocabulary_has_its_price() -> None:
    found = estimate({"model": [gguf.Header(3, "bert", "", "", 1, 1, facts=Facts(words=100_000))]}, Engine(512))
    assert found.process / MIB == pytest.approx(24 + 18.4, abs=0.1)


@pytest.mark.parametrize(
    ("architecture", "numbers"),
    [
        ("unheard-of", {"attention.sliding_window": 512}),
        ("unheard-of", {"ssm.state_size": 128}),
        ("deepseek32", {"attention.indexer.key_length": 128}),
        ("gemma4", {"attention.sliding_window": 512}),  # and no list of layers
    ],
)
def test_a_cache_of_an_unknown_kind_counts_as_nothing(architecture: str, numbers: dict[str, int]) -> None:
    facts = Facts({"block_count": 4, "embedding_length": 64, "attention.head_count": 4} | numbers)
    found = estimate({"model": [gguf.Header(3, architecture, "", "", 1, 1, facts=facts)]}, Engine(4096))
    assert found.partial
    assert found.kv_cache == 0


def test_hybrids_are_taken_layer_by_layer() -> None:
    streams = Streams(2, 1024, 512)
    state, attention = (3 * (256 + 2 * 16) + 16 * 256) * 4 * 2, 2 * 64 * 2 * 2 * 1024 * 2
    numbers = {
        "block_count": 4, "embedding_length": 128, "attention.head_count": 2, "attention.head_count_kv": 2,
        "ssm.conv_kernel": 4, "ssm.inner_size": 256, "ssm.state_size": 16, "ssm.group_count": 1,
    }  # fmt: skip
    assert cache.size("qwen3next", Facts(numbers), streams) == 3 * state + attention
    assert cache.checkpoint("qwen3next", Facts(numbers), streams) == 3 * state // 2
    assert cache.size("falcon-h1", Facts(numbers), streams) == 4 * (state + attention)
    assert cache.checkpoint("falcon-h1", Facts(numbers), streams) == 4 * state // 2
    lists: dict[str, tuple[int, ...]] = {"attention.head_count_kv": (0, 0, 2, 0), "feed_forward_length": (0, 64, 0, 0)}
    assert cache.size("nemotron_h", Facts(numbers, lists), streams) == 2 * state + attention
    assert cache.size("granitehybrid", Facts(numbers, lists), streams) == 3 * state + attention


def test_layers_that_share_a_cache_have_none() -> None:
    numbers = {
        "block_count": 4, "embedding_length": 128, "attention.head_count": 2, "attention.shared_kv_layers": 2,
        "attention.sliding_window": 256, "attention.key_length_swa": 32, "attention.value_length_swa": 32,
    }  # fmt: skip
    facts = Facts(numbers, {"attention.sliding_window_pattern": (1, 0, 1, 0)})
    near, far = 2 * 32 * 2 * 2 * 768, 2 * 64 * 2 * 2 * 4096
    assert cache.size("gemma4", facts, Streams(1, 4096, 512)) == near + far


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["llama", "gemma3", "gemma4", "lfm2", "mamba", "qwen3next", "falcon-h1", "rwkv7", ""]),
    st.dictionaries(st.sampled_from(sorted(KEYS)), st.integers(0, MAX_NUMBER) | st.integers(0, 64)),
    st.dictionaries(st.sampled_from(sorted(KEYS)), st.lists(st.integers(-1, MAX_NUMBER), max_size=512).map(tuple)),
)
def test_no_header_takes_long_or_gives_nonsense(
    architecture: str, numbers: dict[str, int], lists: dict[str, tuple[int, ...]]
) -> None:
    facts, begun = Facts(), time.process_time()
    for key, number in numbers.items():
        facts.put(key, number)
    for key, listed in lists.items():
        facts.put(key, listed)
    engine = Engine((1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1, "q4_0", "f32", checkpoints=1024)
    found = estimate({"model": [gguf.Header(3, architecture, "", "", 1, 1, facts=facts)]}, engine)
    assert min(msgspec.structs.astuple(found)) >= 0
    assert found.total < 1 << 63
    assert time.process_time() - begun < 1
