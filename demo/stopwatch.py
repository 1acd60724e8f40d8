"""The steps of the demo: their titles while they run, a table of their times at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Times steps (wall time). The table lists them in the order in which they ran."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce and time one step; a failed one is in the table too."""
        print(f"\n\033[1m{title}\033[0m" if _colours() else f"\n{title}", flush=True)
        begin = time.monotonic()
        try:
            yield
        finally:
            self._steps.append((title, time.monotonic() - begin))

    def table(self) -> str:
        """One line per step, and their sum."""
        width = max((len(title) for title, _ in self._steps), default=0)
        lines = [f"  {title:<{width}}  {seconds:7.1f} s" for title, seconds in self._steps]
        total = sum(seconds for _, seconds in self._steps)
        return "\n".join([*lines, f"  {'together':<{width}}  {total:7.1f} s"])


def _colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
