from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from llama_operator.runtime.http import serve
from tests.unit.runtime.world import PERIOD, World


@pytest_asyncio.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = await serve(world.health, world.metrics.text, port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        yield http
    await server.cleanup()


async def test_probes_say_in_words_what_is_wrong(world: World, client: httpx.AsyncClient) -> None:
    healthy = await client.get("/healthz")
    assert (healthy.status_code, healthy.text) == (200, "ok")
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.text) == (503, "not everything has been listed yet")
    await world.resync.start()
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.text) == (200, "ok")
    world.queue.add(("team", "qwen"))
    world.now = 10 * PERIOD
    dead = await client.get("/healthz")
    assert dead.status_code == 503
    late, stuck = dead.text.splitlines()
    assert "no list has been tried" in late
    assert "none has been finished" in stuck


async def test_who_stands_by_says_so(world: World, client: httpx.AsyncClient) -> None:
    world.leader = False
    for path in ("/healthz", "/readyz"):
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (200, "ok, standing by")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
async def test_the_kubelet_may_have_ipv6_alone(client: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://[::1]:{client.base_url.port}/healthz")).text == "ok"


async def test_no_connection_is_kept_open(client: httpx.AsyncClient) -> None:
    """An open one would hold up the end of the process."""
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await client.get(path)).headers["connection"] == "close"


async def test_metrics_are_in_the_text_format(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "llama_operator_leader" in {family.name for family in text_string_to_metric_families(answer.text)}
