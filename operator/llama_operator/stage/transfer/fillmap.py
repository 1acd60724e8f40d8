"""Per chunk of a file, how many of its bytes are there: numbers on the disk that a killed process leaves behind.

8 bytes each, little-endian. They are never flushed: after a crash of the machine they say nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

_COUNT = struct.Struct("<Q")


class FillMap:
    """Open until `close`. Each number is written by one system call, so it is the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def read(self) -> list[int]:
        length = os.fstat(self._fd).st_size
        raw = os.pread(self._fd, length - length % _COUNT.size, 0)
        return [count for (count,) in _COUNT.iter_unpack(raw)]

    def reset(self, counts: Iterable[int] = ()) -> None:
        """At no moment is there less than both the old numbers and the new ones say."""
        raw = b"".join(map(_COUNT.pack, counts))
        os.pwrite(self._fd, raw, 0)
        os.ftruncate(self._fd, len(raw))

    def put(self, number: int, count: int) -> None:
        os.pwrite(self._fd, _COUNT.pack(count), number * _COUNT.size)

    def close(self) -> None:
        os.close(self._fd)
