"""How far the stager is: told in the log every few seconds, and held ready for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable

from llama_operator.api.staging import Phase, Progress
from llama_operator.stage.text import say, size

SAY_SECONDS = 5.0
_WORDS: dict[Phase, str] = {
    "waiting": "waiting for another pod",
    "asking": "asking the source",
    "checking": "checking what is here",
    "downloading": "downloading",
}


class Gauge:
    """One thread moves it, any thread may read it: what is read is replaced as a whole."""

    def __init__(self, log: Callable[[str], None] = say, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log, self._monotonic = log, monotonic
        self._said_at, self._said = monotonic(), 0
        self.now = Progress("asking", "")

    def begin(self, phase: Phase, role: str | None = None, *, total: int | None = None, done: int = 0) -> None:
        """A new stretch of work, of `total` bytes if that is known, `done` of which need not be done. Without `role`
        it is still about the same file."""
        self._said_at, self._said = self._monotonic(), done
        self.now = Progress(phase, self.now.role if role is None else role, done, total or 0)

    def at(self, done: int) -> None:
        """`done` bytes of the stretch are behind us."""
        before, now = self.now, self._monotonic()
        rate, elapsed = before.rate, now - self._said_at
        if elapsed >= SAY_SECONDS:
            rate = int(max(done - self._said, 0) / elapsed)
            self._said_at, self._said = now, done
        self.now = Progress(before.phase, before.role, done, before.total, rate)
        if elapsed >= SAY_SECONDS:
            self._log(self._line())

    def _line(self) -> str:
        at = self.now
        share = f" of {size(at.total)} ({100 * at.bytes // at.total}%)" if at.total else ""
        left = f", {(at.total - at.bytes) / at.rate:.0f} s left" if at.total and at.rate else ""
        return f"{_WORDS[at.phase]}: {size(at.bytes)}{share}, {size(at.rate)}/s{left}"
