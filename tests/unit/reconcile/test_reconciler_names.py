"""What one reconcile does about names: taken by others, left over, or ours and unseen."""

from __future__ import annotations

import copy

import pytest

from llama_operator.kube import errors
from llama_operator.reconcile import executor as executor_module
from tests.unit.reconcile.world import (
    DEPLOYMENT,
    INGRESS,
    KEY,
    LABELS,
    MODEL,
    SERVICE,
    Object,
    World,
    foreign,
    owner,
)


class TestNames:
    """An object of a child's name that is not the child."""

    async def test_is_never_taken_over(self, world: World) -> None:
        theirs = copy.deepcopy(world.api.put(SERVICE, foreign("Service", SERVICE)))
        assert await world.reconcile() == executor_module.RECHECK_SECONDS
        assert world.api.objects[SERVICE] == theirs
        assert DEPLOYMENT in world.api.objects  # the others are not held back
        assert world.ready()["reason"] == "NameConflict"
        assert "Service qwen exists already" in world.ready()["message"]
        assert [event["reason"] for event in world.events()] == ["NameConflict"]

    async def test_is_not_taken_over_either_if_it_wears_our_labels(self, world: World) -> None:
        theirs = world.api.put(SERVICE, foreign("Service", SERVICE, labels=LABELS))
        world.cache.observe("Service", theirs)
        await world.reconcile()
        assert world.api.objects[SERVICE] == theirs
        assert world.ready()["reason"] == "NameConflict"

    async def test_may_belong_to_another_model(self, world: World) -> None:
        world.api.put(SERVICE, foreign("Service", SERVICE, [owner("other", name="q")]))
        await world.reconcile()
        assert world.ready()["reason"] == "NameConflict"

    async def test_is_looked_up_again_only_after_a_while(self, world: World) -> None:
        world.api.put(SERVICE, foreign("Service", SERVICE))
        await world.reconcile()
        world.now += executor_module.RECHECK_SECONDS - 1
        assert await world.reconcile() == pytest.approx(1)
        assert ("GET", SERVICE) not in world.api.requests
        del world.api.objects[SERVICE]
        world.now += 1
        assert await world.reconcile() is None
        assert SERVICE in world.api.objects
        assert world.stalled() is None

    @pytest.mark.parametrize(
        "leftover",
        [
            foreign("Service", SERVICE, [owner("the-model-before")]),
            foreign("Service", SERVICE, [owner("model-1")], deletionTimestamp="2026-11-24T00:00:00Z"),
        ],
        ids=["of a deleted model of this name", "being deleted"],
    )
    async def test_is_waited_for_if_it_is_on_its_way_out(self, world: World, leftover: Object) -> None:
        world.api.put(SERVICE, leftover)
        assert await world.reconcile() == executor_module.LEFTOVER_SECONDS
        assert world.api.objects[SERVICE]["spec"] == {"mine": 1}
        assert world.stalled() is None
        del world.api.objects[SERVICE]
        assert await world.reconcile() is None
        assert "mine" not in world.api.objects[SERVICE]["spec"]

    async def test_that_is_free_again_when_asked_is_tried_again(self, world: World) -> None:
        """Also any other conflict at a creation, such as a quota that changes just now."""
        world.refuse(SERVICE, 409, "Conflict", "the object has been modified")
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        assert ("GET", SERVICE) in world.api.requests

    async def test_is_ours_after_all_if_only_its_labels_were_taken(self, world: World) -> None:
        await world.reconcile()
        bare = {name: value for name, value in world.api.objects[SERVICE]["metadata"].items() if name != "labels"}
        world.edit(SERVICE, metadata=bare)
        assert await world.reconcile() is None
        assert world.api.objects[SERVICE]["metadata"]["labels"].items() >= LABELS.items()

    async def test_is_ours_after_all_with_what_a_scaler_has_set(self, world: World) -> None:
        """The same without its labels, which made it invisible to us: it is no new Deployment."""
        await world.reconcile()
        deployment = world.api.objects[DEPLOYMENT]
        scale = {"manager": "keda", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        meta = {name: value for name, value in deployment["metadata"].items() if name != "labels"}
        world.edit(DEPLOYMENT, metadata={**meta, "managedFields": [scale]}, spec={**deployment["spec"], "replicas": 9})
        await world.reconcile()
        assert "replicas" not in world.api.objects[DEPLOYMENT]["spec"]  # not asked for


class TestUnwatchedIngress:
    """An Ingress that is not wanted any more, and has lost the labels by which it is watched."""

    async def unwatched(self, world: World) -> Object:
        """One of this model; neither the cache nor the spec knows it."""
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        ingress = world.api.objects[INGRESS]
        world.cache.absent("Ingress", *KEY)
        return world.api.put(INGRESS, {**ingress, "metadata": {**ingress["metadata"], "labels": {}}})

    async def test_is_deleted(self, world: World) -> None:
        await self.unwatched(world)
        world.model(generation=3)
        assert await world.reconcile() is None
        assert INGRESS not in world.api.objects
        assert world.api.requests.count(("GET", INGRESS)) == 1

    async def test_is_looked_for_once(self, world: World) -> None:
        """What remembers it is the address in the status."""
        await self.unwatched(world)
        world.model(generation=3)
        assert "ingressURL" in world.api.objects[MODEL]["status"]
        await world.reconcile()
        assert "ingressURL" not in world.api.objects[MODEL]["status"]
        await world.reconcile()
        assert world.api.requests == []

    async def test_stays_if_it_is_wanted(self, world: World) -> None:
        await self.unwatched(world)
        world.model(generation=3, ingress={"host": "r.example.com"})
        await world.reconcile()
        assert ("DELETE", INGRESS) not in world.api.requests
        assert world.api.objects[INGRESS]["spec"]["rules"][0]["host"] == "r.example.com"

    async def test_is_not_looked_for_where_there_never_was_one(self, world: World) -> None:
        await world.reconcile()
        world.model(generation=2, replicas=2)
        await world.reconcile()
        assert ("GET", INGRESS) not in world.api.requests

    async def test_is_not_looked_for_while_it_is_wanted_or_watched(self, world: World) -> None:
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        world.model(generation=3, ingress={"host": "r.example.com"})
        await world.reconcile()
        assert ("GET", INGRESS) not in world.api.requests
        world.model(generation=4)
        await world.reconcile()
        assert ("GET", INGRESS) not in world.api.requests
        assert INGRESS not in world.api.objects

    @pytest.mark.parametrize("owners", [None, [owner("other")]], ids=["of nobody", "of another"])
    async def test_stays_if_it_is_a_strangers(self, world: World, owners: list[Object] | None) -> None:
        await self.unwatched(world)
        theirs = copy.deepcopy(world.api.put(INGRESS, foreign("Ingress", INGRESS, owners)))
        world.model(generation=3)
        await world.reconcile()
        assert world.api.objects[INGRESS] == theirs
        assert world.writes() == [("PATCH", f"{MODEL}/status")]

    async def test_that_is_being_deleted_is_left_alone(self, world: World) -> None:
        ingress = await self.unwatched(world)
        meta = {**ingress["metadata"], "deletionTimestamp": "2026-11-24T00:00:00Z"}
        world.api.put(INGRESS, {**ingress, "metadata": meta})
        world.model(generation=3)
        await world.reconcile()
        assert ("DELETE", INGRESS) not in world.api.requests
