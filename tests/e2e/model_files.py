"""Model files that the tests serve: good ones, a split one, an adapter, and what can be wrong with one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gguf
import numpy as np
from gguf.scripts.gguf_new_metadata import copy_with_new_metadata

from models import tiny_gguf

OTHER_REPLY = "Somebody else speaks now, with other words."
OTHER_NAME = "other-handmade"
PARTS = ("split-00001-of-00002.gguf", "split-00002-of-00002.gguf")
_RANK = 2
_TENSORS_PER_FILE = 7
"""The model has twelve."""


def make(folder: Path) -> dict[str, bytes]:
    """Content by file name; together they fit into one ConfigMap (1 MiB)."""
    tiny_gguf.write(folder / "tiny.gguf")
    tiny_gguf.write(folder / "other.gguf", reply=OTHER_REPLY, name=OTHER_NAME)
    tiny_gguf.write(folder / "endless.gguf", endless=True)
    _split(folder / "tiny.gguf", folder / "split.gguf")
    _adapter(folder / "adapter.gguf")
    files = {
        name: (folder / name).read_bytes()
        for name in ("tiny.gguf", "other.gguf", "endless.gguf", "adapter.gguf", *PARTS)
    }
    whole = files["tiny.gguf"]
    return files | {
        "truncated.gguf": whole[: len(whole) * 6 // 10],
        "page.gguf": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    }


def _split(whole: Path, out: Path) -> None:
    """Write the same model to PARTS, beside `out`."""
    writer = gguf.GGUFWriter(out, "llama", split_max_tensors=_TENSORS_PER_FILE)
    copy_with_new_metadata(gguf.GGUFReader(whole), writer, {}, [])


def _adapter(out: Path) -> None:
    """A LoRA adapter for one matrix of the tiny model, which adds nothing to it (llama.cpp's llama-adapter.cpp)."""
    width = tiny_gguf.SHAPES["tiny"].embedding
    file = gguf.GGUFWriter(out, "llama")
    file.add_type(gguf.GGUFType.ADAPTER)
    file.add_string(gguf.Keys.Adapter.TYPE, "lora")
    file.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(_RANK))
    file.add_tensor("blk.0.attn_q.weight.lora_a", np.zeros((_RANK, width), dtype=np.float32))
    file.add_tensor("blk.0.attn_q.weight.lora_b", np.zeros((width, _RANK), dtype=np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
