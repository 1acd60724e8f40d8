"""How long a call took, as told to whoever measures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llama_operator.kube import errors, kinds
from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request, TransportError
from tests.unit.kube.fake_api import reply


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_each_call_without_the_wait_for_our_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("llama_operator.kube.client.time", SimpleNamespace(monotonic=clock))

    async def send(request: Request) -> Answer:
        clock.now += 2
        if request.method == "DELETE":
            raise TransportError("refused")
        return reply({"kind": "Service"})

    client = Client(send, TokenBucket(0.1, 1, clock=clock, sleep=clock.sleep), max_concurrent_writes=1)
    took: list[tuple[str, float]] = []
    client.took = lambda verb, seconds: took.append((verb, seconds))
    service = kinds.BY_NAME["Service"]
    obj = {"metadata": {"namespace": "team", "name": "qwen", "uid": "7"}}
    await client.get(service, "team", "qwen")
    await client.apply(service, obj)
    with pytest.raises(errors.Retryable):
        await client.delete(service, obj)
    assert took == [("get", 2), ("apply", 2), ("delete", 2)]
    assert clock.now > 120  # two waits of ten seconds
