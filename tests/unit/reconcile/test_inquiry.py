"""When events are asked for: seldom, and never where all is well."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.constants import APPLIED_HASH, MODEL_LABEL
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.inquiry import (
    FIRST_SECONDS,
    LAST_SECONDS,
    OVERDUE_SECONDS,
    PACE_SECONDS,
    Inquiry,
)
from llama_operator.runtime.cache import Key
from tests.unit.kube.fake_api import reply, status
from tests.unit.reconcile.objects import condition, event, set_up, staging
from tests.unit.reconcile.world import DEPLOYMENT, EVENTS, KEY, MODEL, World

Object = dict[str, Any]
ASK = ("GET", EVENTS)
TELL = ("PATCH", f"{MODEL}/status")
SANDBOX = event("FailedCreatePodSandBox", 'no runtime for "kata" is configured')


class Cluster:
    """The world with a pod in it, and events about it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[Object] = []
        self.selectors: list[str] = []
        self.broken: Answer | None = None
        world.api.answer = self.answer

    def answer(self, request: Request) -> Answer | None:
        if (request.method, request.path) != ASK:
            return None
        self.selectors.append(request.params["fieldSelector"])
        return self.broken or reply({"metadata": {"resourceVersion": "1"}, "items": self.events})

    def pod(self, built: Object, name: str = "qwen-1") -> None:
        """Write the pod's status, as a kubelet would."""
        template = self.world.api.objects[DEPLOYMENT]["spec"]["template"]["metadata"]
        self.world.api.version += 1
        meta = {
            "namespace": "team",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(self.world.api.version),
            "labels": {MODEL_LABEL: "qwen"},
            "annotations": {APPLIED_HASH: template["annotations"][APPLIED_HASH]},
        }
        self.world.cache.observe("Pod", {"metadata": meta, "status": built["status"]})

    async def reconcile(self, later: float = 0.0) -> float | None:
        self.world.now += later
        return await self.world.reconcile()

    def asked(self) -> int:
        return self.world.api.requests.count(ASK)

    def told(self) -> int:
        return self.world.api.requests.count(TELL)


@pytest.fixture
async def cluster(world: World) -> Cluster:
    """One reconcile has made the children; their controllers are to be played by the test."""
    await world.reconcile()
    return Cluster(world)


async def test_a_start_that_goes_well_costs_no_call(cluster: Cluster) -> None:
    cluster.events = [SANDBOX]
    cluster.pod({"status": {"phase": "Pending"}})
    assert await cluster.reconcile() == FIRST_SECONDS
    cluster.pod(set_up())
    assert await cluster.reconcile(FIRST_SECONDS - 0.1) == FIRST_SECONDS  # it came on: patience begins anew
    cluster.pod(staging())
    assert await cluster.reconcile(FIRST_SECONDS - 0.1) is None
    assert await cluster.reconcile(3600) is None
    assert not cluster.selectors


async def test_a_pod_that_cannot_be_set_up_is_told_with_one_call_and_one_write(cluster: Cluster) -> None:
    cluster.pod(set_up())
    await cluster.reconcile()
    cluster.events = [SANDBOX]
    assert await cluster.reconcile(FIRST_SECONDS) == FIRST_SECONDS
    assert cluster.selectors == ["regarding.uid=uid-qwen-1"]
    assert cluster.told() == 1
    assert cluster.world.ready()["reason"] == "PodBlocked"
    assert "set up the runtime kata on the node" in cluster.world.ready()["message"]
    assert [e["reason"] for e in cluster.world.events()] == ["PodBlocked"]


async def test_pauses_double_and_trouble_that_stays_writes_nothing(cluster: Cluster) -> None:
    cluster.events = [SANDBOX]
    cluster.pod(set_up())
    again = await cluster.reconcile()
    await cluster.reconcile(FIRST_SECONDS)
    pauses = []
    for n in range(12):
        cluster.events = [{**SANDBOX, "deprecatedCount": n, "note": f"{SANDBOX['note']} ({n} ms)"}]
        again = await cluster.reconcile(again or 0)
        pauses.append(again)
        if n:  # the first has other words: a number where there was none
            assert (cluster.asked(), cluster.told()) == (1, 0), n
    assert pauses[:3] == [2 * FIRST_SECONDS, 4 * FIRST_SECONDS, 8 * FIRST_SECONDS]
    assert pauses[-1] == LAST_SECONDS


async def test_between_the_questions_nothing_is_asked_and_nothing_forgotten(cluster: Cluster) -> None:
    cluster.events = [SANDBOX]
    cluster.pod(set_up())
    await cluster.reconcile()
    await cluster.reconcile(FIRST_SECONDS)
    cluster.events = []
    assert await cluster.reconcile(FIRST_SECONDS / 2) == FIRST_SECONDS / 2
    assert (cluster.asked(), cluster.told()) == (0, 0)
    await cluster.reconcile(FIRST_SECONDS / 2)
    assert (cluster.asked(), cluster.told()) == (1, 0)  # events expire; that is no news
    assert cluster.world.ready()["reason"] == "PodBlocked"


async def test_it_is_over_when_the_pod_comes_on(cluster: Cluster) -> None:
    cluster.events = [SANDBOX]
    cluster.pod(set_up())
    await cluster.reconcile()
    await cluster.reconcile(FIRST_SECONDS)
    cluster.pod(staging())
    assert await cluster.reconcile() is None
    assert cluster.world.ready()["reason"] == "Staging"
    cluster.pod(set_up())  # a new trouble is not explained by the old one
    assert await cluster.reconcile() == FIRST_SECONDS
    assert cluster.world.ready()["reason"] == "Staging"


async def test_silence_is_told_when_it_is_overdue(cluster: Cluster) -> None:
    cluster.pod(set_up())
    again, waited = await cluster.reconcile(), 0.0
    while waited < OVERDUE_SECONDS:
        assert again is not None
        assert cluster.world.ready()["reason"] == "Staging"
        waited += again
        again = await cluster.reconcile(again)
    assert cluster.world.ready()["reason"] == "PodBlocked"
    assert "`kubectl describe pod qwen-1` tells more" in cluster.world.ready()["message"]
    assert waited < 2 * OVERDUE_SECONDS + FIRST_SECONDS


@pytest.mark.parametrize(
    "answer",
    [status(403, "Forbidden", "events is forbidden"), status(503, "ServiceUnavailable", "not now")],
    ids=["forbidden", "unavailable"],
)
async def test_events_that_cannot_be_read_stop_nothing(cluster: Cluster, answer: Answer) -> None:
    cluster.broken = answer
    cluster.pod(set_up())
    await cluster.reconcile()
    assert await cluster.reconcile(FIRST_SECONDS) == FIRST_SECONDS
    assert cluster.asked() == 1
    assert await cluster.reconcile(FIRST_SECONDS) == 2 * FIRST_SECONDS


async def test_a_claim_that_is_not_ours_is_asked_about_by_its_name(cluster: Cluster) -> None:
    cluster.world.model(generation=2, source={"volume": {"claimName": "mine", "path": "m.gguf"}})
    await cluster.reconcile()
    words = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    cluster.pod({"status": {"conditions": [condition("PodScheduled", False, message=words)]}})
    await cluster.reconcile()
    cluster.events = [event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')]
    await cluster.reconcile(FIRST_SECONDS)
    assert cluster.selectors == ["regarding.kind=PersistentVolumeClaim,regarding.name=mine"]
    assert cluster.world.ready()["reason"] == "VolumePending"


async def test_a_model_that_has_gone_is_forgotten(cluster: Cluster) -> None:
    cluster.pod(set_up())
    await cluster.reconcile()
    cluster.world.lose(MODEL, tell=True)
    assert await cluster.reconcile(FIRST_SECONDS) is None
    assert not cluster.selectors


async def test_all_models_share_one_pace(cluster: Cluster) -> None:
    """A thousand models that stop for one cause must not keep the API server busy with their questions."""
    world = cluster.world
    inquiry = Inquiry(cache=world.cache, client=world.client, clock=lambda: world.now)
    seen = world.cache.snapshot(KEY)
    keys: list[Key] = [("team", f"m{n}") for n in range(50)]
    cluster.pod(set_up())
    (pod,) = world.cache.snapshot(KEY).pods
    for number, (namespace, name) in enumerate(keys):
        for kind, obj in [(o["kind"], o) for o in [seen.model or {}, *seen.children]] + [("Pod", pod)]:
            meta = obj["metadata"]
            labels = meta.get("labels", {}) | {MODEL_LABEL: name}
            mine = {"name": f"{name}-1" if kind == "Pod" else name, "labels": labels, "namespace": namespace}
            world.cache.observe(kind, {**obj, "metadata": {**meta, **mine, "resourceVersion": str(1000 + number)}})
    waits = {key: (await inquiry.inquire(key))[1] for key in keys}
    assert set(waits.values()) == {FIRST_SECONDS}
    world.now += FIRST_SECONDS
    asked_at = []
    for _ in range(400):
        for key in keys:
            before = len(cluster.selectors)
            await inquiry.inquire(key)
            asked_at += [world.now] * (len(cluster.selectors) - before)
        world.now += PACE_SECONDS / 4
    rate = len(asked_at) / (asked_at[-1] - asked_at[0])
    assert rate <= 1.05 / PACE_SECONDS
    assert len(asked_at) >= len(keys), "nobody is left out"
