"""SHA-256 of a file that grows, computed from behind."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from llama_operator.stage.failures import Failure, Reason

BLOCK = 1 << 20
"""Read and hashed at a time; both leave the interpreter to the other threads meanwhile."""


class Digest:
    """Follows the first `upto()` bytes, which are there without a gap. One thread steps; others may look at `done`."""

    def __init__(self, fd: int, path: Path, upto: Callable[[], int]) -> None:
        self._fd, self._path, self._upto = fd, path, upto
        self._buffer = memoryview(bytearray(BLOCK))
        self._lock = threading.Lock()
        self._hash, self.done, self._closed = hashlib.sha256(), 0, False

    def step(self) -> bool:
        """Take in some more; says whether there was any. Raises `Failure` if bytes have gone."""
        with self._lock:
            left = self._upto() - self.done
            if self._closed or left <= 0:
                return False
            count = os.preadv(self._fd, [self._buffer[:left]], self.done)
            if count == 0:
                raise Failure(Reason.STAGING_FAILED, f"{self._path} became shorter while it was read")
            self._hash.update(self._buffer[:count])
            self.done += count
            return True

    def start_over(self) -> None:
        """`upto` must say 0 already."""
        with self._lock:
            self._hash, self.done = hashlib.sha256(), 0

    def close(self) -> None:
        """No more steps."""
        self._closed = True

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
