"""When unused files are removed from shared volumes, and with which list of what is in use."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator import constants
from llama_operator.api.staging import MARGIN_SECONDS
from llama_operator.constants import KIND
from llama_operator.reconcile.collector import (
    AGAIN_SECONDS,
    LAST_PAUSE,
    PAUSE_SECONDS,
)
from tests.unit.reconcile.collector_world import DELETE, SHARED, World, asked, failed, link

Object = dict[str, Any]


@pytest.fixture
def world() -> World:
    return World()


class TestRelease:
    async def test_what_a_model_gives_up_goes(self, world: World) -> None:
        world.model("a", "one", DELETE)
        kept = world.model("b", "two", DELETE)
        await world.look("a")
        now = world.model("a", "three", DELETE)
        await world.look("a")
        assert world.live() == {kept, now}
        (job,) = world.jobs
        assert job["metadata"]["name"].startswith("llama-cache-")
        assert "ownerReferences" not in job["metadata"]
        assert constants.MODEL_LABEL not in job["metadata"]["labels"]

    async def test_a_deleted_models_file_goes_when_its_last_pod_has_ended(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []
        world.gone("Pod", "a-1")
        await world.look("a")
        assert world.live() == set()
        await world.look("a")
        assert len(world.jobs) == 1

    async def test_what_was_only_just_staged_goes_a_little_later(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.gone(KIND, "a")
        assert await world.look("a") == AGAIN_SECONDS
        world.model("b", "two", DELETE)
        assert await world.look("b") is None, "nobody else needs to be looked at again"
        world.now += AGAIN_SECONDS
        assert await world.look("a") is None
        assert len(world.jobs) == 2
        assert asked(world.jobs[1]).as_of - asked(world.jobs[0]).as_of > MARGIN_SECONDS

    async def test_what_others_use_stays(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "one", DELETE)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_what_an_old_template_serves_stays(self, world: World) -> None:
        """Held back until the new source is staged."""
        world.model("a", "one", DELETE)
        await world.look("a")
        template = {"metadata": {"annotations": {constants.FILES: link("one")}}}
        labels = {"labels": {constants.MODEL_LABEL: "a"}}
        world.put("Deployment", "a", {"kind": "Deployment", "metadata": labels, "spec": {"template": template}})
        world.model("a", "two", DELETE)
        await world.look("a")
        assert world.jobs == []

    async def test_keep_keeps(self, world: World) -> None:
        world.model("a", "one", SHARED)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_one_who_keeps_keeps_for_all(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "two", SHARED)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_another_namespaces_claim_is_another(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "two", SHARED, namespace="other")
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.live() == set()

    async def test_a_model_that_leaves_the_cache_gives_up_its_file(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.model("a", "two", None)
        await world.look("a")
        assert world.jobs == []
        world.gone("Pod", "a-1")
        await world.look("a")
        assert len(world.jobs) == 1

    async def test_models_without_a_cache_cost_nothing(self, world: World) -> None:
        world.model("a", "one", None)
        assert await world.look("a") is None
        world.gone(KIND, "a")
        assert await world.look("a") is None
        assert world.jobs == []


class TestPressure:
    @pytest.mark.parametrize("cache", [SHARED, DELETE])
    @pytest.mark.parametrize("reason", ["DiskFull", "QuotaExceeded"])
    async def test_makes_room(self, world: World, cache: Object, reason: str) -> None:
        name = world.model("a", "one", cache)
        world.pod("a-1", "a", "one", **failed(reason, "2026-11-24T03:00:00Z", need=4096))
        await world.look("a")
        told = asked(world.jobs[0])
        assert (told.when_unused, told.need, told.live) == ("Keep", 4096, (name,))

    async def test_makes_room_on_a_claim_of_the_models_own(self, world: World) -> None:
        """Where the files of its older sources are."""
        spec = {"source": {"url": {"url": "https://example.com/one.gguf"}}, "storage": {"claim": {"size": "1Gi"}}}
        world.put(KIND, "a", {"spec": spec})
        world.pod("a-1", "a", "one", node="n7", **failed("DiskFull", "2026-11-24T03:00:00Z", need=1))
        await world.look("a")
        pod = world.jobs[0]["spec"]["template"]["spec"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "a-model"
        assert world.live() == {link("one")}

    @pytest.mark.parametrize(("cache", "reason"), [(SHARED, "NotFound"), (None, "DiskFull")])
    async def test_other_troubles_are_none(self, world: World, cache: Object | None, reason: str) -> None:
        world.model("a", "one", cache)
        world.pod("a-1", "a", "one", **failed(reason, "2026-11-24T03:00:00Z"))
        await world.look("a")
        assert world.jobs == []

    @pytest.mark.parametrize("cache", [SHARED, DELETE])
    async def test_is_met_soon_once_somebody_has_made_room(self, world: World, cache: Object) -> None:
        """As the message asks for; the pauses of the attempts in vain count no more."""
        world.model("old", "big", cache)
        world.model("new", "one", cache)
        await world.look("old")
        for hour in range(4):
            for minute in range(0, 60, 5):
                world.pod("new-1", "new", "one", **failed("QuotaExceeded", f"2026-11-24T0{hour}:{minute:02}:00Z"))
                await world.look("new")
                world.now += 300
        before = len(world.jobs)
        world.gone(KIND, "old")
        await world.look("old")
        world.now += PAUSE_SECONDS
        world.pod("new-1", "new", "one", **failed("QuotaExceeded", "2026-11-24T09:00:00Z"))
        await world.look("new")
        assert len(world.jobs) == before + 1

    async def test_is_met_once_for_each_failure_and_less_and_less(self, world: World) -> None:
        world.model("a", "one", SHARED)
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T03:00:00Z"))
        assert await world.look("a") is None
        world.now += LAST_PAUSE
        assert await world.look("a") is None
        assert len(world.jobs) == 1
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T04:00:00Z"))
        assert await world.look("a") is None
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T04:00:10Z"))
        assert await world.look("a") == 2 * PAUSE_SECONDS
        assert len(world.jobs) == 2
        world.now += 2 * PAUSE_SECONDS
        await world.look("a")
        assert len(world.jobs) == 3
