"""What one reconcile does when the model goes, or becomes another one, before or while it is reconciled."""

from __future__ import annotations

import pytest

from llama_operator.constants import KIND
from llama_operator.kube import errors
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.reconciler import PATIENCE
from tests.unit.kube.fake_api import status
from tests.unit.reconcile.world import DEPLOYMENT, KEY, MODEL, SERVICE, Object, World


class TestModelGone:
    async def test_a_deleted_model_is_left_to_the_garbage_collector(self, world: World) -> None:
        await world.reconcile()
        world.lose(MODEL, tell=True)
        assert await world.reconcile() is None
        assert world.api.requests == []

    async def test_a_model_that_is_being_deleted_gets_nothing(self, world: World) -> None:
        world.edit(
            MODEL, metadata={**world.api.objects[MODEL]["metadata"], "deletionTimestamp": "2026-11-24T00:00:00Z"}
        )
        await world.reconcile()
        assert world.api.requests == []

    async def test_a_model_whose_deletion_went_unseen_gets_no_children(self, world: World) -> None:
        world.lose(MODEL, tell=False)
        with pytest.raises(errors.Conflict, match="it is gone"):
            await world.reconcile()
        assert world.api.requests == [("GET", MODEL)]
        assert world.cache.snapshot(KEY).model is None

    async def test_a_model_that_was_replaced_unseen_gets_children_of_the_new_one_only(self, world: World) -> None:
        meta = {**world.api.objects[MODEL]["metadata"], "uid": "model-2"}
        world.api.put(MODEL, {**world.api.objects[MODEL], "metadata": meta})  # the watch has not told, and will not
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        assert world.writes() == []
        await world.reconcile()
        assert world.api.objects[SERVICE]["metadata"]["ownerReferences"][0]["uid"] == "model-2"

    async def test_a_model_deleted_while_its_status_is_written_is_forgotten(self, world: World) -> None:
        await world.reconcile()
        world.edit(DEPLOYMENT, status={"replicas": 1})
        world.lose(MODEL, tell=False)
        assert await world.reconcile() is None
        assert world.cache.snapshot(KEY).model is None


class TestSpecIsChangedMeanwhile:
    """Nothing was done for the newer spec yet, so nothing may be told of it: who waits for it would be misled."""

    def edited(self, world: World) -> Object:
        """Written, and not told by the watch yet."""
        before = world.api.objects[MODEL]
        changed: Object = {
            **before,
            "metadata": {**before["metadata"], "generation": 2},
            "spec": {**before["spec"], "engine": {"contextSize": 8192}},
        }
        return world.api.put(MODEL, changed)

    async def test_before_a_child_is_created(self, world: World) -> None:
        """What the look-up before it learns is no news when the watch tells it: nobody would come again."""
        newer = self.edited(world)
        with pytest.raises(errors.Conflict, match="its spec is another one now"):
            await world.reconcile()
        assert world.writes() == []
        assert world.cache.observe(KIND, newer) == set()
        await world.reconcile()
        assert world.api.objects[MODEL]["status"]["observedGeneration"] == 2
        assert "8192" in str(world.api.objects[DEPLOYMENT])

    async def test_while_children_are_applied(self, world: World) -> None:
        def answer(request: Request) -> None:
            if (request.method, request.path) == ("PATCH", SERVICE):
                world.cache.observe(KIND, self.edited(world))

        world.api.answer = answer
        with pytest.raises(errors.Conflict):
            await world.reconcile()
        assert world.api.objects[MODEL]["status"] == {}
        world.api.answer = lambda _: None
        await world.reconcile()
        assert world.api.objects[MODEL]["status"]["observedGeneration"] == 2

    async def test_while_the_api_server_is_away(self, world: World) -> None:
        def answer(request: Request) -> Answer | None:
            if request.method != "PATCH":
                return None
            world.cache.observe(KIND, self.edited(world))
            return status(503, "ServiceUnavailable", "away")

        world.api.answer = answer
        with pytest.raises(errors.Conflict):
            await world.reconcile(failures=PATIENCE)
        assert world.api.objects[MODEL]["status"] == {}
