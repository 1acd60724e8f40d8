"""Model files that the tests serve: two good ones, and what can be wrong with one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from models import tiny_gguf

OTHER_REPLY = "Somebody else speaks now, with other words."
OTHER_NAME = "other-handmade"


def make(folder: Path) -> dict[str, bytes]:
    """Content by file name; together they fit into one ConfigMap (1 MiB)."""
    tiny_gguf.write(folder / "tiny.gguf")
    tiny_gguf.write(folder / "other.gguf", reply=OTHER_REPLY, name=OTHER_NAME)
    files = {name: (folder / name).read_bytes() for name in ("tiny.gguf", "other.gguf")}
    whole = files["tiny.gguf"]
    return files | {
        "truncated.gguf": whole[: len(whole) * 6 // 10],
        "page.gguf": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
