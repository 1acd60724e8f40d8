"""Read the header of a GGUF file and check that the file holds all it announces.

The header is read as a stream and values that nobody asks for are stepped over, so memory does not depend on the
file: a vocabulary of a million tokens costs nothing. What is checked is what llama.cpp would trip over: the structure
up to the tensor list, and every tensor's place within the file. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import BinaryIO

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf_types import ARRAY, FILE_TYPES, SCALARS, STRING, TENSOR_BLOCKS, UINT32

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER = 256 << 20
"""Bytes of a header we are willing to walk through; large vocabularies take a tenth of it."""
MAX_ENTRIES = 1 << 20
MAX_KEY = 1 << 16
MAX_KEPT = 1 << 16
"""Longest string that is kept, of those we want."""
MAX_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_WANTED = frozenset(
    {"general.architecture", "general.name", "general.alignment", "general.file_type", "split.count", "split.no"}
)


@dataclass(frozen=True)
class Header:
    """What the file says about itself. `parts` is more than 1 for one piece of a split model; `part` is which
    one, counted from 0."""

    version: int
    architecture: str
    name: str
    file_type: str
    parameters: int
    tensors: int
    parts: int
    part: int = 0


class _Cursor:
    """Reads numbers and strings from the start of a file, and never beyond its end."""

    def __init__(self, file: BinaryIO, file_size: int) -> None:
        self._file, self._end = file, file_size
        self.position = 0

    def take(self, count: int) -> bytes:
        self._reserve(count)
        data = self._file.read(count)
        if len(data) != count:
            raise _truncated("it became shorter while it was read")
        return data

    def skip(self, count: int) -> None:
        self._reserve(count)
        self._file.seek(self.position)

    def number(self, code: str) -> int:
        value: int = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        return value

    def text(self, longest: int, what: str) -> str:
        length = self.number("Q")
        if length > longest:
            raise _malformed(f"{what} of {length} bytes")
        return self.take(length).decode("utf-8", "replace")

    def _reserve(self, count: int) -> None:
        if count > self._end - self.position:
            raise _truncated(f"its header goes on beyond byte {self._end}")
        self.position += count
        if self.position > MAX_HEADER:
            raise _malformed(f"a header of more than {MAX_HEADER} bytes")


def read(file: BinaryIO, file_size: int) -> Header:
    """Check the file, which is `file_size` bytes long, from its first byte on.

    Raises `Failure`: NotGGUF if this is no such file or a broken one, Truncated if its end is missing.
    """
    cursor = _Cursor(file, file_size)
    if file_size < len(MAGIC) or cursor.take(len(MAGIC)) != MAGIC:
        raise Failure(Reason.NOT_GGUF, "the file does not start with GGUF: it is not a llama.cpp model file")
    version = cursor.number("I")
    if version not in VERSIONS:
        raise _malformed(f"version {version}, where only {VERSIONS} can be served (big-endian files cannot)")
    tensors, entries = cursor.number("Q"), cursor.number("Q")
    if max(tensors, entries) > MAX_ENTRIES:
        raise _malformed(f"{tensors} tensors and {entries} metadata entries")
    metadata = _metadata(cursor, entries)
    parameters = _tensors(cursor, tensors, _alignment(metadata), file_size)
    file_type = metadata.get("general.file_type", -1)
    return Header(
        version=version,
        architecture=str(metadata.get("general.architecture", "")),
        name=str(metadata.get("general.name", "")),
        file_type=FILE_TYPES.get(file_type, "unknown") if isinstance(file_type, int) else "unknown",
        parameters=parameters,
        tensors=tensors,
        parts=_count(metadata.get("split.count", 1)),
        part=_count(metadata.get("split.no", 0)),
    )


def _metadata(cursor: _Cursor, entries: int) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for _ in range(entries):
        key = cursor.text(MAX_KEY, "a key")
        kind = cursor.number("I")
        if key in _WANTED and kind == STRING:
            found[key] = cursor.text(MAX_KEPT, f"the value of {key}")
        elif key in _WANTED and kind in SCALARS and SCALARS[kind] not in "fd":
            found[key] = cursor.number(SCALARS[kind])
            _check_alignment_kind(key, kind)
        else:
            _skip_value(cursor, kind)
    return found


def _skip_value(cursor: _Cursor, kind: int) -> None:
    if kind in SCALARS:
        cursor.skip(struct.calcsize(f"<{SCALARS[kind]}"))
    elif kind == STRING:
        cursor.skip(cursor.number("Q"))
    elif kind == ARRAY:
        _skip_array(cursor)
    else:
        raise _malformed(f"a metadata value of type {kind}")


def _skip_array(cursor: _Cursor) -> None:
    kind, count = cursor.number("I"), cursor.number("Q")
    if kind in SCALARS:
        cursor.skip(count * struct.calcsize(f"<{SCALARS[kind]}"))
    elif kind == STRING:
        for _ in range(count):
            cursor.skip(cursor.number("Q"))
    else:
        raise _malformed(f"an array of type {kind}")


def _tensors(cursor: _Cursor, count: int, alignment: int, file_size: int) -> int:
    """Walk the tensor list, whose offsets count from the aligned end of the header; returns the parameters."""
    parameters, needed = 0, 0
    for _ in range(count):
        cursor.skip(cursor.number("Q"))
        rank = cursor.number("I")
        if rank > MAX_DIMENSIONS:
            raise _malformed(f"a tensor of {rank} dimensions")
        values = math.prod(cursor.number("Q") for _ in range(rank))
        kind, offset = cursor.number("I"), cursor.number("Q")
        # A type that is newer than our table: its size is unknown, its start is still checked.
        per_block, block_bytes = TENSOR_BLOCKS.get(kind, (1, 0))
        if values % per_block:
            raise _malformed(f"a tensor of type {kind} with {values} values, which is not a multiple of {per_block}")
        parameters += values
        needed = max(needed, offset + values // per_block * block_bytes)
    start = -(-cursor.position // alignment) * alignment
    if count and start + needed > file_size:
        raise _truncated(f"its tensors end at byte {start + needed}, the file at byte {file_size}")
    return parameters


def _check_alignment_kind(key: str, kind: int) -> None:
    if key == "general.alignment" and kind != UINT32:
        raise _malformed(f"general.alignment of type {kind}")


def _alignment(metadata: dict[str, str | int]) -> int:
    value = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or value <= 0 or value & (value - 1):
        raise _malformed("general.alignment, which must be a power of two")
    return value


def _count(value: str | int) -> int:
    return value if isinstance(value, int) else 0


def _malformed(what: str) -> Failure:
    return Failure(Reason.NOT_GGUF, f"the file starts like GGUF, but its header is broken or unsupported: {what}")


def _truncated(what: str) -> Failure:
    return Failure(Reason.TRUNCATED, f"the end of the file is missing: {what}; publish the complete file")
