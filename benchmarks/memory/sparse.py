"""GGUF files with the header of a real model and holes for its data: gigabytes that take no room on the disk."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from llama_operator.stage.gguf.types import TENSOR_BLOCKS

F32, F16, Q4_0, Q8_0, Q4_K, Q6_K = 0, 1, 2, 8, 12, 14
_ALIGNMENT = 32
_CONTROL = ("<unk>", "<s>", "</s>")

Value = str | int | float | bool | Sequence[int]


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    type: int = F32


def write(path: Path, metadata: Mapping[str, Value], tensors: Sequence[Tensor], vocabulary: int) -> int:
    """Returns the length of the file in bytes."""
    entries = [_entry(key, value) for key, value in metadata.items()] + _words(vocabulary)
    listed, offset = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries)), *entries], 0
    for tensor in tensors:
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        listed += [_text(tensor.name), dimensions, struct.pack("<IQ", tensor.type, offset)]
        offset = _aligned(offset + size(tensor))
    header = b"".join(listed)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(_aligned(len(header)) + offset)
        return file.seek(0, 2)


def size(tensor: Tensor) -> int:
    """In bytes."""
    values, length = TENSOR_BLOCKS[tensor.type]
    return prod(tensor.shape) // values * length


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _entry(key: str, value: Value) -> bytes:
    if isinstance(value, str):
        return _text(key) + struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return _text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return _text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return _text(key) + struct.pack("<If", 6, value)
    return _text(key) + struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)


def _words(count: int) -> list[bytes]:
    """A vocabulary as SentencePiece has it: control tokens, bytes, and words that nobody writes."""
    tokens = [*_CONTROL, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += [f"t{number}" for number in range(count - len(tokens))]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (count - 259)
    array = struct.pack("<I", 9)
    return [
        _entry("tokenizer.ggml.model", "llama"),
        _text("tokenizer.ggml.tokens") + array + struct.pack("<IQ", 8, count) + b"".join(map(_text, tokens)),
        _text("tokenizer.ggml.scores") + array + struct.pack(f"<IQ{count}f", 6, count, *[0.0] * count),
        _text("tokenizer.ggml.token_type") + array + struct.pack(f"<IQ{count}i", 5, count, *kinds),
        _entry("tokenizer.ggml.bos_token_id", 1),
        _entry("tokenizer.ggml.eos_token_id", 2),
        # Else the marks of messages are other tokens alone than within a text, and llama-server does not find them.
        _entry("tokenizer.ggml.add_space_prefix", False),
    ]
