"""The Secret with the generated key: made once, never read, made again when pods miss it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llama_operator.kube import kinds
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.keys import AGAIN_SECONDS
from tests.unit.kube.fake_api import reply
from tests.unit.reconcile.objects import pod
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


async def test_it_is_made_again_when_pods_miss_it(world: World) -> None:
    """Nobody watches Secrets; the kubelet says that it is gone."""
    await world.reconcile()
    template = world.api.objects[DEPLOYMENT]["spec"]["template"]
    waiting = pod()
    waiting["metadata"] |= {"namespace": "team", "name": "p", "labels": LABELS, "uid": "p", "resourceVersion": "1"}
    waiting["metadata"]["annotations"] = template["metadata"]["annotations"]
    waiting["status"] = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
    world.cache.observe("Pod", waiting)
    note = 'MountVolume.SetUp failed for volume "secret-api-keys" : secret "qwen-api-key" not found'
    event = {"type": "Warning", "reason": "FailedMount", "note": note, "metadata": {}}

    def answer(request: Request) -> Answer | None:
        if (request.method, request.path) == ("GET", EVENTS):
            return reply({"items": [event]})
        return None

    world.api.answer = answer
    posts = 0
    for _ in range(4):
        await world.reconcile()
        posts += world.api.requests.count(POST)
        world.now += 5
    assert posts == 1, "not for each of the kubelet's attempts"
    world.now += AGAIN_SECONDS
    await world.reconcile()
    assert POST in world.api.requests


def test_secrets_are_not_watched() -> None:
    assert kinds.SECRET not in kinds.WATCHED
