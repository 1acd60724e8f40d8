"""A pod starts while a collection runs whose list does not have it: each at every step of the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.gguf_files import gguf_file
from tests.unit.stage.steps import Killed, stopped
from tests.unit.stage.support import Server
from tests.unit.stage.world import Source, World

DAY = 86_400.0
MANY = 200
DATA = gguf_file(1000)
KNOWN, NEW = Source("/m.gguf", DATA, True), Source("/m.gguf", DATA, False)
OTHER = Source("/mirror.gguf", DATA, True)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def nothing(world: World) -> None:
    """The volume is empty."""


def old_link(world: World) -> None:
    for source in (KNOWN, NEW):
        world.stage(source)
    _forget(world)


def old_file(world: World) -> None:
    """Without a link: one collection has passed."""
    old_link(world)
    world.collect((), int(time.time()), delete=False)
    _forget(world)


def unmarked_file(world: World) -> None:
    """It has to be read before it can be used."""
    old_link(world)
    for mark in world.root.glob("sha256/*/.*"):
        mark.unlink()


def linked_from_elsewhere(world: World) -> None:
    """By a link that goes away, as the file would with it."""
    world.stage(OTHER)
    _forget(world)


def _forget(world: World) -> None:
    world.pods.clear()
    world.age(DAY / 2)


BEFORE = [nothing, old_link, old_file, unmarked_file, linked_from_elsewhere]


@pytest.mark.parametrize("source", [KNOWN, NEW], ids=["known", "new"])
@pytest.mark.parametrize("before", BEFORE)
def test_a_collector_at_any_moment_of_a_stager(
    tmp_path: Path, server: Server, http: httpx.Client, before: Callable[[World], None], source: Source
) -> None:
    def run(world: World, step: int) -> bool:
        ran = []

        def collector() -> None:
            ran.append(True)
            _unless_blocked(lambda: world.collect((), int(time.time()), other=True))

        with stopped(step, collector):
            world.stage(source)
        return bool(ran)

    _at_every_step(tmp_path, server, http, before, run)


@pytest.mark.parametrize("source", [KNOWN, NEW], ids=["known", "new"])
@pytest.mark.parametrize("before", BEFORE)
def test_a_stager_at_any_moment_of_a_collector(
    tmp_path: Path, server: Server, http: httpx.Client, before: Callable[[World], None], source: Source
) -> None:
    """One that has to wait for the collector is let in when that has ended."""

    def run(world: World, step: int) -> bool:
        ran = []

        def stager() -> None:
            ran.append(True)
            _unless_blocked(lambda: world.stage(source, other=True))

        with stopped(step, stager):
            world.collect((), int(time.time()))
        world.check()
        world.stage(source)
        return bool(ran)

    _at_every_step(tmp_path, server, http, before, run)


def _unless_blocked(run: Callable[[], object]) -> None:
    try:
        run()
    except Killed:
        return


def _at_every_step(
    root: Path,
    server: Server,
    http: httpx.Client,
    before: Callable[[World], None],
    run: Callable[[World, int], bool],
) -> None:
    """On a new volume each. `run` says whether there was such a step; the pod has its file afterwards."""
    for source in (KNOWN, OTHER):
        server.add(source.path, source.data)
    for step in range(MANY):
        world = World(root / str(step), server, http)
        world.root.mkdir()
        before(world)
        more = run(world, step)
        world.check()
        assert any(pod.staged for pod in world.pods)
        if not more:
            break
    assert 3 < step < MANY - 1
