"""Models by their shape: the metadata and the tensors that llama.cpp wants of each architecture.

The shapes are those of models that people serve; some have fewer layers, so that they fit into a small machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.memory.sparse import F16, Q4_0, Q4_K, Q6_K, Q8_0, Tensor, Value, write


@dataclass(frozen=True)
class Model:
    """`type`: of most matrices; `head`: length of one head's keys and values; `experts`: how many, used, wide."""

    name: str
    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    feed_forward: int
    vocabulary: int
    type: int = Q8_0
    tied: bool = False
    experts: tuple[int, int, int] = (0, 0, 0)
    window: int = 0
    extra: dict[str, Value] = field(default_factory=dict, hash=False)

    def metadata(self) -> dict[str, Value]:
        own: dict[str, Value] = {
            "context_length": 131072,
            "embedding_length": self.width,
            "block_count": self.layers,
            "feed_forward_length": self.feed_forward,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
            "attention.key_length": self.head,
            "attention.value_length": self.head,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "rope.dimension_count": self.head,
            "vocab_size": self.vocabulary,
        }
        if self.window:
            own["attention.sliding_window"] = self.window
        if self.experts[0]:
            own |= {"expert_count": self.experts[0], "expert_used_count": self.experts[1]}
            own["expert_feed_forward_length"] = self.experts[2]
        own |= self.extra
        named = {f"{self.architecture}.{key}": value for key, value in own.items()}
        return {"general.architecture": self.architecture, "general.name": self.name, **named}

    def tensors(self) -> list[Tensor]:
        width, kind = self.width, self.type
        # llama-quantize gives an embedding that is the output matrix, too, more than four bits.
        shared = Q6_K if self.tied and kind in (Q4_0, Q4_K) else kind
        found = [Tensor("token_embd.weight", (width, self.vocabulary), shared)]
        found += [Tensor("token_embd_norm.weight", (width,))] if self.architecture == "lfm2" else []
        found += [] if self.architecture == "lfm2" else [Tensor("output_norm.weight", (width,))]
        found += [] if self.tied else [Tensor("output.weight", (width, self.vocabulary), kind)]
        for number in range(self.layers):
            layer = LAYERS[self.architecture](self, number)
            found += [replace(tensor, name=f"blk.{number}.{tensor.name}") for tensor in layer]
        return found


@contextmanager
def laid_out(model: Model, folder: Path) -> Iterator[Path]:
    """The model as a file with holes, below `folder`, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-", dir=folder) as place:
        path = Path(place) / "model.gguf"
        write(path, model.metadata(), model.tensors(), model.vocabulary)
        yield path


def _attention(model: Model) -> list[Tensor]:
    wide, narrow, kind = model.heads * model.head, model.kv_heads * model.head, model.type
    return [
        Tensor("attn_norm.weight", (model.width,)),
        Tensor("attn_q.weight", (model.width, wide), kind),
        Tensor("attn_k.weight", (model.width, narrow), kind),
        Tensor("attn_v.weight", (model.width, narrow), kind),
        Tensor("attn_output.weight", (wide, model.width), kind),
    ]


def _dense(model: Model) -> list[Tensor]:
    width, wide, kind = model.width, model.feed_forward, model.type
    return [
        Tensor("ffn_norm.weight", (width,)),
        Tensor("ffn_gate.weight", (width, wide), kind),
        Tensor("ffn_up.weight", (width, wide), kind),
        Tensor("ffn_down.weight", (wide, width), kind),
    ]


def _experts(model: Model) -> list[Tensor]:
    (count, _, wide), width, kind = model.experts, model.width, model.type
    return [
        Tensor("ffn_gate_inp.weight", (width, count)),
        Tensor("ffn_gate_exps.weight", (width, wide, count), kind),
        Tensor("ffn_up_exps.weight", (width, wide, count), kind),
        Tensor("ffn_down_exps.weight", (wide, width, count), kind),
    ]


def _norms(model: Model) -> list[Tensor]:
    return [Tensor("attn_q_norm.weight", (model.head,)), Tensor("attn_k_norm.weight", (model.head,))]


def _llama(model: Model, _: int) -> list[Tensor]:
    return [*_attention(model), *_dense(model)]


def _qwen2(model: Model, _: int) -> list[Tensor]:
    narrow = (model.kv_heads * model.head,)
    biases = [Tensor("attn_q.bias", (model.heads * model.head,)), *(Tensor(f"attn_{x}.bias", narrow) for x in "kv")]
    return [*_attention(model), *biases, *_dense(model)]


def _qwen3(model: Model, _: int) -> list[Tensor]:
    return [*_attention(model), *_norms(model), *_dense(model)]


def _qwen3moe(model: Model, _: int) -> list[Tensor]:
    return [*_attention(model), *_norms(model), Tensor("ffn_norm.weight", (model.width,)), *_experts(model)]


def _gemma3(model: Model, _: int) -> list[Tensor]:
    after = [Tensor(f"post_{name}_norm.weight", (model.width,)) for name in ("attention", "ffw")]
    return [*_attention(model), *_norms(model), *after, *_dense(model)]


def _gpt_oss(model: Model, _: int) -> list[Tensor]:
    (count, _, wide), width = model.experts, model.width
    full, narrow = model.heads * model.head, model.kv_heads * model.head
    biases = {
        "attn_q.bias": (full,), "attn_k.bias": (narrow,), "attn_v.bias": (narrow,), "attn_output.bias": (width,),
        "attn_sinks.weight": (model.heads,), "post_attention_norm.weight": (width,), "ffn_gate_inp.bias": (count,),
        "ffn_gate_exps.bias": (wide, count), "ffn_up_exps.bias": (wide, count), "ffn_down_exps.bias": (width, count),
    }  # fmt: skip
    return [*_attention(model), *_experts(model), *(Tensor(name, shape) for name, shape in biases.items())]


def _deepseek2(model: Model, number: int) -> list[Tensor]:
    """Keys and values are made from one short vector per token (MLA): here of 512, and 64 for the position."""
    width, kind, heads = model.width, model.type, model.heads
    attention = [
        Tensor("attn_norm.weight", (width,)),
        Tensor("attn_q_a.weight", (width, 1536), kind),
        Tensor("attn_q_a_norm.weight", (1536,)),
        Tensor("attn_q_b.weight", (1536, heads * 192), kind),
        Tensor("attn_kv_a_mqa.weight", (width, 576), kind),
        Tensor("attn_kv_a_norm.weight", (512,)),
        Tensor("attn_k_b.weight", (128, 512, heads), kind),
        Tensor("attn_v_b.weight", (512, 128, heads), kind),
        Tensor("attn_output.weight", (heads * 128, width), kind),
    ]
    if not number:
        return [*attention, *_dense(model)]
    wide = 2 * model.experts[2]
    shared = {"gate": (width, wide), "up": (width, wide), "down": (wide, width)}
    shared_experts = [Tensor(f"ffn_{name}_shexp.weight", shape, kind) for name, shape in shared.items()]
    return [*attention, Tensor("ffn_norm.weight", (width,)), *_experts(model), *shared_experts]


def _lfm2(model: Model, number: int) -> list[Tensor]:
    heads = model.extra["attention.head_count_kv"]
    assert isinstance(heads, tuple)
    if heads[number]:
        return [*_attention(replace(model, kv_heads=heads[number])), *_norms(model), *_dense(model)]
    width, kind = model.width, model.type
    convolution = [
        Tensor("attn_norm.weight", (width,)),
        Tensor("shortconv.conv.weight", (3, width)),
        Tensor("shortconv.in_proj.weight", (width, 3 * width), kind),
        Tensor("shortconv.out_proj.weight", (width, width), kind),
    ]
    return [*convolution, *_dense(model)]


def _mamba2(model: Model, _: int) -> list[Tensor]:
    """An inner width twice the outer one, in heads of 64, with one group of states of 128."""
    inner, kind = 2 * model.width, model.type
    heads, mixed = inner // 64, inner + 2 * 128
    return [
        Tensor("attn_norm.weight", (model.width,)),
        Tensor("ssm_in.weight", (model.width, 2 * inner + 2 * 128 + heads), kind),
        Tensor("ssm_conv1d.weight", (4, mixed)),
        Tensor("ssm_conv1d.bias", (mixed,)),
        Tensor("ssm_dt.bias", (heads,)),
        Tensor("ssm_a", (1, heads)),
        Tensor("ssm_d", (1, heads)),
        Tensor("ssm_norm.weight", (inner, 1)),
        Tensor("ssm_out.weight", (inner, model.width), kind),
    ]


LAYERS: dict[str, Callable[[Model, int], list[Tensor]]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3moe,
    "gemma3": _gemma3,
    "gpt-oss": _gpt_oss,
    "deepseek2": _deepseek2,
    "lfm2": _lfm2,
    "mamba2": _mamba2,
}

_MLA: dict[str, Value] = {
    "attention.key_length": 576, "attention.value_length": 512, "attention.key_length_mla": 192,
    "attention.value_length_mla": 128, "attention.kv_lora_rank": 512, "attention.q_lora_rank": 1536,
    "rope.dimension_count": 64, "leading_dense_block_count": 1, "expert_shared_count": 2, "expert_weights_scale": 1.0,
}  # fmt: skip
_LFM2: dict[str, Value] = {
    "attention.head_count_kv": (0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0), "shortconv.l_cache": 3,
}  # fmt: skip
_MAMBA2: dict[str, Value] = {
    "attention.head_count": 0, "attention.head_count_kv": 0, "ssm.conv_kernel": 4, "ssm.inner_size": 5120,
    "ssm.state_size": 128, "ssm.time_step_rank": 80, "ssm.group_count": 1,
}  # fmt: skip

LLAMA_1B = Model("Llama 3.2 1B", "llama", 16, 2048, 32, 8, 64, 8192, 128256, tied=True)
LLAMA_8B = Model("Llama 3.1 8B, 8 layers", "llama", 8, 4096, 32, 8, 128, 14336, 128256, Q4_K)
QWEN2_05B = Model("Qwen 2.5 0.5B", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, tied=True)
QWEN3_06B = Model("Qwen 3 0.6B", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, tied=True)
QWEN3_4B = Model("Qwen 3 4B, 12 layers", "qwen3", 12, 2560, 32, 8, 128, 9728, 151936, Q4_K, tied=True)
GEMMA3_1B = Model("Gemma 3 1B", "gemma3", 26, 1152, 4, 1, 256, 6912, 262144, tied=True, window=512)
GEMMA3_4B = Model("Gemma 3 4B", "gemma3", 34, 2560, 8, 4, 256, 10240, 262144, Q4_0, tied=True, window=1024)
GPT_OSS = Model("gpt-oss, 2 layers", "gpt-oss", 2, 2880, 64, 8, 64, 2880, 201088, experts=(32, 4, 2880), window=128)
QWEN3_MOE = Model(
    "Qwen 3 30B-A3B, 3 layers", "qwen3moe", 3, 2048, 32, 4, 128, 6144, 151936, Q4_K, experts=(128, 8, 768)
)
DEEPSEEK = Model(
    "DeepSeek V2 Lite, 3 layers", "deepseek2", 3, 2048, 16, 1, 192, 10944, 102400, experts=(64, 6, 1408), extra=_MLA
)
LFM2 = Model("LFM2 1.2B", "lfm2", 16, 2048, 32, 8, 64, 8192, 65536, tied=True, extra=_LFM2)
MAMBA2 = Model("Mamba 2 2.7B, 16 layers", "mamba2", 16, 2560, 0, 0, 0, 0, 50280, F16, tied=True, extra=_MAMBA2)
