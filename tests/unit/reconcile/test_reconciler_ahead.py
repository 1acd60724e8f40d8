"""A model's new source on its whole way: staged by a Job, told how far, served, and its cache collected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llama_operator import constants
from llama_operator.api.staging import Progress
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile import ahead
from llama_operator.resources import build
from tests.unit.kube.fake_api import reply
from tests.unit.reconcile.objects import condition
from tests.unit.reconcile.world import DEPLOYMENT, MODEL, World

Object = dict[str, Any]

JOBS = "/apis/batch/v1/namespaces/team/jobs/"
STORED: Object = {"storage": {"claim": {"size": "1Gi"}}}
OTHER: Object = {"source": {"url": {"url": "https://example.com/b.gguf"}}}


def jobs(world: World) -> list[str]:
    return [path for path in world.api.objects if path.startswith(JOBS)]


def stages(world: World, job: str, address: str = "10.0.0.7") -> None:
    """The Job has a pod, and its stager runs."""
    owner = {"kind": "Job", "name": "j", "uid": world.api.objects[job]["metadata"]["uid"], "controller": True}
    labels = {constants.MODEL_LABEL: "qwen", constants.COMPONENT_LABEL: constants.STAGER}
    meta = {"namespace": "team", "name": "j-1", "uid": "uid-j", "labels": labels, "ownerReferences": [owner]}
    state = {"name": "stage", "state": {"running": {"startedAt": "2026-11-24T03:00:00Z"}}, "image": "operator:1"}
    pod = {
        "metadata": meta | {"resourceVersion": "999"},
        "status": {"podIP": address, "containerStatuses": [state], "conditions": [condition("PodScheduled", True)]},
    }
    world.cache.observe("Pod", pod)


def with_image_volume(model: LlamaModel, config: Config) -> list[Object]:
    children = build(model, config)
    for child in children:
        if child["kind"] == "Deployment":
            child["spec"]["template"]["spec"]["volumes"].append({"name": "image", "image": {"reference": "a:1"}})
    return children


async def changed(world: World) -> str:
    """A model that serves one source and is told to serve another. Its Job."""
    world.model(**STORED)
    await world.reconcile()
    world.edit(DEPLOYMENT, status={"replicas": 1, "readyReplicas": 1, "availableReplicas": 1})
    world.model(generation=2, **STORED, **OTHER)
    await world.reconcile()
    (job,) = jobs(world)
    return job


async def test_staged_first_then_rolled_then_tidied_up(world: World) -> None:
    job = await changed(world)
    assert world.writes() == [("PATCH", job), ("PATCH", f"{MODEL}/status")]
    await world.reconcile()
    assert world.api.requests == [], "while it waits it calls nobody"
    world.edit(job, status={"conditions": [{"type": "Complete", "status": "True"}]})
    await world.reconcile()
    assert world.writes() == [("PATCH", DEPLOYMENT), ("PATCH", f"{MODEL}/status")]
    await world.reconcile()
    assert world.writes() == [("DELETE", job)]
    await world.reconcile()
    assert world.api.requests == []


async def test_a_restart_in_the_middle_of_it_writes_nothing(world: World) -> None:
    await changed(world)
    restarted = world.restarted()
    await restarted.reconcile()
    assert restarted.api.requests == []


async def test_a_refused_child_leaves_the_job_alone(world: World) -> None:
    job = await changed(world)
    world.edit(job, status={"conditions": [{"type": "Complete", "status": "True"}]})
    world.refuse(DEPLOYMENT, 422, "Invalid", "no")
    for _ in range(3):
        await world.reconcile()
    assert jobs(world) == [job]
    assert world.ready()["reason"] == "Invalid"


async def test_a_job_of_other_content_is_replaced_without_waiting_for_anybody(world: World) -> None:
    job = await changed(world)
    meta = world.api.objects[job]["metadata"]
    spec: Object = {"template": {"spec": {"containers": []}}}
    world.edit(job, metadata={**meta, "annotations": {**meta["annotations"], constants.APPLIED_HASH: "old"}}, spec=spec)
    assert await world.reconcile() == 0.0
    assert jobs(world) == []
    await world.reconcile()
    assert jobs(world) == [job]


async def test_how_far_it_is_is_told_at_the_stagers_pace(world: World) -> None:
    job = await changed(world)
    stages(world, job)
    world.told["10.0.0.7"] = Progress("downloading", "model", 43, 100)
    await world.reconcile()
    assert "staging" not in world.api.objects[MODEL]["status"], "it does not wait for the answer"
    await asyncio.sleep(0)
    assert await world.reconcile() == 10.0
    assert world.api.objects[MODEL]["status"]["state"] == "Staging 43%"
    assert world.writes() == [("PATCH", f"{MODEL}/status")]
    await world.reconcile()
    assert world.api.requests == []


async def test_a_deleted_model_is_not_asked_about(world: World) -> None:
    stages(world, await changed(world))
    await world.reconcile()
    world.lose(MODEL, tell=True)
    assert await world.reconcile() is None


async def test_a_cache_is_collected_when_its_model_goes(world: World) -> None:
    cache: Object = {"storage": {"cache": {"claimName": "shared", "whenUnused": "Delete"}}}
    world.model(**cache)
    await world.reconcile()
    world.lose(MODEL, tell=True)
    world.lose(DEPLOYMENT, tell=True)
    await world.reconcile()
    (job,) = jobs(world)
    assert world.api.objects[job]["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"] == {
        "claimName": "shared"
    }


class TestImageVolumes:
    """The API server takes them out where the feature gate is off, and says nothing."""

    @staticmethod
    def without(request: Request, world: World) -> Answer | None:
        """What the API server answers to an apply of the Deployment that has an image volume."""
        if request.path != DEPLOYMENT or request.method != "PATCH":
            return None
        body = dict(world.api.bodies[-1])
        body["spec"] = {**body["spec"], "template": {"spec": {"volumes": []}}}
        return reply(body)

    async def test_what_would_lose_them_is_not_applied(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ahead, "build", with_image_volume)
        world.api.answer = lambda request: self.without(request, world)
        await world.reconcile()
        assert DEPLOYMENT not in world.api.objects
        assert world.ready()["reason"] == "ImageVolumeUnsupported"
        assert "spec.source.oci" in world.ready()["message"]
        assert world.stalled() is not None
        await world.reconcile()
        assert world.writes() == [], "the same request would get the same answer"

    async def test_where_they_stay_the_child_is_applied(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ahead, "build", with_image_volume)
        await world.reconcile()
        assert DEPLOYMENT in world.api.objects
        assert world.ready()["reason"] == "Staging"

    async def test_where_they_are_unknown_the_refusal_is_explained(self, world: World) -> None:
        world.refuse(
            DEPLOYMENT, 422, "Invalid", "spec.template.spec.volumes[0]: Required value: must specify a volume type"
        )
        await world.reconcile()
        assert world.ready()["reason"] == "ImageVolumeUnsupported"
