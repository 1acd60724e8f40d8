"""What the client holds back: writes at the same time, and never the Lease."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_operator.kube import kinds
from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request
from tests.unit.kube.fake_api import reply

SERVICE = kinds.BY_NAME["Service"]
PATH = "/api/v1/namespaces/team/services/qwen"
OBJ: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "team", "name": "qwen"}}


async def test_writes_at_the_same_time_are_bounded_and_reads_are_not() -> None:
    running, most = 0, 0
    full, release = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Answer:
        nonlocal running, most
        if request.method == "GET":
            return reply(OBJ)
        running += 1
        most = max(most, running)
        if running == 2:
            full.set()
        await release.wait()
        running -= 1
        return reply(OBJ)

    client = Client(slow, TokenBucket(1e6, 1000), max_concurrent_writes=2)
    writes = [asyncio.create_task(client.apply(SERVICE, OBJ)) for _ in range(5)]
    await asyncio.wait_for(full.wait(), 5)
    await client.get(SERVICE, "team", "qwen")  # gets through although all write slots are taken
    release.set()
    await asyncio.gather(*writes)
    assert most == 2


async def test_the_lease_waits_for_none_of_our_limits() -> None:
    held, release = asyncio.Event(), asyncio.Event()

    async def send(request: Request) -> Answer:
        if request.path == PATH:
            held.set()
            await release.wait()
        return reply({"kind": "Lease"})

    async def never(seconds: float) -> None:
        raise AssertionError(f"the Lease waits {seconds} s for our own rate limit")

    client = Client(send, TokenBucket(0.001, 1, sleep=never), max_concurrent_writes=1)
    write = asyncio.create_task(client.apply(SERVICE, OBJ))
    await held.wait()  # the only slot for writes is taken, and the bucket is empty
    await asyncio.wait_for(client.apply(kinds.LEASE, OBJ), 5)
    await asyncio.wait_for(client.get(kinds.LEASE, "team", "qwen"), 5)
    release.set()
    await write
