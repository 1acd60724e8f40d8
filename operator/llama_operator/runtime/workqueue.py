"""A queue of keys for a level-triggered operator.

However many events arrive for a key, it waits once, and two workers never hold it at the same time. What a failure
costs is a growing delay for that key alone.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 1.0
LAST_DELAY = 300.0
JITTER = 0.2
"""Part of a delay that is random, so that keys which failed together do not come back together."""


class WorkQueue(Generic[K]):
    """Take a key with `get`, give it back with `done`. A key added meanwhile comes again after `done`.

    `waited` is told of each key that is taken for how many seconds it was wanted before.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._waited = waited
        self._ready: deque[K] = deque()
        self._dirty: dict[K, float] = {}  # wanted since when: ready, or to be made ready after `done`
        self._busy: dict[K, float] = {}  # since when
        self._timers: dict[K, tuple[float, asyncio.TimerHandle]] = {}
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self._moved_at = clock()

    def add(self, key: K) -> None:
        """Work on the key as soon as a worker is free."""
        if self._closed or key in self._dirty:
            return
        now = self._clock()
        if not self._dirty and not self._busy:
            self._moved_at = now
        self._dirty[key] = now
        if key not in self._busy:
            self._ready.append(key)
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Work on the key then, or earlier if something else adds it. Of two delays the shorter one counts."""
        due = self._clock() + seconds
        pending = self._timers.get(key)
        if self._closed or (pending and pending[0] <= due):
            return
        if pending:
            pending[1].cancel()
        self._timers[key] = due, asyncio.get_running_loop().call_later(seconds, self._due, key)

    def retry(self, key: K, *, at_least: float = 0.0, at_once: bool = False) -> float:
        """Work on the key again after a delay that doubles with each failure in a row. Returns the delay (seconds).

        `at_once`: the first failure in a row costs no delay.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_DELAY * 2 ** min(failures, 30), LAST_DELAY) * (1 - JITTER * self._chance())
        delay = 0.0 if at_once and not failures else max(delay, at_least)
        self.add_after(key, delay)
        return delay

    def failures(self, key: K) -> int:
        """How often in a row the key has failed."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key is fine: its next failure counts as the first."""
        self._failures.pop(key, None)

    async def get(self) -> K | None:
        """The next key; None when the queue has been closed."""
        while not self._closed:
            if self._ready:
                key, now = self._ready.popleft(), self._clock()
                self._waited(now - self._dirty.pop(key))
                self._busy[key] = now
                return key
            self._wake.clear()
            await self._wake.wait()
        return None

    def done(self, key: K) -> None:
        del self._busy[key]
        self._moved_at = self._clock()
        if key in self._dirty:
            self._ready.append(key)
            self._wake.set()

    def close(self) -> None:
        """Hand out no more keys. Who waits gets None; who works may finish."""
        self._closed = True
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._wake.set()

    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._ready)

    def busy(self) -> int:
        """Keys that are with a worker."""
        return len(self._busy)

    def oldest(self) -> float:
        """Seconds since the key was added that has been wanted longest; 0 if none is."""
        return self._clock() - next(iter(self._dirty.values())) if self._dirty else 0.0

    def longest_busy(self) -> tuple[K, float] | None:
        """The key that has been with its worker longest, and for how many seconds."""
        for key, since in self._busy.items():  # in the order in which they were taken
            return key, self._clock() - since
        return None

    def stuck_for(self) -> float:
        """Seconds since a key was last finished, while there is work; 0 without work."""
        return self._clock() - self._moved_at if self._dirty or self._busy else 0.0

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
