"""GGUF files that are nearly right: a valid one, taken apart into its fields, with some of them changed."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from llama_operator.stage.gguf.types import ARRAY, BYTES, SCALARS, STRING, TENSOR_BLOCKS

_EDGES = (0, 1, 2, 3, 8, 31, 32, 33, 63, 64, 65, 255, 256, 4096, 65535, 65536, 1 << 20)
_EXTREMES = tuple(
    (1 << power) + step for power in (17, 22, 28, 30, 31, 32, 33, 48, 61, 62, 63, 64) for step in (-1, 0, 1)
)


@dataclass
class Field:
    """A number in `struct`'s code, or bytes as they are (`code` empty)."""

    code: str
    value: int = 0
    raw: bytes = b""

    def encode(self) -> bytes:
        if not self.code:
            return self.raw
        if self.code in "fd":
            return struct.pack(f"<{self.code}", float(self.value % 1000))
        return (self.value % (1 << 8 * BYTES[self.code])).to_bytes(BYTES[self.code], "little")


def mutant(rng: random.Random) -> bytes:
    """A file of at most some KiB: in one of eight cases right, else wrong in up to four fields, or bytes, or both."""
    fields, size = valid(rng)
    if rng.randrange(8):
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            _change(rng, fields)
        return _damage(rng, _encode(fields, size))
    return _encode(fields, size)


def valid(rng: random.Random) -> tuple[list[Field], tuple[int, int]]:
    """Fields up to the tensor list, then the alignment and the bytes that the tensors take."""
    alignment = rng.choice((32, 32, 32, 1, 8, 64, 4096))
    entries = [_entry(rng, number) for number in range(rng.randrange(5))]
    entries.append([*_text(b"general.alignment"), Field("I", 4), Field("I", alignment)])
    rng.shuffle(entries)
    tensors, needed = _tensors(rng, rng.randrange(4), alignment)
    head = [Field("", raw=b"GGUF"), Field("I", rng.choice((2, 3)))]
    head += [Field("Q", len(tensors)), Field("Q", len(entries))]
    return [field for part in ([head], entries, tensors) for group in part for field in group], (alignment, needed)


def _text(value: bytes) -> list[Field]:
    return [Field("Q", len(value)), Field("", raw=value)]


def _entry(rng: random.Random, number: int) -> list[Field]:
    known = [(b"general.architecture", STRING), (b"general.name", STRING), (b"split.no", 2), (b"general.type", STRING)]
    key, kind = rng.choice([known[number % 4], (b"k%d" % number, rng.choice((*SCALARS, STRING, ARRAY)))])
    fields = [*_text(key), Field("I", kind)]
    if kind == ARRAY:
        inner, count = rng.choice((*SCALARS, STRING)), rng.randrange(5)
        fields += [Field("I", inner), Field("Q", count)]
        return fields + [field for _ in range(count) for field in _value(rng, inner)]
    return fields + _value(rng, kind)


def _value(rng: random.Random, kind: int) -> list[Field]:
    if kind == STRING:
        return _text(rng.randbytes(rng.randrange(20)))
    return [Field(SCALARS[kind], rng.randrange(2) if SCALARS[kind] == "?" else rng.randrange(256))]


def _tensors(rng: random.Random, count: int, alignment: int) -> tuple[list[list[Field]], int]:
    fields, offset, end = [], 0, 0
    for number in range(count):
        kind = rng.choice(list(TENSOR_BLOCKS))
        values, size = TENSOR_BLOCKS[kind]
        rows = [rng.choice((0, 1, 1, 2, 3)) for _ in range(rng.randrange(4))]
        shape, total = [values, *rows], size
        for row in rows:
            total *= row
        dims = [Field("Q", length) for length in shape]
        fields.append([*_text(b"t%d" % number), Field("I", len(shape)), *dims, Field("I", kind), Field("Q", offset)])
        end = offset + total
        offset = -(-end // alignment) * alignment
    return fields, end


def _change(rng: random.Random, fields: list[Field]) -> None:
    """Give one field another value: one beside it, of another field, at an edge, extreme, or any."""
    at = rng.randrange(1, len(fields))
    field = fields[at]
    if not field.code:
        fields[at] = Field("", raw=rng.choice((rng.randbytes(len(field.raw)), b"t0", b"", fields[0].raw)))
        return
    other = rng.choice(fields).value
    near = field.value + rng.choice((-1, 1))
    value = rng.choice((near, other, rng.choice(_EDGES), rng.choice(_EXTREMES), rng.getrandbits(64)))
    fields[at] = Field(field.code, value)


def _encode(fields: list[Field], size: tuple[int, int]) -> bytes:
    alignment, needed = size
    head = b"".join(field.encode() for field in fields)
    return head + bytes(-len(head) % alignment) + bytes(needed)


def _damage(rng: random.Random, data: bytes) -> bytes:
    """Half of the time nothing; else cut, flip a bit, insert, remove or overwrite bytes."""
    at, how = rng.randrange(len(data)), rng.randrange(10)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if how == 2:
        return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
    if how == 3:
        return data[:at] + data[at + rng.randrange(1, 9) :]
    if how == 4:
        return data[:at] + rng.randbytes(8) + data[at + 8 :]
    return data
