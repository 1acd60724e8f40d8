"""A stager killed before each of its changes to the volume, one after the other: what the next one has to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gguf_files import gguf_file
from tests.unit.stage.steps import Killed, kill, stopped
from tests.unit.stage.support import Server
from tests.unit.stage.world import Source, World

DATA = gguf_file(1000)
MANY = 200


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.mark.parametrize("known", [False, True])
def test_what_is_complete_is_never_fetched_again(
    tmp_path: Path, server: Server, http: httpx.Client, known: bool
) -> None:
    """Between the last byte and the link nothing is lost, whether a digest leads to the file or only its address."""
    server.add("/m.gguf", DATA)
    source, complete = Source("/m.gguf", DATA, known), 0
    for step in range(MANY):
        world = World(tmp_path / str(step), server, http)
        world.root.mkdir()
        before = server.sent
        try:
            with stopped(step, kill):
                world.stage(source)
            break
        except Killed:
            parts = [part.stat().st_size for part in world.root.glob(".stage/*.part")]
            whole = bool(world.published()) or parts == [len(DATA)]
            world.stage(source)
            world.check()
            complete += whole
            assert not whole or server.sent - before == len(DATA), f"killed before change {step}"
    assert step < MANY - 1
    assert complete > 10


@pytest.mark.parametrize("known", [False, True])
def test_a_second_stager_at_any_moment(tmp_path: Path, server: Server, http: httpx.Client, known: bool) -> None:
    """Started while the first is stopped anywhere: it finds the file, or waits; the first then ends well."""
    server.add("/m.gguf", DATA)
    source, waited = Source("/m.gguf", DATA, known), 0
    for step in range(MANY):
        world = World(tmp_path / str(step), server, http)
        world.root.mkdir()
        before, ran = server.sent, _beside(world, source, step)
        world.check()
        assert server.sent - before == len(DATA)
        waited += ran == [False]
        if not ran:
            break
    assert step < MANY - 1
    assert waited > 10


def _beside(world: World, source: Source, step: int) -> list[bool]:
    """Empty if the first stager has no such step, else whether the second had an end before the first went on."""
    ran: list[bool] = []

    def second() -> None:
        try:
            world.stage(source, other=True)
        except Killed:
            ran.append(False)
        else:
            ran.append(True)

    with stopped(step, second):
        world.stage(source)
    return ran
