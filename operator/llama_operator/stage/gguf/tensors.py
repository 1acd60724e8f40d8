"""The tensor list of a GGUF file: what each one may look like, and where it has to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llama_operator.stage.gguf.cursor import Cursor, malformed, truncated
from llama_operator.stage.gguf.types import NEWEST_TENSOR_TYPE, TENSOR_BLOCKS

MAX_TENSORS = 1 << 17
"""Their names are remembered, in 64 bytes each; the largest models have some thousands."""
MAX_NAME = 63
MAX_DIMENSIONS = 4
"""Both are ggml's (GGML_MAX_NAME counts a final zero)."""
MAX_NEW_TYPES = 1 << 10
"""Types are numbered one after another: a number this far beyond the newest is no type but damage."""
_INT64 = (1 << 63) - 1
_UINT64 = (1 << 64) - 1


class Layout:
    """Where the next tensor has to start: llama.cpp wants them one after another, each padded to `alignment`.

    `needed` counts bytes from the start of the data to the end of the last tensor so far.
    """

    def __init__(self, alignment: int) -> None:
        self._alignment = alignment
        self._next: int | None = 0
        self.needed = 0

    def place(self, offset: int, size: int | None) -> None:
        """`size` in bytes is None for a type we do not know: then only the start of the next one can be checked."""
        after_unknown = offset >= self.needed and offset % self._alignment == 0
        fits = after_unknown if self._next is None else offset == self._next
        if not fits:
            raise malformed(f"a tensor at offset {offset}, which overlaps another one or leaves a gap")
        self.needed = offset + (size or 0)
        self._next = None if size is None else self.padded(self.needed)

    def padded(self, position: int) -> int:
        return -(-position // self._alignment) * self._alignment


@dataclass(frozen=True)
class Listed:
    """What all tensors of a list have together: values, and the bytes that they take."""

    parameters: int
    bytes: int


def walk(cursor: Cursor, count: int, alignment: int, file_size: int) -> Listed:
    """Check the list, whose offsets count from the aligned end of the header."""
    if count > MAX_TENSORS:
        raise malformed(f"{count} tensors")
    parameters, layout, names = 0, Layout(alignment), set[bytes]()
    for _ in range(count):
        name = cursor.text(MAX_NAME, "a tensor's name")
        if name in names:
            raise malformed("two tensors of one name")
        names.add(name)
        shape = _shape(cursor)
        kind, offset = cursor.number("I"), cursor.number("Q")
        layout.place(offset, _bytes(shape, kind))
        parameters += math.prod(shape)
    end = layout.padded(cursor.position) + layout.needed
    if count and end > file_size:
        raise truncated(f"its tensors end at byte {end}, the file at byte {file_size}")
    return Listed(parameters, layout.needed)


def _shape(cursor: Cursor) -> list[int]:
    """At least one dimension, as a scalar is a tensor of one value; the number of values fits 64 bits.

    ggml counts as if a dimension of 0 were 1, and aborts where that is too much (`ggml_new_tensor_impl`).
    """
    rank = cursor.number("I")
    if rank > MAX_DIMENSIONS:
        raise malformed(f"a tensor of {rank} dimensions")
    shape = [cursor.number("Q") for _ in range(rank)] or [1]
    values = shape[0]
    for length in shape[1:]:
        if length > 1 and _INT64 // length <= values:
            raise malformed(f"a tensor of shape {shape}")
        values *= length or 1
    if max(shape) > _INT64:
        raise malformed(f"a tensor of shape {shape}")
    return shape


def _bytes(shape: list[int], kind: int) -> int | None:
    """Raises NotGGUF for a type that ggml dropped, and for a row that is not made of whole blocks or absurd.

    `ggml_nbytes` multiplies a row's values and a block's bytes in 64 bits before it divides, and takes what overflows
    for a small tensor: llama.cpp would read beyond the end of the file.
    """
    if NEWEST_TENSOR_TYPE < kind <= NEWEST_TENSOR_TYPE + MAX_NEW_TYPES:
        return None
    if kind not in TENSOR_BLOCKS:
        raise malformed(f"a tensor of type {kind}, which does not exist or was given up; convert the model anew")
    per_block, block_bytes = TENSOR_BLOCKS[kind]
    if shape[0] % per_block:
        raise malformed(f"a tensor of type {kind} with rows of {shape[0]}, which is not a multiple of {per_block}")
    if shape[0] * block_bytes > _UINT64:
        raise malformed(f"a tensor of type {kind} with rows of {shape[0]}, which overflows")
    return math.prod(shape) // per_block * block_bytes
