from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any

import httpx
import pytest

from llama_operator.constants import KIND
from llama_operator.runtime import health as module
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.health import Health
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

Object = dict[str, Any]
MODEL: Object = {"metadata": {"namespace": "team", "name": "qwen", "resourceVersion": "5"}}
PERIOD = 600.0


class World:
    """A process's parts under one hand-driven clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cache = Cache(self.clock)
        self.queue: WorkQueue[Key] = WorkQueue(clock=self.clock)
        self.models: list[Object] = []
        self.away = False
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
        calls = Counter({("apply", "Service", 201): 3, ("list", "Pod", 200): 1})
        self.health = Health(self.cache, self.queue, self.resync, PERIOD, lambda: calls, self.clock)

    def clock(self) -> float:
        return self.now

    async def lister(self, kind: str, namespace: str | None) -> tuple[list[Object], int]:
        if self.away:
            raise OSError
        return self.models, 10

    async def pause(self, seconds: float) -> None:
        """Ends what would wait."""
        raise asyncio.CancelledError

    async def work(self) -> None:
        while self.queue.depth():
            key = await self.queue.get()
            assert key is not None
            self.queue.done(key)


@pytest.fixture
def world() -> World:
    return World()


async def test_not_ready_before_the_first_list_but_alive(world: World) -> None:
    assert not world.health.ready()
    assert world.health.ailments() == []
    await world.resync.start()
    assert world.health.ready()


async def test_a_watch_that_never_reports_what_a_list_shows_is_dead(world: World) -> None:
    world.models = [MODEL]
    await world.resync.start()
    await world.work()
    world.now = PERIOD
    assert world.health.ailments() == []  # nobody has asked the API server since
    await world.resync.start()
    await world.work()
    assert "no watch has reported" in world.health.ailments()[0]
    assert not world.health.ready()
    world.cache.observe(KIND, MODEL)
    assert world.health.ailments() == []


async def test_a_watch_that_is_a_little_late_is_alive(world: World) -> None:
    world.models = [MODEL]
    await world.resync.start()
    await world.work()
    world.now = module.WATCH_SECONDS
    await world.resync.start()
    await world.work()
    assert world.health.ailments() == []


async def test_a_resync_that_has_stopped_trying_is_an_ailment(world: World) -> None:
    await world.resync.start()
    world.now = PERIOD * 1.1 + module.RESYNC_SECONDS
    assert world.health.ailments() == []
    world.now += 1
    assert "no list has been tried" in world.health.ailments()[0]


async def test_an_api_server_that_is_away_makes_unready_but_not_dead(world: World) -> None:
    await world.resync.start()
    world.now = 3 * PERIOD
    assert world.health.ailments() != []
    world.away = True
    with pytest.raises(asyncio.CancelledError):
        await world.resync.start()  # tries, in vain
    assert world.health.ailments() == []
    assert not world.health.ready()


async def test_work_that_never_ends_is_an_ailment(world: World) -> None:
    await world.resync.start()
    world.queue.add(("team", "qwen"))
    await world.queue.get()
    world.now = module.QUEUE_SECONDS
    assert world.health.ailments() == []
    world.now += 1
    world.resync.tried_at = world.now
    assert "none has been finished" in world.health.ailments()[0]
    world.queue.done(("team", "qwen"))
    assert world.health.ailments() == []


async def test_served_over_http(world: World) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = await module.serve(world.health, port)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            healthy = await http.get("/healthz")
            assert healthy.status_code == 200
            assert healthy.headers["connection"] == "close"  # an open one would hold up the end of the process
            assert (await http.get("/readyz")).status_code == 503
            await world.resync.start()
            assert (await http.get("/readyz")).status_code == 200
            world.now = 10 * PERIOD
            dead = await http.get("/healthz")
            assert dead.status_code == 503
            assert "no list has been tried" in dead.text
            metrics = (await http.get("/metrics")).text
    finally:
        await server.cleanup()
    assert 'llama_operator_api_calls_total{verb="apply",kind="Service",code="201"} 3\n' in metrics
    assert "llama_operator_models 0\n" in metrics
    assert "llama_operator_list_age_seconds 6000\n" in metrics
