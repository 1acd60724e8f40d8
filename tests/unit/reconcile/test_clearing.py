"""What others have set, and what stands against ours: an apply that is refused beside it, and accepted without it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from llama_operator.constants import APPLIED_HASH
from llama_operator.kube import errors
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile import clearing
from llama_operator.reconcile.executor import RECHECK_SECONDS
from tests.unit.kube.fake_api import FakeAPI, Object, status
from tests.unit.reconcile.world import DEPLOYMENT, KEY, REFUSAL_SECONDS, SERVICE, World

APPLY, MERGE, JSON_PATCH = "apply-patch+yaml", "merge-patch+json", "json-patch+json"


def how(request: Request) -> str:
    return request.headers.get("content-type", "").removeprefix("application/")


class Quarrel:
    """Answers as an API server to which no apply of the Deployment is valid beside `spec.theirs`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.writes: list[str] = []
        self.first: Callable[[int, str], Answer | None] = lambda number, way: None
        """May answer the n-th write of the Deployment (from 1) before anybody else."""
        world.api.answer = self._answer

    def _answer(self, request: Request) -> Answer | None:
        if request.path != DEPLOYMENT or request.method == "GET":
            return None
        self.writes.append(how(request))
        answer = self.first(len(self.writes), how(request))
        if answer is None and how(request) == APPLY and "theirs" in self.world.api.objects[DEPLOYMENT]["spec"]:
            return status(422, "Invalid", "spec.theirs: may not be specified beside ours")
        return answer

    def edit(self, *, tell: bool = True) -> Object:
        """Somebody adds what stands against ours, and changes a field of ours."""
        live = self.world.api.objects[DEPLOYMENT]
        spec = {**live["spec"], "theirs": 1, "strategy": {"type": "Theirs"}}
        labels = {**live["metadata"]["labels"], "theirs": "kept"}
        edited = {**live, "metadata": {**live["metadata"], "labels": labels}, "spec": spec}
        edited = self.world.api.put(DEPLOYMENT, copy.deepcopy(edited))
        if tell:
            self.world.cache.observe("Deployment", edited)
        return edited


@pytest.fixture
async def quarrel(world: World) -> Quarrel:
    await world.reconcile()
    return Quarrel(world)


async def test_theirs_goes_and_ours_is_applied(world: World, quarrel: Quarrel) -> None:
    ours = copy.deepcopy(world.api.objects[DEPLOYMENT])
    quarrel.edit()
    assert await world.reconcile() is None
    assert quarrel.writes == [APPLY, MERGE, JSON_PATCH, APPLY]
    live = world.api.objects[DEPLOYMENT]
    assert live["spec"] == ours["spec"]
    assert live["metadata"]["annotations"] == ours["metadata"]["annotations"]
    assert live["metadata"]["managedFields"] == []
    assert world.stalled() is None
    world.cache.observe("Deployment", live)
    await world.reconcile()
    assert world.writes() == []


async def test_the_patch_says_what_is_to_vanish_and_leaves_metadata_alone(world: World, quarrel: Quarrel) -> None:
    ours = copy.deepcopy(world.api.objects[DEPLOYMENT])
    seen = quarrel.edit()
    await world.reconcile()
    _apply, patch, *_ = world.api.bodies
    assert patch["metadata"] == {
        "annotations": {APPLIED_HASH: None},
        "resourceVersion": seen["metadata"]["resourceVersion"],
    }
    assert patch["spec"]["theirs"] is None
    assert patch["spec"]["strategy"] == ours["spec"]["strategy"]


async def test_a_scalers_replicas_stay(world: World, quarrel: Quarrel) -> None:
    """The child does not say how many: the scaler does."""
    seen = quarrel.edit()
    seen["spec"]["replicas"] = 9
    child = copy.deepcopy(seen)
    child["spec"] = {name: value for name, value in child["spec"].items() if name not in ("replicas", "theirs")}
    assert await clearing.clear(world.client, child, seen)
    assert world.api.objects[DEPLOYMENT]["spec"]["replicas"] == 9
    assert "theirs" not in world.api.objects[DEPLOYMENT]["spec"]


async def test_what_is_invalid_by_itself_is_refused_once_and_nothing_is_lost(world: World, quarrel: Quarrel) -> None:
    seen = copy.deepcopy(quarrel.edit())
    quarrel.first = lambda number, way: status(422, "Invalid", f"{way}: spec.template: no")
    assert await world.reconcile() == REFUSAL_SECONDS
    assert quarrel.writes == [APPLY, MERGE]
    assert world.api.objects[DEPLOYMENT] == seen
    stalled = world.stalled()
    assert stalled is not None
    assert stalled["reason"] == "Invalid"
    assert stalled["message"].endswith(f"{APPLY}: spec.template: no")  # about our request, not about the patch
    await world.reconcile()
    assert quarrel.writes == [APPLY, MERGE]


async def test_a_child_that_is_not_there_has_nothing_to_clear(world: World, quarrel: Quarrel) -> None:
    world.lose(DEPLOYMENT, tell=True)
    quarrel.first = lambda number, way: status(422, "Invalid", "spec.template: no")
    assert await world.reconcile() == REFUSAL_SECONDS
    assert quarrel.writes == [APPLY]


async def test_a_rule_of_the_cluster_clears_nothing(world: World, quarrel: Quarrel) -> None:
    """Only what is invalid may be so because of others."""
    seen = copy.deepcopy(quarrel.edit())
    quarrel.first = lambda number, way: status(403, "Forbidden", "exceeded quota")
    assert await world.reconcile() == RECHECK_SECONDS
    assert quarrel.writes == [APPLY]
    assert world.api.objects[DEPLOYMENT] == seen


async def test_what_the_cache_has_not_seen_is_not_cleared(world: World, quarrel: Quarrel) -> None:
    """The patch is made for one version: a newer one is a conflict, and tried again when it is known."""
    quarrel.edit()
    newer = copy.deepcopy(quarrel.edit(tell=False))
    with pytest.raises(errors.Conflict):
        await world.reconcile()
    assert world.api.objects[DEPLOYMENT] == newer
    world.cache.observe("Deployment", newer)
    assert await world.reconcile() is None
    assert "theirs" not in world.api.objects[DEPLOYMENT]["spec"]
    assert world.stalled() is None


@pytest.mark.parametrize("number", [3, 4], ids=["before it is disowned", "before it is applied"])
async def test_ended_after_the_patch_the_next_reconcile_does_the_rest(
    world: World, quarrel: Quarrel, number: int
) -> None:
    """The spec is ours to the letter then, so nothing but the missing hash tells that it is not applied."""
    quarrel.edit()
    quarrel.first = lambda count, way: status(503, "ServiceUnavailable", "ended here") if count == number else None
    with pytest.raises(errors.Retryable):
        await world.reconcile()
    assert APPLIED_HASH not in world.api.objects[DEPLOYMENT]["metadata"]["annotations"]
    world.cache.observe("Deployment", world.api.objects[DEPLOYMENT])
    await world.reconcile()
    assert quarrel.writes[number:] == [JSON_PATCH, APPLY][number - 3 :]
    live = world.api.objects[DEPLOYMENT]
    assert APPLIED_HASH in live["metadata"]["annotations"]
    assert live["metadata"]["managedFields"] == []


class TestDisowning:
    @pytest.fixture
    def api(self) -> FakeAPI:
        return FakeAPI()

    def owned(self, api: FakeAPI, *before: str) -> Object:
        owners = [{"manager": name, "operation": "Update"} for name in (*before, "llama-operator")]
        namespace, name = KEY
        meta = {"namespace": namespace, "name": name, "managedFields": owners}
        return api.put(SERVICE, {"kind": "Service", "metadata": meta, "spec": {}})

    async def test_is_tried_again_when_the_owners_have_moved(self, api: FakeAPI) -> None:
        late = copy.deepcopy(self.owned(api))
        self.owned(api, "theirs")
        await clearing.disown(api.client(), late)
        assert api.requests == [("PATCH", SERVICE), ("GET", SERVICE), ("PATCH", SERVICE)]
        assert [owner["manager"] for owner in api.objects[SERVICE]["metadata"]["managedFields"]] == ["theirs"]

    async def test_is_given_up_when_others_are_always_faster(self, api: FakeAPI) -> None:
        late = self.owned(api)
        api.answer = lambda request: status(422, "Invalid", "test failed") if request.method == "PATCH" else None
        with pytest.raises(errors.Conflict, match="always faster"):
            await clearing.disown(api.client(), late)
        assert len(api.requests) == 2 * clearing.ATTEMPTS

    async def test_asks_for_nothing_but_the_owner(self, api: FakeAPI) -> None:
        await clearing.disown(api.client(), self.owned(api, "theirs"))
        assert json.dumps(api.bodies).count("remove") == 1
