"""GGUF files made by hand, entry by entry, for tests of whoever reads or moves them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

F32, Q8_0 = 0, 8


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, value: str | int) -> bytes:
    """A string or a uint32."""
    packed = struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<II", 4, value)
    return text(key) + packed


def array(key: str, kind: int, count: int, body: bytes) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, kind, count) + body


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def head(entries: int, tensors: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries)


def flag(key: str) -> bytes:
    """A boolean that is true."""
    return text(key) + struct.pack("<IB", 7, 1)


EYES = (entry("general.type", "mmproj"), flag("clip.has_vision_encoder"))
"""What makes a file of architecture `clip` a multimodal projector."""
LORA = (entry("general.type", "adapter"), entry("adapter.type", "lora"))


def gguf_file(
    values: int = 1024, *, name: str = "hand-made", architecture: str = "llama", extra: Sequence[bytes] = ()
) -> bytes:
    """A complete GGUF of one F32 tensor; `extra` are further metadata entries."""
    own = [entry("general.architecture", architecture), entry("general.name", name), entry("general.file_type", 0)]
    metadata = [*own, *extra]
    listed = head(len(metadata), 1) + b"".join(metadata) + tensor("w", (values,), F32, 0)
    return listed + bytes(-len(listed) % 32) + hashlib.shake_128(name.encode()).digest(4 * values)


def gguf_parts(count: int, values: int = 1024) -> list[bytes]:
    """A split model: each part says which one it is."""
    return [
        gguf_file(values, name=f"part {number}", extra=[entry("split.count", count), entry("split.no", number)])
        for number in range(count)
    ]
