"""What a server says of itself on its way into the status: asked once, written once, remembered by the status."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_operator.api.sidecar import Facts
from llama_operator.api.types import parse
from llama_operator.constants import APPLIED_HASH
from llama_operator.reconcile.questions import FORGIVEN, LAST_PAUSE
from llama_operator.resources.files import files
from tests.unit.reconcile.objects import answering, container, running, serving
from tests.unit.reconcile.world import DEPLOYMENT, KEY, MODEL, World

Object = dict[str, Any]
ADDRESS = "10.0.0.7"


def facts(world: World, **more: Any) -> Facts:
    path = files(parse(world.api.objects[MODEL]))[0].path
    return Facts(answered=True, model=path, build="b11669", slots=1, **more)


def pod(world: World, built: Object, version: int) -> None:
    """A pod of the present template; the watch tells."""
    deployment = world.api.objects[DEPLOYMENT]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    built["metadata"] |= {
        "namespace": "team",
        "resourceVersion": str(version),
        "labels": {"llama-operator.dev/model": "qwen"},
        "annotations": {APPLIED_HASH: annotations[APPLIED_HASH]},
    }
    built["status"]["podIP"] = ADDRESS
    world.cache.observe("Pod", built)


async def served(world: World) -> None:
    """The model has a server that is ready, and the status knows it; nobody has been asked what it serves."""
    await world.reconcile()
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    world.edit(DEPLOYMENT, status={"observedGeneration": 99, **counts})
    pod(world, answering(), 1001)


async def answered(world: World) -> None:
    """Reconcile, let the question have its answer, and reconcile."""
    await world.reconcile()
    for _ in range(3):
        await asyncio.sleep(0)
    await world.reconcile()


async def test_it_is_one_write_and_then_nothing(world: World) -> None:
    await served(world)
    world.facts[ADDRESS] = facts(world, context_size=4096)
    await answered(world)
    assert world.writes() == [("PATCH", f"{MODEL}/status")]
    assert world.api.objects[MODEL]["status"]["served"]["contextSize"] == 4096
    world.facts.clear()
    world.now += 10 * LAST_PAUSE
    await answered(world)
    assert world.api.requests == []
    assert world.ready()["reason"] == "Ready"


async def test_less_than_was_asked_is_told_with_a_warning(world: World) -> None:
    await served(world)
    world.facts[ADDRESS] = facts(world, context_size=512, context_trained=512)
    await answered(world)
    status = world.api.objects[MODEL]["status"]
    assert [c["reason"] for c in status["conditions"] if c["type"] == "Degraded"] == ["ContextSmaller"]
    assert [(event["type"], event["reason"]) for event in world.events()] == [("Warning", "ContextSmaller")]


async def test_a_restarted_operator_asks_and_writes_nothing(world: World) -> None:
    await served(world)
    world.facts[ADDRESS] = facts(world, context_size=512)
    await answered(world)
    restarted = world.restarted()
    restarted.facts = world.facts
    for found in world.cache.snapshot(KEY).pods:
        restarted.cache.store("Pod", found)
    await restarted.reconcile()
    assert restarted.api.requests == []
    await answered(restarted)
    assert restarted.api.requests == []


async def test_who_does_not_answer_is_asked_ever_more_seldom(world: World) -> None:
    await served(world)
    pauses = []
    for _ in range(FORGIVEN + 4):
        await answered(world)
        pauses.append(await world.reconcile())
        world.now += LAST_PAUSE
    assert pauses == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert "served" not in world.api.objects[MODEL]["status"]


async def test_a_server_that_completes_no_request_has_a_reason(world: World) -> None:
    await world.reconcile()
    pod(world, serving(container("llama-server", running())), 1001)
    world.facts[ADDRESS] = Facts(problem="status 500: out of memory")
    await answered(world)
    assert world.ready()["reason"] == "NoCompletion"
    assert "out of memory; lower spec.engine.contextSize" in world.ready()["message"]


async def test_a_model_that_is_gone_is_asked_about_no_more(world: World) -> None:
    await served(world)
    world.hangs = True
    await world.reconcile()
    assert asyncio.all_tasks() - {asyncio.current_task()}, "nobody is asked"
    world.lose(MODEL, tell=True)
    assert await world.reconcile() is None
    for _ in range(3):
        await asyncio.sleep(0)
    assert not asyncio.all_tasks() - {asyncio.current_task()}, "a question is still under way"
