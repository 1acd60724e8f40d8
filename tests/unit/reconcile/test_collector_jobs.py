"""How often volumes are collected, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llama_operator.constants import KIND
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.collector import (
    FIRST_SWEEP,
    PAUSE_SECONDS,
    SWEEP_SECONDS,
)
from tests.unit.kube.fake_api import status
from tests.unit.reconcile.collector_world import DELETE, JOBS, NODE_FOLDER, NODE_PATH, SHARED, World

Object = dict[str, Any]


@pytest.fixture
def world() -> World:
    return World()


class TestPace:
    async def test_the_list_of_what_is_in_use_is_not_made_for_each_model(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It takes a look at all of them."""
        scans: list[str] = []
        objects = world.cache.objects

        def counted(kind: str, namespace: str | None = None) -> list[Object]:
            scans.append(kind)
            return objects(kind, namespace)

        monkeypatch.setattr(world.cache, "objects", counted)
        for number in range(20):
            world.model(f"m{number}", f"file-{number}", DELETE)
            await world.look(f"m{number}")
        for number in range(20):
            world.gone(KIND, f"m{number}")
            await world.look(f"m{number}")
        assert len(world.jobs) == 1
        assert scans.count("Pod") == 1

    async def test_a_volume_has_one_job_a_minute(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        await world.look("a")
        world.model("a", "three", DELETE)
        assert await world.look("a") == PAUSE_SECONDS
        world.now += PAUSE_SECONDS
        await world.look("a")
        names = [job["metadata"]["name"] for job in world.jobs]
        assert len(set(names)) == len(names) == 2

    async def test_a_job_that_exists_already_is_as_good(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        world.api.answer = lambda request: status(409, "Conflict", "exists") if JOBS in request.path else None
        assert await world.look("a") is None

    async def test_a_job_that_cannot_be_made_is_tried_again(self, world: World) -> None:
        def refuse(request: Request) -> Answer | None:
            return status(403, "Forbidden", "exceeded quota") if JOBS in request.path else None

        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        world.api.answer = refuse
        assert await world.look("a") == PAUSE_SECONDS
        world.api.answer = lambda _: None
        world.now += PAUSE_SECONDS
        assert await world.look("a") is None
        assert len(world.jobs) == 2

    async def test_volumes_are_swept_once_a_day_and_not_after_a_restart(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.now = FIRST_SWEEP - 1
        await world.look("a")
        assert world.jobs == []
        for day in range(2):
            world.now = FIRST_SWEEP + day * SWEEP_SECONDS
            await world.look("a")
            await world.look("a")
            assert len(world.jobs) == day + 1

    async def test_what_is_kept_is_not_swept(self, world: World) -> None:
        world.model("a", "one", SHARED)
        await world.look("a")
        world.now = FIRST_SWEEP + SWEEP_SECONDS
        await world.look("a")
        assert world.jobs == []


class TestNodes:
    @pytest.mark.parametrize(
        ("pods", "node"),
        [
            ([], None),
            ([("n1", "Running", True)], "n1"),
            ([("n1", "Pending", False), ("n2", "Running", True), ("n3", "Running", True)], "n2"),
            ([("n1", "Succeeded", False), ("n2", "Pending", False)], "n2"),
            ([("n1", "Failed", False), ("", "Pending", False)], None),
        ],
    )
    async def test_a_claim_is_collected_where_a_pod_has_it(self, world: World, pods: Any, node: str | None) -> None:
        """Of a ReadWriteOnce claim no other node can mount it."""
        world.model("a", "one", DELETE)
        await world.look("a")
        for number, (name, phase, ready) in enumerate(pods):
            conditions = [{"type": "Ready", "status": str(ready)}]
            world.pod(f"a-{number}", "a", "two", node=name, phase=phase, conditions=conditions)
        world.model("a", "two", DELETE)
        await world.look("a")
        affinity = world.jobs[-1]["spec"]["template"]["spec"].get("affinity", {}).get("nodeAffinity", {})
        terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
        assert [term["matchFields"][0]["values"] for term in terms] == ([[node]] if node else [])

    async def test_a_pod_with_another_claim_does_not_count(self, world: World) -> None:
        world.model("a", "one", DELETE | {"claimName": "other"})
        await world.look("a")
        world.pod("a-1", "a", "two")
        world.model("a", "two", DELETE | {"claimName": "other"})
        await world.look("a")
        assert "affinity" not in world.jobs[-1]["spec"]["template"]["spec"]

    async def test_each_node_is_collected_where_it_is(self, world: World) -> None:
        """And each namespace for itself: it has a folder of its own there."""
        cache = NODE_FOLDER | {"whenUnused": "Delete"}
        world.model("a", "one", cache)
        world.pod("a-1", "a", "one", node="n1")
        world.pod("a-2", "a", "one", node="n2")
        kept = world.model("b", "two", cache)
        world.model("c", "one", NODE_FOLDER | {"whenUnused": "Keep"}, namespace="other")
        world.pod("c-1", "c", "one", namespace="other", node="n1")
        await world.look("a")
        world.gone(KIND, "a")
        world.gone("Pod", "a-1")
        world.gone("Pod", "a-2")
        await world.look("a")
        assert world.live() == {kept}
        assert {job["metadata"]["namespace"] for job in world.jobs} == {"team"}
        pods = [job["spec"]["template"]["spec"] for job in world.jobs]
        assert len(pods) == len({job["metadata"]["name"] for job in world.jobs}) == 2
        assert [sum(f'"{node}"' in json.dumps(pod) for pod in pods) for node in ("n1", "n2", "n3")] == [1, 1, 0]
        assert {pod["volumes"][0]["hostPath"]["path"] for pod in pods} == {NODE_PATH}
        assert {pod["containers"][0]["volumeMounts"][0]["subPath"] for pod in pods} == {"team"}

    async def test_a_folder_that_is_not_allowed_is_left_alone(self, world: World) -> None:
        world.model("a", "one", {"nodePath": "/etc", "whenUnused": "Delete"})
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.gone(KIND, "a")
        world.gone("Pod", "a-1")
        await world.look("a")
        assert world.jobs == []
