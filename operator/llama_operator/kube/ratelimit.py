"""A token bucket. kopf limits nothing, so a thousand models at start would be a storm on the API server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class TokenBucket:
    """At most `burst` at once, `rate` per second in the long run; waiters go in the order in which they came.

    Kept as one number, the time at which the bucket would be full again ("virtual scheduling"): no timer runs.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate
        self._slack = (burst - 1) / rate
        self._clock = clock
        self._sleep = sleep
        self._full_at = clock()

    async def take(self) -> None:
        """Wait for one token."""
        now = self._clock()
        wait = self._full_at - self._slack - now
        self._full_at = max(self._full_at, now) + self._interval
        if wait > 0:
            await self._sleep(wait)
