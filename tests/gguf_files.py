"""GGUF files made by hand, entry by entry, for tests of whoever reads or moves them."""

from __future__ import annotations

import hashlib
import struct

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


def gguf_file(values: int = 1024, *, name: str = "hand-made", extra: bytes = b"", extras: int = 0) -> bytes:
    """A complete GGUF of one F32 tensor; `extra` are further metadata entries, `extras` of them."""
    metadata = entry("general.architecture", "llama") + entry("general.name", name) + entry("general.file_type", 0)
    listed = head(3 + extras, 1) + metadata + extra + tensor("w", (values,), F32, 0)
    return listed + bytes(-len(listed) % 32) + hashlib.shake_128(name.encode()).digest(4 * values)
