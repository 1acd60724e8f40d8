from __future__ import annotations

import asyncio

import pytest

from llama_operator.kube.ratelimit import TokenBucket


class Time:
    """A clock that only sleeping moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def take(bucket: TokenBucket, time: Time, count: int) -> list[float]:
    at = []
    for _ in range(count):
        await bucket.take()
        at.append(round(time.now, 6))
    return at


async def test_a_burst_is_free_then_the_rate_holds() -> None:
    time = Time()
    bucket = TokenBucket(10, 3, clock=time, sleep=time.sleep)
    assert await take(bucket, time, 6) == [0, 0, 0, 0.1, 0.2, 0.3]


async def test_quiet_time_fills_the_bucket_but_not_beyond_its_size() -> None:
    time = Time()
    bucket = TokenBucket(10, 3, clock=time, sleep=time.sleep)
    await take(bucket, time, 3)
    time.now = 100.0
    assert await take(bucket, time, 4) == [100, 100, 100, 100.1]


async def test_waiters_at_the_same_time_do_not_share_a_token() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    bucket = TokenBucket(10, 1, clock=lambda: 0.0, sleep=sleep)
    await asyncio.gather(*(bucket.take() for _ in range(4)))
    assert slept == pytest.approx([0.1, 0.2, 0.3])
