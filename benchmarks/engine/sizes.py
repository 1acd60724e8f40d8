"""What a node has to fetch and keep: images as a registry has them (gzip) and unpacked; and the engine in them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.trees import Engine

_BLOCK = 1 << 20
_GZIP_LEVEL = 6


@dataclass(frozen=True)
class Size:
    """In bytes."""

    plain: int
    compressed: int


def of(files: Iterable[Path]) -> Size:
    """Of files, each compressed for itself, as the layers of an image are. Links do not count."""
    plain = compressed = 0
    for path in files:
        if path.is_file() and not path.is_symlink():
            squeezed = zlib.compressobj(_GZIP_LEVEL, wbits=31)
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    plain += len(block)
                    compressed += len(squeezed.compress(block))
            compressed += len(squeezed.flush())
    return Size(plain, compressed)


def engine(tree: Engine) -> Size:
    """Of llama-server and its own libraries."""
    return of({path for pattern in tree.files for path in tree.root.glob(pattern)})
