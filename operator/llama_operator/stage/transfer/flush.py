"""Flushing behind the writers, so that they need not wait for the disk, and do not run away from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_STEPS_AHEAD = 4
"""So many steps may be written and not flushed; they are memory that nobody can take back."""


class Flush:
    """Flushes `fd` after each `step` bytes. `written` is counted by the writers, under `changed`.

    `check` raises if nobody shall go on; `failed` is told of a flush that failed, before anybody else may flush.
    """

    def __init__(
        self,
        fd: int,
        step: int,
        changed: threading.Condition,
        check: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._fd, self._step, self._changed, self._check, self._failed = fd, step, changed, check, failed
        self._alone = threading.Lock()
        """One flush at a time: of two that go on together, a failure is told to one alone."""
        self.written = self._flushed = 0

    def due(self) -> bool:
        return self.written - self._flushed >= self._step

    def run(self, done: Callable[[], None]) -> None:
        """All that is written when this begins is on the disk when `done` is called, before anybody else may flush."""
        written = self.written
        self._sync(os.fdatasync, done)
        with self._changed:
            self._flushed = written
            self._changed.notify_all()

    def finish(self) -> None:
        """All that there is, and its length."""
        self._sync(os.fsync)

    def _sync(self, how: Callable[[int], None], done: Callable[[], None] = lambda: None) -> None:
        with self._alone:
            self._check()
            try:
                how(self._fd)
            except OSError as error:
                self._failed(error)
                raise
            done()

    def keep_up(self) -> None:
        """For writers: wait while too much is unflushed."""
        while self._behind():
            with self._changed:
                self._changed.wait_for(lambda: not self._behind(), 1.0)
            self._check()

    def _behind(self) -> bool:
        return self.written - self._flushed >= _STEPS_AHEAD * self._step
