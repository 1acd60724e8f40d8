from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from llama_operator.constants import KIND
from llama_operator.runtime import health
from tests.unit.runtime.world import MODEL, PERIOD, Object, World

KEY = ("team", "qwen")


async def test_not_ready_before_the_first_list_but_alive(world: World) -> None:
    assert world.health.unready() == ["not everything has been listed yet"]
    assert world.health.ailments() == []
    await world.resync.start()
    assert world.health.unready() == []


async def test_a_watch_that_never_reports_what_a_list_shows_is_dead(world: World) -> None:
    world.models = [MODEL]
    await world.resync.start()
    await world.work()
    world.now = PERIOD
    assert world.health.ailments() == []  # nobody has asked the API server since
    await world.resync.start()
    await world.work()
    (ailment,) = world.health.ailments()
    assert ailment == "a list showed news that no watch has reported for 600 s"
    assert world.health.unready() == [ailment]
    world.cache.observe(KIND, MODEL)
    assert world.health.ailments() == []


async def test_a_watch_that_is_a_little_late_is_alive(world: World) -> None:
    world.models = [MODEL]
    await world.resync.start()
    await world.work()
    world.now = health.WATCH_SECONDS
    await world.resync.start()
    await world.work()
    assert world.health.ailments() == []


async def test_a_resync_that_has_stopped_trying_is_an_ailment(world: World) -> None:
    await world.resync.start()
    world.now = PERIOD * 1.1 + health.RESYNC_SECONDS
    assert world.health.ailments() == []
    world.now += 1
    assert world.health.ailments() == ["no list has been tried for 961 s"]


async def test_an_api_server_that_is_away_makes_unready_but_not_dead(world: World) -> None:
    await world.resync.start()
    world.now = health.LISTS * PERIOD + 1
    assert world.health.ailments() != []
    world.away = True
    with pytest.raises(asyncio.CancelledError):
        await world.resync.start()  # tries, in vain
    assert world.health.ailments() == []
    assert world.health.unready() == ["nothing has been listed for 1801 s: is the API server away?"]
    world.away = False
    await world.resync.start()
    assert world.health.unready() == []


async def test_work_that_never_ends_is_an_ailment(world: World) -> None:
    await world.resync.start()
    world.queue.add(KEY)
    await world.queue.get()
    world.now = health.QUEUE_SECONDS
    assert world.health.ailments() == []
    world.now += 1
    world.resync.tried_at = world.now
    assert world.health.ailments() == ["work is waiting, but none has been finished for 301 s"]
    world.queue.done(KEY)
    assert world.health.ailments() == []


async def test_work_that_no_worker_takes_is_an_ailment(world: World) -> None:
    await world.resync.start()
    world.queue.add(KEY)
    world.now = health.QUEUE_SECONDS + 1
    assert world.health.ailments() == ["work is waiting, but none has been finished for 301 s"]


async def test_a_worker_that_never_comes_back_is_an_ailment_though_others_do(world: World) -> None:
    await world.resync.start()
    world.queue.add(KEY)
    await world.queue.get()
    for world.now in (200.0, 400.0, health.KEY_SECONDS):
        world.queue.add(("team", "other"))
        await world.work()
    assert world.health.ailments() == []
    world.now += 1
    assert world.health.ailments() == ["a worker has been at team/qwen for 601 s"]
    assert world.health.unready() == world.health.ailments()
    world.queue.done(KEY)
    assert world.health.ailments() == []


async def test_all_that_is_wrong_is_told(world: World) -> None:
    world.queue.add(KEY)
    await world.queue.get()
    world.now = 10 * PERIOD
    told = "\n".join(world.health.unready())
    for part in ("not everything has been listed yet", "no list has been tried", "none has been finished", "team/qwen"):
        assert part in told


async def test_who_stands_by_is_well_however_long_it_waits(world: World) -> None:
    world.leader = False
    world.now = 100 * PERIOD
    assert world.health.ailments() == []
    assert world.health.unready() == []
    world.leader = True
    assert world.health.unready()[0] == "not everything has been listed yet"


async def test_who_begins_to_lead_after_a_long_wait_is_not_late(world: World) -> None:
    world.now = 100 * PERIOD
    told: list[list[str]] = []

    async def lister(kind: str, namespace: str | None) -> AsyncIterator[tuple[list[Object], int]]:
        told.append(world.health.ailments())  # while the first list is under way
        yield [], 10

    world.resync._lister = lister
    await world.resync.start()
    assert told == [[]]


async def test_who_has_led_and_does_not_any_more_must_end(world: World) -> None:
    await world.resync.start()
    world.leader = False
    (ailment,) = world.health.ailments()
    assert "has not ended" in ailment
    assert world.health.unready() == [ailment]
