from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llama_operator.constants import KIND, MODEL_LABEL
from llama_operator.runtime import resync as module
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.resync import HistoryRewound, Resync
from llama_operator.runtime.workqueue import WorkQueue

Object = dict[str, Any]


class Unreachable(Exception):
    pass


class Cluster:
    """What a list would show, and how many lists fail first."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Object]] = {KIND: [], "Service": []}
        self.version = 100
        self.failures = 0
        self.failure: type[Exception] = Unreachable
        self.asked: list[tuple[str, str | None]] = []

    async def lister(self, kind: str, namespace: str | None) -> AsyncIterator[tuple[list[Object], int]]:
        self.asked.append((kind, namespace))
        if self.failures:
            self.failures -= 1
            raise self.failure
        for item in self.objects[kind]:  # in pages of one
            yield [item], self.version
        if not self.objects[kind]:
            yield [], self.version


class Pauses:
    """Stands in for sleep: ends the endless loop after some pauses."""

    def __init__(self, limit: int) -> None:
        self.taken: list[float] = []
        self._limit = limit

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) == self._limit:
            raise asyncio.CancelledError


def make(
    cluster: Cluster, pauses: Pauses, *namespaces: str, chance: float = 0.5
) -> tuple[Resync, Cache, WorkQueue[Key]]:
    cache, queue = Cache(), WorkQueue[Key]()
    resync = Resync(
        lister=cluster.lister,
        kinds=list(cluster.objects),
        namespaces=namespaces,
        cache=cache,
        queue=queue,
        period=600,
        transient=Unreachable,
        sleep=pauses,
        chance=lambda: chance,
    )
    return resync, cache, queue


def obj(name: str, version: int) -> Object:
    labels = {MODEL_LABEL: name}
    return {"metadata": {"namespace": "team", "name": name, "labels": labels, "resourceVersion": str(version)}}


async def taken(queue: WorkQueue[Key]) -> list[Key]:
    keys = []
    while queue.depth():
        key = await queue.get()
        assert key is not None
        keys.append(key)
        queue.done(key)
    return keys


async def test_the_start_fills_the_cache_and_asks_for_every_model_once() -> None:
    cluster = Cluster()
    cluster.objects = {KIND: [obj("a", 1), obj("b", 2)], "Service": [obj("a", 3)]}
    resync, cache, queue = make(cluster, Pauses(1))
    assert resync.listed_at is None
    await resync.start()
    assert resync.listed_at is not None
    assert cache.snapshot(("team", "a")).children == [obj("a", 3)]
    assert await taken(queue) == [("team", "a"), ("team", "b")]


async def test_a_lost_deletion_is_noticed() -> None:
    cluster = Cluster()
    cluster.objects = {KIND: [obj("a", 1)], "Service": [obj("a", 3)]}
    resync, cache, queue = make(cluster, Pauses(2))
    await resync.start()
    await taken(queue)
    cluster.objects["Service"] = []
    with pytest.raises(asyncio.CancelledError):
        await resync.run()
    assert cache.snapshot(("team", "a")).children == []
    assert await taken(queue) == [("team", "a")]


async def test_a_model_that_went_unseen_is_worked_on_once_more() -> None:
    cluster = Cluster()
    cluster.objects = {KIND: [obj("a", 1)], "Service": []}
    resync, cache, queue = make(cluster, Pauses(2))
    await resync.start()
    await taken(queue)
    cluster.objects[KIND] = []
    with pytest.raises(asyncio.CancelledError):
        await resync.run()
    assert cache.models() == set()
    assert await taken(queue) == [("team", "a")]


async def test_namespaces_are_listed_one_by_one() -> None:
    cluster = Cluster()
    resync, _, _ = make(cluster, Pauses(1), "x", "y")
    await resync.start()
    assert cluster.asked == [(KIND, "x"), (KIND, "y"), ("Service", "x"), ("Service", "y")]


async def test_an_unreachable_server_is_asked_again_with_growing_pauses() -> None:
    cluster = Cluster()
    cluster.failures = 8
    pauses = Pauses(100)
    resync, _, _ = make(cluster, pauses)
    await resync.start()
    assert pauses.taken == [1, 2, 4, 8, 16, 32, 60, 60]
    assert resync.listed_at is not None


async def test_other_errors_end_it() -> None:
    cluster = Cluster()
    cluster.failures, cluster.failure = 1, PermissionError
    resync, _, _ = make(cluster, Pauses(1))
    with pytest.raises(PermissionError):
        await resync.start()


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 1 - module.JITTER), (1.0, 1 + module.JITTER)])
async def test_the_period_has_jitter(chance: float, factor: float) -> None:
    pauses = Pauses(4)
    resync, _, _ = make(Cluster(), pauses, chance=chance)
    with pytest.raises(asyncio.CancelledError):
        await resync.run()
    assert pauses.taken == [*module.SETTLE_SECONDS, pytest.approx(600 * factor), pytest.approx(600 * factor)]


async def test_a_list_that_is_older_than_the_one_before_ends_it() -> None:
    """etcd was restored from a backup; comparing versions with what the cache holds would hide the truth for hours."""
    cluster = Cluster()
    resync, _, _ = make(cluster, Pauses(limit=9))
    await resync.start()
    await resync.start()  # the same version again is no surprise
    cluster.version -= 1
    with pytest.raises(HistoryRewound):
        await resync.start()
