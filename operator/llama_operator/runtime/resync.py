"""Full lists: at the start, so that the cache is complete before anybody decides, and then every now and then.

They are what heals a lost event, and a lost deletion above all. Every model is looked at again, too; when nothing
differs that costs no call.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.logs import Log
from llama_operator.runtime.workqueue import WorkQueue

Lister = Callable[[str, str | None], AsyncIterator[tuple[list[dict[str, Any]], int]]]
"""(kind, namespace or None for all) -> pages of objects, each with the version of the whole list; at least one."""

SETTLE_SECONDS = (5.0, 25.0)
"""Pauses after the first list before it is made again: what was deleted between it and kopf's own first list went
unseen. The second is for a cluster so large that kopf's takes longer than the first."""
FIRST_PAUSE = 1.0
LAST_PAUSE = 60.0
JITTER = 0.1

log = Log(__name__)


class HistoryRewound(Exception):
    """A list is older than the one before: etcd was restored from a backup, and the cache is of another world."""


class Resync:
    """`transient` are the errors of `lister` after which another attempt makes sense; others end `start` and `run`."""

    def __init__(
        self,
        *,
        lister: Lister,
        kinds: Sequence[str],
        namespaces: Sequence[str],
        cache: Cache,
        queue: WorkQueue[Key],
        period: float,
        transient: type[Exception],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._lister = lister
        self._scopes = [(kind, namespace) for kind in kinds for namespace in (namespaces or (None,))]
        self._cache = cache
        self._queue = queue
        self._period = period
        self._transient = transient
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._versions: dict[tuple[str, str | None], int] = {}
        self.tried_at = clock()
        """Clock time at which an attempt last ended, well or not; before the first, at which `start` was called."""
        self.listed_at: float | None = None
        """Clock time at which everything was last listed; None before the first time."""

    async def start(self) -> None:
        """List everything, however long it takes the API server to answer."""
        self.tried_at = self._clock()  # a standby may have waited for long
        await self._until_listed()

    async def run(self) -> None:
        """List everything again and again. Never returns. Raises `HistoryRewound`: only a new process can forget."""
        for pause in SETTLE_SECONDS:
            await self._sleep(min(pause, self._period))
            await self._until_listed()
        while True:
            await self._sleep(self._period * (1 + JITTER * (2 * self._chance() - 1)))
            await self._until_listed()

    async def _until_listed(self) -> None:
        pause = FIRST_PAUSE
        while not await self._once():
            await self._sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)

    async def _list(self, kind: str, namespace: str | None) -> set[Key]:
        healed: set[Key] = set()
        listed: set[tuple[str, str]] = set()
        version = 0
        async for items, version in self._lister(kind, namespace):
            if version < self._versions.get((kind, namespace), 0):
                raise HistoryRewound(f"the list of {kind} has gone back to version {version}")
            healed |= self._cache.learn(kind, items)
            listed |= {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
        self._versions[kind, namespace] = version
        return healed | self._cache.retain(kind, listed, version, namespace)

    async def _once(self) -> bool:
        healed: set[Key] = set()
        try:
            for kind, namespace in self._scopes:
                healed |= await self._list(kind, namespace)
        except self._transient as error:
            log.warning("list failed", error=str(error))
            return False
        finally:
            self.tried_at = self._clock()
        first, self.listed_at = self.listed_at is None, self._clock()
        models = self._cache.models()
        for key in sorted(healed | models):
            self._queue.add(key)
        log.info("listed", models=len(models), objects=self._cache.count(), news=0 if first else len(healed))
        return True
