"""When stagers and servers are asked, and what becomes of their answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from llama_operator.api.staging import Progress
from llama_operator.reconcile.questions import FORGIVEN, LAST_PAUSE, Questions
from llama_operator.reconcile.respondents import PAUSE_SECONDS, Respondent
from llama_operator.runtime.answers import NoAnswer

KEY = ("team", "qwen")
POD, OTHER = Respondent("uid-1", "10.0.0.7"), Respondent("uid-2", "10.0.0.8")


class World:
    """Pods that answer `answer`, if anything; they wait for `gate` first, if there is one. `pause`: after an answer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.woken: list[tuple[str, str]] = []
        self.answer: Progress | None = Progress("downloading", "model", 1, 100)
        self.gate: asyncio.Event | None = None
        self.pause: float | None = PAUSE_SECONDS
        self.questions = Questions(
            ask=self.ask,
            pause=lambda *_: self.pause,
            wake=self.woken.append,
            lasts=lambda answer: answer.phase == "asking",
            clock=lambda: self.now,
        )

    async def ask(self, address: str) -> Progress:
        self.asked.append(address)
        if self.gate:
            await self.gate.wait()
        if self.answer is None:
            raise NoAnswer("silent")
        return self.answer

    async def answered(self, *pods: Respondent) -> tuple[dict[str, Progress | None], float | None]:
        """Look, let the questions have their answers, and look again."""
        self.questions.look(KEY, pods)
        for _ in range(3):
            await asyncio.sleep(0)
        return self.questions.look(KEY, pods)


async def test_a_look_does_not_wait() -> None:
    world = World()
    world.gate = asyncio.Event()
    assert world.questions.look(KEY, [POD]) == ({}, None)
    await asyncio.sleep(0)
    assert world.questions.look(KEY, [POD]) == ({}, None)
    assert (world.asked, world.woken) == ([POD.address], [])
    await world.questions.close()


async def test_an_answer_brings_the_model_back() -> None:
    world = World()
    assert await world.answered(POD) == ({POD.pod: world.answer}, PAUSE_SECONDS)
    assert world.woken == [KEY]


async def test_nobody_is_asked_more_often_than_every_ten_seconds() -> None:
    world = World()
    await world.answered(POD)
    world.now += PAUSE_SECONDS - 1
    assert await world.answered(POD) == ({POD.pod: world.answer}, 1.0)
    assert len(world.asked) == 1
    world.now += 1
    await world.answered(POD)
    assert len(world.asked) == 2


async def test_nobody_is_asked_when_nobody_is_there() -> None:
    world = World()
    assert await world.answered() == ({}, None)
    assert world.asked == []


async def test_what_was_known_is_forgotten_with_the_pod() -> None:
    world = World()
    await world.answered(POD)
    await world.answered()
    world.gate = asyncio.Event()
    assert world.questions.look(KEY, [POD]) == ({}, None)
    await world.questions.close()


async def test_another_pod_is_asked_at_once() -> None:
    world = World()
    await world.answered(POD)
    await world.answered(OTHER)
    assert world.asked == [POD.address, OTHER.address]


async def test_silence_is_forgiven_for_a_while_and_asked_about_less_and_less() -> None:
    world = World()
    known, _ = await world.answered(POD)
    world.answer = None
    pauses, told = [], []
    for _ in range(FORGIVEN + 6):
        world.now += LAST_PAUSE
        found, pause = await world.answered(POD)
        told.append(found)
        pauses.append(pause)
    assert told == [known] * FORGIVEN + [{POD.pod: None}] * 6
    assert pauses == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0, 300.0]


async def test_an_answer_ends_the_growing_pauses() -> None:
    world = World()
    world.answer = None
    await world.answered(POD)
    world.now, world.answer = LAST_PAUSE, Progress("asking", "model")
    assert await world.answered(POD) == ({POD.pod: world.answer}, PAUSE_SECONDS)


async def test_who_has_said_all_is_not_asked_again() -> None:
    world = World()
    world.pause = None
    assert await world.answered(POD) == ({POD.pod: world.answer}, None)
    world.now += 10 * LAST_PAUSE
    assert await world.answered(POD) == ({POD.pod: world.answer}, None)
    assert world.asked == [POD.address]


async def test_another_start_of_the_container_is_asked_anew() -> None:
    world = World()
    world.pause = None
    await world.answered(POD)
    world.gate = asyncio.Event()
    assert await world.answered(replace(POD, start="1")) == ({}, None)
    assert world.asked == [POD.address] * 2
    await world.questions.close()


async def test_each_pod_is_asked_for_itself() -> None:
    world = World()
    await world.answered(POD)
    world.now += 1
    told, again = await world.answered(POD, OTHER)
    assert (told, again) == ({POD.pod: world.answer, OTHER.pod: world.answer}, PAUSE_SECONDS - 1)
    assert world.asked == [POD.address, OTHER.address]


async def test_who_has_not_answered_yet_is_told_from_who_does_not_answer() -> None:
    world = World()
    world.answer = None
    for silent in range(FORGIVEN + 1):
        told, _ = await world.answered(POD)
        assert told == ({POD.pod: None} if silent == FORGIVEN else {})
        world.now += LAST_PAUSE


async def test_the_end_waits_for_no_answer() -> None:
    world = World()
    world.gate = asyncio.Event()
    world.questions.look(KEY, [POD])
    await asyncio.sleep(0)
    await asyncio.wait_for(world.questions.close(), 1)
    assert world.woken == []


ASKING, STILL = Progress("asking", "model"), Progress("asking", "draft")


async def lasting(world: World, *answers: Progress | None) -> dict[str, tuple[Progress, float]]:
    """The pod gives these answers, a minute apart."""
    world.pause = 60.0
    for answer in answers:
        world.answer = answer
        await world.answered(POD)
        world.now += LAST_PAUSE if answer is None else 60.0
    return world.questions.lasting(KEY)


async def test_how_long_the_same_has_been_said() -> None:
    world = World()
    assert await lasting(world, ASKING) == {POD.pod: (ASKING, 0.0)}
    assert await lasting(world, ASKING, STILL) == {POD.pod: (STILL, 120.0)}


async def test_time_in_which_nobody_asks_does_not_count() -> None:
    world = World()
    await lasting(world, ASKING)
    world.now += 3600.0
    assert world.questions.lasting(KEY) == {POD.pod: (ASKING, 0.0)}


async def test_another_answer_begins_anew() -> None:
    other = Progress("downloading", "model", 1, 100)
    assert await lasting(World(), ASKING, ASKING, other) == {}
    assert await lasting(World(), ASKING, ASKING, other, ASKING) == {POD.pod: (ASKING, 0.0)}


async def test_silence_begins_anew() -> None:
    assert await lasting(World(), ASKING, ASKING, None) == {}
    assert await lasting(World(), ASKING, ASKING, None, ASKING) == {POD.pod: (ASKING, 0.0)}


async def test_so_do_another_start_and_another_operator() -> None:
    world = World()
    await lasting(world, ASKING, ASKING)
    await world.answered(replace(POD, start="1"))
    assert world.questions.lasting(KEY) == {POD.pod: (ASKING, 0.0)}
    assert World().questions.lasting(KEY) == {}
