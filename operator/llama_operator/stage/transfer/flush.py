"""Flushing behind the writers, so that they need not wait for the disk, and do not run away from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_STEPS_AHEAD = 4
"""So many steps may be written and not flushed; they are memory that nobody can take back."""


class Flush:
    """Flushes `fd` after each `step` bytes. `written` is counted by the writers, under `changed`."""

    def __init__(self, fd: int, step: int, changed: threading.Condition) -> None:
        self._fd, self._step, self._changed = fd, step, changed
        self.written = self._flushed = 0

    def due(self) -> bool:
        return self.written - self._flushed >= self._step

    def run(self) -> None:
        """All that is written when this begins is on the disk when it ends."""
        written = self.written
        os.fdatasync(self._fd)
        with self._changed:
            self._flushed = written
            self._changed.notify_all()

    def keep_up(self, check: Callable[[], None]) -> None:
        """For writers: wait while too much is unflushed. `check` raises if nobody flushes any more."""
        while self._behind():
            with self._changed:
                self._changed.wait_for(lambda: not self._behind(), 1.0)
            check()

    def _behind(self) -> bool:
        return self.written - self._flushed >= _STEPS_AHEAD * self._step
