"""What one reconcile does when all goes well."""

from __future__ import annotations

from tests.unit.reconcile.world import (
    BUDGET,
    CLAIM,
    DEPLOYMENT,
    EVENTS,
    INGRESS,
    MODEL,
    POLICY,
    SECRETS,
    SERVICE,
    World,
)


async def test_a_new_model_gets_its_children_and_a_status(world: World) -> None:
    assert await world.reconcile() is None
    children = [("PATCH", path) for path in (DEPLOYMENT, SERVICE, POLICY, BUDGET)]
    assert world.writes() == [("POST", SECRETS), *children, ("PATCH", f"{MODEL}/status")]
    assert world.api.objects[MODEL]["status"]["observedGeneration"] == 1
    assert world.ready()["status"] == "False"


async def test_the_second_time_nothing_is_called_at_all(world: World) -> None:
    await world.reconcile()
    await world.reconcile()
    assert world.api.requests == []


async def test_a_restarted_operator_writes_nothing(world: World) -> None:
    await world.reconcile()
    restarted = world.restarted()
    await restarted.reconcile()
    assert restarted.api.requests == []


async def test_a_deleted_child_comes_back(world: World) -> None:
    await world.reconcile()
    world.lose(SERVICE, tell=True)
    await world.reconcile()
    assert world.api.requests[:2] == [("GET", MODEL), ("PATCH", SERVICE)]
    assert SERVICE in world.api.objects


async def test_a_new_model_costs_one_look_up_and_one_write_each_for_children_and_status(world: World) -> None:
    world.model(storage={"claim": {"size": "1Gi"}}, ingress={"host": "q.example.com"})
    await world.reconcile()
    children = [("PATCH", path) for path in (CLAIM, DEPLOYMENT, SERVICE, INGRESS, POLICY, BUDGET)]
    children.insert(1, ("POST", SECRETS))
    calls = [call for call in world.api.requests if call[1] != EVENTS]
    assert calls == [("GET", MODEL), *children, ("PATCH", f"{MODEL}/status")]


async def test_a_hand_edit_is_undone_without_any_look_up(world: World) -> None:
    await world.reconcile()
    spec = {**world.api.objects[SERVICE]["spec"], "type": "NodePort"}
    uid = world.edit(SERVICE, spec=spec)["metadata"]["uid"]
    await world.reconcile()
    assert world.api.requests == [("PATCH", SERVICE)]
    assert world.api.bodies[0]["metadata"]["uid"] == uid  # meant for this very object
    assert world.api.objects[SERVICE]["spec"]["type"] == "ClusterIP"


async def test_a_changed_spec_is_applied_and_what_it_no_longer_wants_is_pruned(world: World) -> None:
    world.model(generation=2, ingress={"host": "q.example.com"})
    await world.reconcile()
    assert INGRESS in world.api.objects
    world.model(generation=3, replicas=2)
    await world.reconcile()
    assert world.writes() == [("PATCH", DEPLOYMENT), ("DELETE", INGRESS), ("PATCH", f"{MODEL}/status")]
    assert INGRESS not in world.api.objects


class TestStatus:
    async def test_a_spec_that_cannot_be_built_is_told_and_children_stay(self, world: World) -> None:
        await world.reconcile()
        world.model(generation=2, accelerator={"type": "cuda"})
        assert await world.reconcile() is None
        assert world.ready()["reason"] == "Invalid"
        assert "spec.image" in world.ready()["message"]
        assert DEPLOYMENT in world.api.objects

    async def test_while_a_spec_cannot_be_built_children_are_put_back(self, world: World) -> None:
        await world.reconcile()
        world.model(generation=2, accelerator={"type": "cuda"}, replicas=2)
        world.lose(SERVICE, tell=True)
        await world.reconcile()
        assert SERVICE in world.api.objects
        assert world.api.objects[DEPLOYMENT]["spec"]["replicas"] == 2
        assert (world.ready()["reason"], world.ready()["observedGeneration"]) == ("Invalid", 2)
        await world.reconcile()
        assert world.api.requests == []

    async def test_a_first_spec_that_cannot_be_built_makes_nothing(self, world: World) -> None:
        world.model(generation=2, accelerator={"type": "cuda"})
        assert await world.reconcile() is None
        assert world.writes() == [("PATCH", f"{MODEL}/status")]

    async def test_removed_keys_vanish_whoever_wrote_them(self, world: World) -> None:
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        assert "ingressURL" in world.api.objects[MODEL]["status"]
        world.edit(MODEL, status={**world.api.objects[MODEL]["status"], "stranger": {"a": 1}})
        world.model(generation=3)
        await world.reconcile()
        assert "ingressURL" not in world.api.objects[MODEL]["status"]
        assert "stranger" not in world.api.objects[MODEL]["status"]
        await world.reconcile()
        assert world.api.requests == []

    async def test_at_most_one_status_write_per_change(self, world: World) -> None:
        await world.reconcile()
        world.edit(DEPLOYMENT, status={"replicas": 1, "readyReplicas": 1, "availableReplicas": 1})
        await world.reconcile()
        assert world.writes().count(("PATCH", f"{MODEL}/status")) == 1

    async def test_an_event_that_cannot_be_posted_stops_nothing(self, world: World) -> None:
        world.refuse(EVENTS, 403, "Forbidden", "no", method="POST")
        world.model(generation=2, accelerator={"type": "cuda"})
        assert await world.reconcile() is None
        assert world.ready()["reason"] == "Invalid"
        assert world.client.calls["create", "Event", 403] == 1
