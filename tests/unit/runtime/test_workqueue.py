from __future__ import annotations

import asyncio

import pytest

from llama_operator.runtime.workqueue import FIRST_DELAY, JITTER, LAST_DELAY, WorkQueue


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, chance=lambda: 0.0)


async def test_a_key_waits_once_however_often_it_is_added(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert queue.depth() == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_is_never_held_twice_and_comes_again_if_added_meanwhile(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.depth() == 0
    queue.done("a")
    assert queue.depth() == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.depth() == 0


async def test_waiting_workers_wake_up(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)  # let them wait
    queue.add("a")
    queue.add("b")
    done, waiting = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    while len(done) < 2:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        done |= more
    assert {task.result() for task in done} == {"a", "b"}
    queue.close()
    assert [await task for task in waiting] == [None]


def test_delays_double_up_to_the_longest() -> None:
    async def measure() -> list[float]:
        queue: WorkQueue[str] = WorkQueue(chance=lambda: 0.0)
        delays = [queue.retry("a") for _ in range(12)]
        queue.close()
        return delays

    delays = asyncio.run(measure())
    assert delays[:4] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY, 8 * FIRST_DELAY]
    assert delays[-1] == LAST_DELAY


async def test_jitter_only_shortens() -> None:
    queue: WorkQueue[str] = WorkQueue(chance=lambda: 1.0)
    assert queue.retry("a") == pytest.approx(FIRST_DELAY * (1 - JITTER))
    queue.close()


async def test_a_key_that_was_fine_starts_over(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")
    assert queue.failures("a") == 2
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a") == FIRST_DELAY
    queue.close()


async def test_the_server_can_ask_for_a_longer_delay(queue: WorkQueue[str]) -> None:
    assert queue.retry("a", at_least=17) == 17
    queue.close()


async def test_the_first_conflict_costs_nothing_the_second_does(queue: WorkQueue[str]) -> None:
    assert queue.retry("a", at_once=True) == 0
    assert queue.retry("a", at_once=True) == 2 * FIRST_DELAY
    queue.close()


async def test_a_delayed_key_comes_when_it_is_due() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("later", 3600)
    queue.add_after("sooner", 0.01)
    assert queue.depth() == 0
    assert await asyncio.wait_for(queue.get(), 5) == "sooner"
    assert queue.depth() == 0
    queue.close()


async def test_of_two_delays_the_shorter_one_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.01)
    queue.add_after("a", 3600)
    assert await asyncio.wait_for(queue.get(), 5) == "a"
    queue.done("a")
    queue.add_after("a", 3600)
    queue.add_after("a", 0.01)
    assert await asyncio.wait_for(queue.get(), 5) == "a"
    queue.done("a")
    assert queue.depth() == 0
    queue.close()


async def test_a_closed_queue_hands_out_nothing(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.close()
    queue.add("b")
    queue.add_after("c", 0)
    assert await queue.get() is None


async def test_waiting_is_measured_from_the_first_add_to_the_worker(clock: Clock) -> None:
    waits: list[float] = []
    queue: WorkQueue[str] = WorkQueue(clock=clock, waited=waits.append)
    queue.add("a")
    clock.now = 3
    queue.add("a")
    queue.add("b")
    clock.now = 5
    assert queue.oldest() == 5
    await queue.get()
    assert queue.oldest() == 2
    queue.add("a")  # wanted again, though it cannot be taken yet
    clock.now = 9
    await queue.get()
    assert queue.oldest() == 4
    queue.done("a")
    await queue.get()
    assert waits == [5, 6, 4]
    assert queue.oldest() == 0


async def test_the_longest_busy_key_is_the_one_taken_first(clock: Clock, queue: WorkQueue[str]) -> None:
    assert queue.longest_busy() is None
    for clock.now, key in ((1, "a"), (2, "b"), (3, "c")):
        queue.add(key)
        await queue.get()
    clock.now = 10
    assert queue.longest_busy() == ("a", 9)
    queue.done("a")
    queue.done("c")
    assert queue.longest_busy() == ("b", 8)


def test_stuck_only_while_there_is_work_and_nothing_ends(clock: Clock, queue: WorkQueue[str]) -> None:
    async def story() -> None:
        clock.now = 1000
        assert queue.stuck_for() == 0  # idle, however long
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "a"
        clock.now = 1100
        assert queue.stuck_for() == 100
        queue.done("a")
        assert queue.stuck_for() == 0  # b waits, but something has just ended
        clock.now = 1150
        assert queue.stuck_for() == 50

    asyncio.run(story())
