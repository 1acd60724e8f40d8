"""What one reconcile does when a request is refused, or the API server away."""

from __future__ import annotations

import pytest

from llama_operator.kube import errors
from llama_operator.reconcile import damper
from llama_operator.reconcile.executor import RECHECK_SECONDS
from llama_operator.reconcile.reconciler import PATIENCE
from tests.unit.reconcile.world import (
    DEPLOYMENT,
    INGRESS,
    KEY,
    MODEL,
    REFUSAL_SECONDS,
    SERVICE,
    World,
    foreign,
)


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "reason", "told"),
        [(422, "Invalid", "Invalid"), (403, "Forbidden", "Forbidden"), (400, "BadRequest", "APIError")],
    )
    async def test_are_told_in_the_words_of_the_api_server(
        self, world: World, code: int, reason: str, told: str
    ) -> None:
        world.refuse(DEPLOYMENT, code, reason, 'Deployment.apps "qwen" is invalid: spec.template: no')
        assert await world.reconcile() == (RECHECK_SECONDS if code == 403 else REFUSAL_SECONDS)
        stalled = world.stalled()
        assert stalled is not None
        assert (stalled["reason"], world.ready()["reason"]) == (told, told)
        assert "spec.template: no" in stalled["message"]
        assert SERVICE in world.api.objects  # the other children are not held back
        (event,) = (event for event in world.events() if event["type"] == "Warning")
        assert (event["reason"], event["regarding"]["uid"]) == (told, "model-1")

    async def test_are_not_provoked_again_by_every_event(self, world: World) -> None:
        world.refuse(DEPLOYMENT, 422, "Invalid", "no")
        await world.reconcile()
        world.now += 10
        assert await world.reconcile() == pytest.approx(REFUSAL_SECONDS - 10)
        assert world.api.requests == [("GET", MODEL)]

    @pytest.mark.parametrize("child", [DEPLOYMENT, SERVICE], ids=["there", "somewhere else"])
    async def test_end_when_the_spec_changes(self, world: World, child: str) -> None:
        """Also somewhere else: who has made room writes something, and waits."""
        world.refuse(child, 422, "Invalid", "no")
        await world.reconcile()
        world.api.answer = lambda _: None
        world.model(generation=2, replicas=2)
        assert await world.reconcile() is None
        assert child in world.api.objects
        assert world.stalled() is None

    async def test_end_after_a_while(self, world: World) -> None:
        world.refuse(DEPLOYMENT, 422, "Invalid", "no")
        await world.reconcile()
        world.api.answer = lambda _: None
        world.now += REFUSAL_SECONDS
        assert await world.reconcile() is None
        assert world.stalled() is None

    async def test_of_rights_and_quotas_end_after_a_minute(self, world: World) -> None:
        world.refuse(DEPLOYMENT, 403, "Forbidden", "exceeded quota: few")
        assert await world.reconcile() == RECHECK_SECONDS
        stalled = world.stalled()
        assert stalled is not None
        assert "exceeded quota: few; raise the ResourceQuota" in stalled["message"]
        assert stalled["message"].endswith("(it is tried again every minute)")
        world.api.answer = lambda _: None
        world.now += RECHECK_SECONDS
        assert await world.reconcile() is None
        assert world.stalled() is None

    async def test_hold_back_the_pruning(self, world: World) -> None:
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        world.refuse(DEPLOYMENT, 422, "Invalid", "no")
        world.model(generation=3, replicas=2)
        await world.reconcile()
        assert INGRESS in world.api.objects

    async def test_of_a_deletion_are_told_too(self, world: World) -> None:
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        world.refuse(INGRESS, 403, "Forbidden", "ingresses is forbidden", method="DELETE")
        world.model(generation=3)
        assert await world.reconcile() == RECHECK_SECONDS
        assert world.ready()["reason"] == "Forbidden"
        assert await world.reconcile() == RECHECK_SECONDS
        assert world.api.requests == []


class TestQuarrels:
    """Somebody undoes what we write, each time and at once."""

    async def repairs(self, world: World, rounds: int) -> list[float | None]:
        again = []
        for _ in range(rounds):
            world.edit(SERVICE, spec={**world.api.objects[SERVICE]["spec"], "type": "NodePort"})
            again.append(await world.reconcile())
        return again

    async def test_are_given_up_slowly(self, world: World) -> None:
        await world.reconcile()
        assert await self.repairs(world, damper.FREE - 1) == [None] * (damper.FREE - 1)
        assert await self.repairs(world, 2) == [damper.FIRST_DELAY] * 2
        assert world.writes() == []
        world.now += damper.FIRST_DELAY
        assert await world.reconcile() is None
        assert world.writes() == [("PATCH", SERVICE)]
        assert await self.repairs(world, 1) == [2 * damper.FIRST_DELAY]

    async def test_are_told_and_ready_is_not_claimed_meanwhile(self, world: World) -> None:
        """Every write succeeds; what is there is not what the spec says all the same. One status for all of it."""
        await world.reconcile()
        for _ in range(damper.CONTESTED - 1):
            assert world.stalled() is None
            (again,) = await self.repairs(world, 1)
            world.now += again or 0.0
            await world.reconcile()
        stalled = world.stalled()
        assert stalled is not None
        assert (stalled["reason"], world.ready()["reason"]) == ("Contested", "Contested")
        assert "Service qwen" in stalled["message"]
        await self.repairs(world, 1)
        assert world.stalled() == stalled
        world.now += damper.LAST_DELAY
        assert await world.reconcile() == damper.CALM_SECONDS
        assert world.writes() == [("PATCH", SERVICE)]  # and no status
        world.now += damper.CALM_SECONDS
        assert await world.reconcile() is None
        assert world.stalled() is None

    async def test_do_not_delay_a_new_spec(self, world: World) -> None:
        await world.reconcile()
        await self.repairs(world, damper.FREE)
        world.model(generation=2, service={"port": 9000})
        assert await world.reconcile() is None
        assert world.api.objects[SERVICE]["spec"]["ports"][0]["port"] == 9000

    async def test_are_forgotten_after_a_while(self, world: World) -> None:
        await world.reconcile()
        await self.repairs(world, damper.FREE)
        world.now += damper.CALM_SECONDS + 1
        assert await self.repairs(world, 1) == [None]


class TestPassingTroubles:
    async def test_are_left_to_the_queue(self, world: World) -> None:
        world.refuse(DEPLOYMENT, 503, "ServiceUnavailable", "no", headers={"retry-after": "7"})
        with pytest.raises(errors.Retryable) as raised:
            await world.reconcile()
        assert raised.value.retry_after == 7
        assert "status" not in world.api.objects[MODEL] or not world.api.objects[MODEL]["status"]

    async def test_are_told_when_they_last(self, world: World) -> None:
        world.refuse(DEPLOYMENT, 500, "InternalError", "failed calling webhook")
        with pytest.raises(errors.Retryable):
            await world.reconcile(failures=PATIENCE)
        assert world.ready()["reason"] == "APIError"
        assert "failed calling webhook" in world.ready()["message"]
        world.api.answer = lambda _: None
        await world.reconcile(failures=PATIENCE + 1)
        assert world.stalled() is None

    async def test_a_child_replaced_by_a_stranger_is_a_conflict_and_then_seen_as_such(self, world: World) -> None:
        await world.reconcile()
        theirs = world.api.put(SERVICE, foreign("Service", SERVICE))  # the watch has not told
        world.model(generation=2, service={"port": 9000})
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        assert world.api.objects[SERVICE] == theirs
        await world.reconcile()
        assert world.api.objects[SERVICE] == theirs
        assert world.ready()["reason"] == "NameConflict"

    async def test_a_child_that_vanished_unseen_is_a_conflict_and_then_made_again(self, world: World) -> None:
        await world.reconcile()
        world.lose(SERVICE, tell=False)
        world.model(generation=2, service={"port": 9000})
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        await world.reconcile()
        assert SERVICE in world.api.objects

    async def test_a_status_computed_from_an_older_model_is_not_written(self, world: World) -> None:
        await world.reconcile()
        world.edit(DEPLOYMENT, status={"replicas": 1})
        meta = {**world.api.objects[MODEL]["metadata"], "generation": 9}
        world.api.put(MODEL, {**world.api.objects[MODEL], "metadata": meta})  # the watch has not told
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        assert world.api.objects[MODEL]["status"]["observedGeneration"] == 1
        await world.reconcile()
        assert world.api.objects[MODEL]["status"]["observedGeneration"] == 9

    async def test_an_ingress_that_is_gone_already_is_no_error(self, world: World) -> None:
        world.model(generation=2, ingress={"host": "q.example.com"})
        await world.reconcile()
        world.lose(INGRESS, tell=False)
        world.model(generation=3)
        assert await world.reconcile() is None
        assert "Ingress" not in [child["kind"] for child in world.cache.snapshot(KEY).children]
