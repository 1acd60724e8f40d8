"""The Secret with the generated key: made once, never read, made again when pods miss it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llama_operator.kube import errors, kinds
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.keys import AGAIN_SECONDS
from tests.unit.kube.fake_api import reply, status
from tests.unit.reconcile.objects import answering, pod
from tests.unit.reconcile.world import DEPLOYMENT, EVENTS, LABELS, SECRETS, World

POST = ("POST", SECRETS)


def made(world: World) -> list[dict[str, Any]]:
    return [body for body in world.api.bodies if body.get("kind") == "Secret"]


async def test_it_is_made_before_the_pods_that_mount_it(world: World) -> None:
    await world.reconcile()
    assert world.api.requests.index(POST) < world.api.requests.index(("PATCH", DEPLOYMENT))
    (secret,) = made(world)
    assert secret["metadata"]["name"] == "qwen-api-key"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "model-1"
    assert len(secret["stringData"]["key"]) == 64


async def test_no_two_have_the_same_key() -> None:
    keys = set()
    for _ in range(2):
        world = World()
        world.model()
        await world.reconcile()
        keys |= {secret["stringData"]["key"] for secret in made(world)}
    assert len(keys) == 2


async def test_the_key_is_in_nothing_that_the_operator_keeps_or_says(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        await world.reconcile()
    (secret,) = made(world)
    others = [body for body in world.api.bodies if body is not secret]
    kept = [world.cache.snapshot(("team", "qwen")).children, world.api.objects]
    assert secret["stringData"]["key"] not in json.dumps([others, kept]) + caplog.text
    assert "generated an API key" in caplog.text


async def test_one_that_is_there_is_taken_as_it_is(world: World) -> None:
    world.refuse(SECRETS, 409, "AlreadyExists", "there is one", method="POST")
    assert await world.reconcile() is None
    assert DEPLOYMENT in world.api.objects


async def test_the_one_of_the_model_before_is_not_taken_for_ours(world: World) -> None:
    """It is about to be collected: pods would have a key that nobody can read any more."""
    world.model(uid="model-2", created="2999-01-01T00:00:00Z")
    world.refuse(SECRETS, 409, "AlreadyExists", "there is one", method="POST")
    assert await world.reconcile() is not None
    assert DEPLOYMENT not in world.api.objects
    world.api.answer = lambda _: None
    await world.reconcile()
    assert DEPLOYMENT in world.api.objects


async def test_where_it_may_not_be_made_no_pod_waits_for_it(world: World) -> None:
    world.refuse(SECRETS, 403, "Forbidden", "exceeded quota: secrets", method="POST")
    await world.reconcile()
    assert DEPLOYMENT not in world.api.objects
    stalled = world.stalled()
    assert stalled is not None
    assert (stalled["reason"], stalled["message"][:19]) == ("Forbidden", "Secret qwen-api-key")
    await world.reconcile()
    assert POST not in world.api.requests, "the same would be refused again"


async def test_it_is_made_once_however_often_the_deployment_is_refused(world: World) -> None:
    world.refuse(DEPLOYMENT, 403, "Forbidden", "exceeded quota")
    for _ in range(3):
        await world.reconcile()
        world.now += 1000
    assert POST not in world.api.requests


async def test_a_model_that_everybody_may_ask_has_none_until_it_asks_for_one(world: World) -> None:
    world.model(auth={"none": True})
    await world.reconcile()
    assert POST not in world.api.requests
    world.model(generation=2, auth={"generate": True})
    await world.reconcile()
    assert POST in world.api.requests


def seen(world: World, name: str, *, set_up: bool) -> None:
    """A pod of the Deployment's template, that misses the Secret or has mounted one."""
    template = world.api.objects[DEPLOYMENT]["spec"]["template"]
    found = answering() if set_up else pod()
    found["metadata"] |= {"namespace": "team", "name": name, "labels": LABELS, "uid": name, "resourceVersion": "1"}
    found["metadata"]["annotations"] = template["metadata"]["annotations"]
    if set_up:
        found["status"]["conditions"].append({"type": "PodReadyToStartContainers", "status": "True"})
    else:
        found["status"] = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
    world.cache.observe("Pod", found)


def missing(world: World, *, exists: bool = False) -> None:
    """The kubelet says that it is gone; `exists`: somebody has made it meanwhile."""
    note = 'MountVolume.SetUp failed for volume "secret-api-keys" : secret "qwen-api-key" not found'
    event = {"type": "Warning", "reason": "FailedMount", "note": note, "metadata": {}}

    def answer(request: Request) -> Answer | None:
        if (request.method, request.path) == ("GET", EVENTS):
            return reply({"items": [event]})
        if exists and (request.method, request.path) == POST:
            return status(409, "AlreadyExists", "there is one")
        return None

    world.api.answer = answer


async def test_it_is_made_again_when_pods_miss_it(world: World) -> None:
    """Nobody watches Secrets; the kubelet says that it is gone."""
    await world.reconcile()
    seen(world, "p", set_up=False)
    missing(world)
    posts = 0
    for _ in range(4):
        await world.reconcile()
        posts += world.api.requests.count(POST)
        world.now += 5
    assert posts == 1, "not for each of the kubelet's attempts"
    assert ("PATCH", DEPLOYMENT) not in world.api.requests
    world.now += AGAIN_SECONDS
    await world.reconcile()
    assert POST in world.api.requests


async def lost_for_one(world: World, *, exists: bool = False) -> None:
    """One server goes on with the key of before, and another misses the Secret; its events will be asked for."""
    await world.reconcile()
    seen(world, "old", set_up=True)
    seen(world, "p", set_up=False)
    missing(world, exists=exists)
    await world.reconcile()
    world.now += 5


def restarted(world: World) -> bool:
    annotations = world.api.objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"]
    return "kubectl.kubernetes.io/restartedAt" in annotations


async def test_servers_with_the_key_of_before_are_replaced(world: World) -> None:
    """One Service must not lead to servers of which each refuses what the other wants."""
    await lost_for_one(world)
    await world.reconcile()
    assert world.api.requests.count(POST) == 2, "it is tried whether there is one"
    assert restarted(world)


async def test_a_restart_that_was_a_conflict_comes_again(world: World) -> None:
    await lost_for_one(world)
    world.api.put(DEPLOYMENT, world.api.objects[DEPLOYMENT])  # the watch has not told
    with pytest.raises(errors.Conflict):
        await world.reconcile()
    assert len(made(world)) == 1, "the dry run"
    world.cache.observe("Deployment", world.api.objects[DEPLOYMENT])
    await world.reconcile()
    assert restarted(world)
    assert POST in world.api.requests


async def test_one_that_is_there_by_now_replaces_nobody(world: World) -> None:
    await lost_for_one(world, exists=True)
    await world.reconcile()
    assert POST in world.api.requests
    assert not restarted(world)


def test_secrets_are_not_watched() -> None:
    assert kinds.SECRET not in kinds.WATCHED
