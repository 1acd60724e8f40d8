"""Read the header of a GGUF file and check that the file holds all it announces.

The header is read as a stream and values that nobody asks for are stepped over, so memory does not depend on the
file: a vocabulary of a million tokens costs nothing. What is checked is what llama.cpp would refuse: the structure up
to the tensor list (`gguf_init_from_reader` in ggml/src/gguf.cpp), and every tensor's place within the file
(`llama_tensor_weight`). The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf.cursor import Cursor, malformed
from llama_operator.stage.gguf.facts import KEYS, MAX_LAYERS, WORDS, Facts
from llama_operator.stage.gguf.tensors import walk
from llama_operator.stage.gguf.types import ARRAY, FILE_TYPES, SCALARS, STRING, UINT32

MAGIC = b"GGUF"
MAX_ENTRIES = 1 << 16
"""Metadata entries; models have some dozens."""
MAX_KEY = (1 << 16) - 1
MAX_KEPT = 1 << 16
"""Longest string that is kept, of those we want."""
_DEFAULT_ALIGNMENT = 32
_TYPED = {b"general.architecture": STRING, b"general.name": STRING, b"general.alignment": UINT32}
"""Of these llama.cpp refuses any other type of value. Other keys of a strange type count as not there."""
_TEXTS = frozenset({b"general.architecture", b"general.name", b"general.type", b"adapter.type"})
_NUMBERS = frozenset({
    b"general.alignment", b"general.file_type", b"split.count", b"split.no", b"split.tensors.count",
    b"clip.has_vision_encoder", b"clip.has_audio_encoder", b"clip.has_gen_audio_encoder",
})  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What the file says about itself.

    `parts` is more than 1 for one piece of a split model, `part` its place from 0 on, and `tensors_of_all_parts` how
    many tensors the whole has (0: not said). `type` is `general.type` and `adapter` is `adapter.type`, empty in most
    models; `encoder` says that it holds one for images or sound. `weights` are the bytes of all tensors.
    """

    version: int
    architecture: str
    name: str
    file_type: str
    parameters: int
    tensors: int
    parts: int = 1
    part: int = 0
    tensors_of_all_parts: int = 0
    type: str = ""
    adapter: str = ""
    encoder: bool = False
    weights: int = 0
    facts: Facts = field(default_factory=Facts)


class _Metadata:
    """The entries that are wanted, by key."""

    def __init__(self) -> None:
        self.texts: dict[bytes, str] = {}
        self.numbers: dict[bytes, int] = {}
        self.lengths: dict[bytes, int] = {}
        self.facts = Facts()

    def text(self, key: str) -> str:
        return self.texts.get(key.encode(), "")

    def number(self, key: str, default: int) -> int:
        return self.numbers.get(key.encode(), default)

    def fact(self, key: bytes) -> str | None:
        """The key without the architecture, if it is one of `KEYS`. Every writer puts the architecture first."""
        architecture, _, rest = key.partition(b".")
        told = rest.decode("ascii", "replace")
        return told if told in KEYS and architecture.decode("utf-8", "replace") == self._architecture else None

    @property
    def _architecture(self) -> str:
        return self.texts.get(b"general.architecture", "")


def read(file: BinaryIO, file_size: int) -> Header:
    """Check the file, which is `file_size` bytes long, from its first byte on.

    Raises `Failure`: NotGGUF if this is no such file or a broken one, Truncated if its end is missing.
    """
    cursor = Cursor(file, file_size)
    if file_size < len(MAGIC) or cursor.take(len(MAGIC)) != MAGIC:
        raise Failure(Reason.NOT_GGUF, "the file does not start with GGUF: it is not a llama.cpp model file")
    version = _version(cursor)
    tensors, entries = cursor.number("Q"), cursor.number("Q")
    if entries > MAX_ENTRIES:
        raise malformed(f"{entries} metadata entries")
    found = _metadata(cursor, entries)
    listed = walk(cursor, tensors, _alignment(found), file_size)
    return Header(
        version=version,
        architecture=found.text("general.architecture"),
        name=found.text("general.name"),
        file_type=FILE_TYPES.get(found.number("general.file_type", -1), "unknown"),
        parameters=listed.parameters,
        tensors=tensors,
        parts=found.number("split.count", 1),
        part=found.number("split.no", 0),
        tensors_of_all_parts=found.number("split.tensors.count", 0),
        type=found.text("general.type"),
        adapter=found.text("adapter.type"),
        encoder=any(found.number(f"clip.has_{kind}_encoder", 0) for kind in ("vision", "audio", "gen_audio")),
        weights=listed.bytes,
        facts=replace(found.facts, words=sum(found.lengths.values())),
    )


def _version(cursor: Cursor) -> int:
    version = cursor.number("I")
    if version and not version & 0xFFFF:
        raise malformed("it is for big-endian machines; convert the model anew")
    if version == 1:
        raise malformed("version 1, which llama.cpp reads no more; convert the model anew")
    if version not in (2, 3):
        raise malformed(f"version {version}, where 2 and 3 can be served")
    return version


def _metadata(cursor: Cursor, entries: int) -> _Metadata:
    found, seen = _Metadata(), set[bytes]()
    for _ in range(entries):
        key = cursor.text(MAX_KEY, "a key")
        # A digest for long keys: what is remembered of one has a bound.
        mark = key if len(key) <= 64 else hashlib.sha256(key).digest()
        if not key or mark in seen:
            raise malformed("a metadata key that is empty or there twice")
        if b"\0" in key:
            # llama.cpp compares up to it, and would take it for another one.
            raise malformed("a metadata key with a zero byte")
        seen.add(mark)
        kind = cursor.number("I")
        if _TYPED.get(key, kind) != kind:
            raise malformed(f"{key.decode()} of value type {kind}")
        if key in _TEXTS and kind == STRING:
            found.texts[key] = cursor.text(MAX_KEPT, f"the value of {key.decode()}").decode("utf-8", "replace")
        elif key in _NUMBERS and kind in SCALARS and SCALARS[kind] not in "fd":
            found.numbers[key] = cursor.number(SCALARS[kind])
        elif kind == ARRAY:
            _read_array(cursor, key, found)
        elif (fact := found.fact(key)) and kind in SCALARS and SCALARS[kind] not in "fd":
            found.facts.put(fact, cursor.number(SCALARS[kind]))
        else:
            _skip_value(cursor, kind)
    return found


def _skip_value(cursor: Cursor, kind: int) -> None:
    if kind in SCALARS:
        cursor.skip_scalars(SCALARS[kind])
    elif kind == STRING:
        cursor.skip_string()
    else:
        raise malformed(f"a metadata value of type {kind}")


def _read_array(cursor: Cursor, key: bytes, found: _Metadata) -> None:
    kind, count = cursor.number("I"), cursor.count()
    if key in WORDS:
        found.lengths[key] = count
    fact = found.fact(key)
    if fact and count <= MAX_LAYERS and kind in SCALARS and SCALARS[kind] not in "fd":
        found.facts.put(fact, [cursor.number(SCALARS[kind]) for _ in range(count)])
    elif kind in SCALARS:
        cursor.skip_scalars(SCALARS[kind], count)
    elif kind == STRING:
        cursor.skip_strings(count)
    else:
        # Arrays of arrays are in the format's description, but llama.cpp reads none.
        raise malformed(f"an array of type {kind}")


def _alignment(metadata: _Metadata) -> int:
    value = metadata.number("general.alignment", _DEFAULT_ALIGNMENT)
    if value <= 0 or value & (value - 1):
        raise malformed("general.alignment, which must be a power of two")
    return value
