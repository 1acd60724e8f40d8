"""Resizes on their way to the API server: each once, and what is refused neither again and again nor in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llama_operator.constants import APPLIED_HASH
from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.resizer import ABSENT_SECONDS, FIRST_SECONDS, Resizer
from tests.unit.kube.fake_api import status
from tests.unit.reconcile.cases_memory import QUOTA, sized
from tests.unit.reconcile.objects import answering
from tests.unit.reconcile.world import DEPLOYMENT, KEY, MODEL, REFUSAL_SECONDS, World

Object = dict[str, Any]
PODS = "/api/v1/namespaces/team/pods"
BOTH: Object = {"requests": {"memory": "5121Mi"}, "limits": {"memory": "10241Mi"}}
RIGHT = 'pods "a" is forbidden: User "operator" cannot patch resource "pods/resize" in API group ""'


def pod(world: World, name: str) -> Object:
    """A server that answers and has a prediction; the watch tells."""
    built = sized(answering(name=name))
    template = world.api.objects[DEPLOYMENT]["spec"]["template"]["metadata"]
    built["metadata"] |= {
        "namespace": "team",
        "labels": {"llama-operator.dev/model": "qwen"},
        "annotations": {APPLIED_HASH: template["annotations"][APPLIED_HASH]},
    }
    put = world.api.put(f"{PODS}/{name}", {**built, "kind": "Pod"})
    world.cache.observe("Pod", put)
    return put


async def with_pods(world: World, *names: str) -> None:
    """The model is served by these pods, and the status knows it, but for their memory."""
    world.model(replicas=len(names))
    await world.reconcile()
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), len(names))
    world.edit(DEPLOYMENT, status={"observedGeneration": 99, **counts})
    for name in names:
        pod(world, name)


def resized(world: World) -> list[str]:
    """Names of the pods that were asked to be resized, in the last reconcile."""
    return [path.removeprefix(f"{PODS}/").removesuffix("/resize") for _, path in world.api.requests if "resize" in path]


def degraded(world: World) -> Object:
    conditions = world.api.objects[MODEL]["status"]["conditions"]
    return next((c for c in conditions if c["type"] == "Degraded"), {})


async def test_each_pod_is_resized_once_and_never_again(world: World) -> None:
    await with_pods(world, "a", "b")
    assert await world.reconcile() is None
    assert resized(world) == ["a", "b"]
    for name in ("a", "b"):
        (container,) = world.api.objects[f"{PODS}/{name}"]["spec"]["containers"]
        assert container["resources"] == BOTH
    await world.reconcile()
    assert world.api.requests == [], "before any watch has told of it"
    assert degraded(world) == {}


async def test_another_replica_is_resized_alone(world: World) -> None:
    await with_pods(world, "a")
    await world.reconcile()
    pod(world, "b")
    await world.reconcile()
    assert resized(world) == ["b"]


async def test_a_restarted_operator_resizes_nothing_again(world: World) -> None:
    await with_pods(world, "a")
    await world.reconcile()
    restarted = world.restarted()
    await restarted.reconcile()
    assert restarted.api.requests == []


async def test_the_deployment_is_left_alone(world: World) -> None:
    await with_pods(world, "a")
    before = world.api.objects[DEPLOYMENT]
    await world.reconcile()
    assert world.writes() == [("PATCH", f"{PODS}/a/resize"), ("PATCH", f"{MODEL}/status")]
    assert world.api.objects[DEPLOYMENT] == before


@pytest.mark.parametrize(
    ("code", "words"),
    [(403, QUOTA), (403, RIGHT), (422, 'Pod "a" is invalid: spec: Invalid value: …'), (400, "no")],
    ids=["quota", "rights", "invalid", "bad"],
)
async def test_a_refusal_is_told_and_repeated_as_seldom_as_any(world: World, code: int, words: str) -> None:
    await with_pods(world, "a")
    world.refuse(f"{PODS}/a/resize", code, "Whatever", words)
    assert await world.reconcile() == REFUSAL_SECONDS
    assert (degraded(world)["reason"], words in degraded(world)["message"]) == ("MemoryNotGranted", True)
    assert [event["reason"] for event in world.events() if event["type"] == "Warning"] == ["MemoryNotGranted"]
    world.now += REFUSAL_SECONDS - 1
    assert await world.reconcile() == 1
    assert world.api.requests == []
    world.now += 1
    assert await world.reconcile() == REFUSAL_SECONDS
    assert resized(world) == ["a"]
    assert world.writes() == [("PATCH", f"{PODS}/a/resize")], "the same words are no news"
    world.api.answer = lambda _: None
    world.now += REFUSAL_SECONDS
    await world.reconcile()
    assert degraded(world) == {}


async def test_one_pod_that_is_refused_does_not_hold_back_the_other(world: World) -> None:
    await with_pods(world, "a", "b")
    world.refuse(f"{PODS}/a/resize", 403, "Forbidden", QUOTA)
    await world.reconcile()
    assert resized(world) == ["a", "b"]
    await world.reconcile()
    assert resized(world) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [(404, "the server could not find the requested resource"), (405, "the server does not allow this method")],
)
async def test_a_cluster_that_cannot_do_it_is_asked_once_for_all_pods(
    world: World, code: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    await with_pods(world, "a", "b")

    def cannot(request: Request) -> Answer | None:
        return status(code, "Whatever", words) if request.path.endswith("/resize") else None

    world.api.answer = cannot
    assert await world.reconcile() is None
    assert resized(world) == ["a"]
    assert degraded(world) == {}
    assert world.ready()["status"] == "True"
    await world.reconcile()
    assert world.api.requests == []
    world.now += ABSENT_SECONDS
    await world.reconcile()
    assert resized(world) == ["a"]
    assert len([line for line in caplog.messages if "pods are not resized" in line]) == 2


async def test_workers_that_ask_an_old_cluster_at_the_same_time_say_so_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await with_pods(world, "a")
    asked, answer = asyncio.Queue[str](), asyncio.Event()

    async def send(request: Request) -> Answer:
        asked.put_nowait(request.path)
        await answer.wait()
        return status(404, "NotFound", "the server could not find the requested resource")

    client = Client(send, TokenBucket(1e6, 1000), max_concurrent_writes=4)
    resizer = Resizer(cache=world.cache, client=client, shipped=None, refusal_seconds=REFUSAL_SECONDS)
    workers = [asyncio.create_task(resizer.look(KEY, world.cache.snapshot(KEY))) for _ in range(2)]
    for _ in workers:
        await asked.get()
    answer.set()
    assert await asyncio.gather(*workers) == [({}, None)] * 2
    assert len([line for line in caplog.messages if "pods are not resized" in line]) == 1


async def test_a_pod_that_is_gone_is_no_sign_of_an_old_cluster(world: World) -> None:
    await with_pods(world, "a", "b")
    world.lose(f"{PODS}/a", tell=False)
    await world.reconcile()
    assert resized(world) == ["a", "b"]
    assert [found["metadata"]["name"] for found in world.cache.snapshot(KEY).pods] == ["b"]


async def test_another_pod_of_the_same_name_is_not_resized(world: World) -> None:
    await with_pods(world, "a")
    old = world.api.objects[f"{PODS}/a"]
    world.api.put(f"{PODS}/a", {**old, "metadata": {**old["metadata"], "uid": "another"}})
    assert await world.reconcile() == FIRST_SECONDS
    assert world.api.objects[f"{PODS}/a"]["spec"] == old["spec"]
    assert degraded(world) == {}
    await world.reconcile()
    assert world.api.requests == []


async def test_trouble_that_passes_is_tried_again_and_holds_up_nothing(world: World) -> None:
    await with_pods(world, "a")
    world.refuse(f"{PODS}/a/resize", 500, "InternalError", "etcd is slow")
    pauses = []
    for _ in range(12):
        pauses.append(await world.reconcile())
        assert resized(world) == ["a"]
        assert world.ready()["status"] == "True"
        assert degraded(world) == {}
        world.now += pauses[-1] or 0.0
    assert pauses == [FIRST_SECONDS * 2**n for n in range(10)] + [REFUSAL_SECONDS] * 2
    world.api.answer = lambda _: None
    assert await world.reconcile() is None
    assert resized(world) == ["a"]


async def test_the_api_server_may_ask_for_a_longer_pause(world: World) -> None:
    await with_pods(world, "a")
    world.refuse(f"{PODS}/a/resize", 429, "TooManyRequests", "later", headers={"retry-after": "30"})
    assert await world.reconcile() == 30.0


async def test_a_model_that_is_gone_leaves_nothing_behind(world: World) -> None:
    await with_pods(world, "a")
    world.refuse(f"{PODS}/a/resize", 403, "Forbidden", QUOTA)
    await world.reconcile()
    world.lose(MODEL, tell=True)
    assert await world.reconcile() is None
    world.model()
    await world.reconcile()
    assert resized(world) == ["a"], "another model of its name is not held to what its predecessor was told"
