"""A process's parts under one hand-driven clock, with an API server of two attributes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from llama_operator.constants import KIND
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.gauges import Gauges
from llama_operator.runtime.health import Health
from llama_operator.runtime.metrics import Metrics
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

Object = dict[str, Any]
MODEL: Object = {"metadata": {"namespace": "team", "name": "qwen", "resourceVersion": "5"}}
PERIOD = 600.0


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.leader = True
        self.models: list[Object] = []
        self.away = False
        self.calls = Counter({("apply", "Service", 201): 3, ("list", "Pod", 200): 1})
        self.metrics = Metrics()
        self.cache = Cache(self.clock)
        self.queue: WorkQueue[Key] = WorkQueue(clock=self.clock, waited=self.metrics.waited)
        self.resync = Resync(
            lister=self.lister,
            kinds=[KIND],
            namespaces=(),
            cache=self.cache,
            queue=self.queue,
            period=PERIOD,
            transient=OSError,
            clock=self.clock,
            sleep=self.pause,
        )
        self.health = Health(self.cache, self.queue, self.resync, PERIOD, lambda: self.leader, self.clock)
        self.metrics.add(Gauges(self.cache, self.queue, self.health, lambda: self.calls))

    def clock(self) -> float:
        return self.now

    async def lister(self, kind: str, namespace: str | None) -> AsyncIterator[tuple[list[Object], int]]:
        if self.away:
            raise OSError
        yield self.models, 10

    async def pause(self, seconds: float) -> None:
        """Ends what would wait."""
        raise asyncio.CancelledError

    async def work(self) -> None:
        while self.queue.depth():
            key = await self.queue.get()
            assert key is not None
            self.queue.done(key)
