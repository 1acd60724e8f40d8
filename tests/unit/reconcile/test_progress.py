"""When stagers are asked, and what becomes of their answers."""

from __future__ import annotations

import asyncio

from llama_operator.api.staging import Progress
from llama_operator.reconcile.progress import FORGIVEN, LAST_PAUSE, PAUSE_SECONDS, Progresses
from llama_operator.reconcile.stagers import Stager
from llama_operator.runtime.ask import NoAnswer

KEY = ("team", "qwen")
POD = Stager("uid-1", "10.0.0.7")


class World:
    """A stager that answers `answer`, if anything; waits for `gate` first, if there is one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.woken: list[tuple[str, str]] = []
        self.answer: Progress | None = Progress("downloading", "model", 1, 100)
        self.gate: asyncio.Event | None = None
        self.progresses = Progresses(ask=self.ask, wake=self.woken.append, clock=lambda: self.now)

    async def ask(self, address: str) -> Progress:
        self.asked.append(address)
        if self.gate:
            await self.gate.wait()
        if self.answer is None:
            raise NoAnswer("silent")
        return self.answer

    async def answered(self, stager: Stager | None = POD) -> tuple[Progress | None, float | None]:
        """Look, let the question have its answer, and look again."""
        self.progresses.look(KEY, stager)
        for _ in range(3):
            await asyncio.sleep(0)
        return self.progresses.look(KEY, stager)


async def test_a_look_does_not_wait() -> None:
    world = World()
    world.gate = asyncio.Event()
    assert world.progresses.look(KEY, POD) == (None, None)
    await asyncio.sleep(0)
    assert world.progresses.look(KEY, POD) == (None, None)
    assert (world.asked, world.woken) == ([POD.address], [])
    await world.progresses.close()


async def test_an_answer_brings_the_model_back() -> None:
    world = World()
    assert await world.answered() == (world.answer, PAUSE_SECONDS)
    assert world.woken == [KEY]


async def test_nobody_is_asked_more_often_than_every_ten_seconds() -> None:
    world = World()
    await world.answered()
    world.now += PAUSE_SECONDS - 1
    assert await world.answered() == (world.answer, 1.0)
    assert len(world.asked) == 1
    world.now += 1
    await world.answered()
    assert len(world.asked) == 2


async def test_nobody_is_asked_when_nobody_stages() -> None:
    world = World()
    assert await world.answered(None) == (None, None)
    assert world.asked == []


async def test_what_was_known_is_forgotten_with_the_stager() -> None:
    world = World()
    await world.answered()
    await world.answered(None)
    world.gate = asyncio.Event()
    assert world.progresses.look(KEY, POD) == (None, None)
    await world.progresses.close()


async def test_another_stager_is_asked_at_once() -> None:
    world = World()
    await world.answered()
    await world.answered(Stager("uid-2", "10.0.0.8"))
    assert world.asked == [POD.address, "10.0.0.8"]


async def test_silence_is_forgiven_for_a_while_and_asked_about_less_and_less() -> None:
    world = World()
    known, _ = await world.answered()
    world.answer = None
    pauses, told = [], []
    for _ in range(FORGIVEN + 6):
        world.now += LAST_PAUSE
        found, pause = await world.answered()
        told.append(found)
        pauses.append(pause)
    assert told == [known] * FORGIVEN + [None] * 6
    assert pauses == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0, 300.0]


async def test_an_answer_ends_the_growing_pauses() -> None:
    world = World()
    world.answer = None
    await world.answered()
    world.now, world.answer = LAST_PAUSE, Progress("asking", "model")
    assert await world.answered() == (world.answer, PAUSE_SECONDS)


async def test_the_end_waits_for_no_answer() -> None:
    world = World()
    world.gate = asyncio.Event()
    world.progresses.look(KEY, POD)
    await asyncio.sleep(0)
    await asyncio.wait_for(world.progresses.close(), 1)
    assert world.woken == []
