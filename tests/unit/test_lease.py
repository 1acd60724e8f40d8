"""Who leads, when that changes, and that nobody else leads meanwhile. Time is a number that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator.kube import errors, kinds
from llama_operator.kube.transport import Answer, Request
from llama_operator.lease import GIVE_UP_SECONDS, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Lease, LeaseLost
from tests.unit.kube.fake_api import FakeAPI, Object, status

PATH = kinds.LEASE.path("system", "operator")
START = datetime(2026, 11, 24, tzinfo=UTC)


class World:
    """One API server and its time. `offset` of a candidate: how wrong the clock of its node is."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.time = 1000.0
        self.naps = 0

    def candidate(
        self, identity: str, offset: float = 0.0, sleep: Callable[[float], Awaitable[None]] | None = None
    ) -> Lease:
        return Lease(
            self.api.client(),
            "system",
            "operator",
            identity=identity,
            clock=lambda: self.time + offset,
            sleep=sleep or self.sleep,
            now=lambda: START + timedelta(seconds=self.time + offset),
        )

    async def sleep(self, seconds: float) -> None:
        """Time passes for all; a test that waits for ever fails."""
        self.naps += 1
        assert self.naps < 50, "nothing happens any more"
        self.time += seconds
        await asyncio.sleep(0)

    def record(self) -> Object:
        found: Object = self.api.objects[PATH]["spec"]
        return found

    def writes(self) -> int:
        return sum(method == "PATCH" for method, _ in self.api.requests)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_one_gets_it_and_says_who_he_is(world: World) -> None:
    lease = world.candidate("a")
    assert not lease.held()
    await lease.acquire()
    assert lease.held()
    assert world.record() == {
        "holderIdentity": "a",
        "leaseDurationSeconds": LEASE_SECONDS,
        "acquireTime": "2026-11-24T00:16:40.000000Z",
        "renewTime": "2026-11-24T00:16:40.000000Z",
        "leaseTransitions": 0,
    }


async def test_the_second_one_waits_until_the_first_has_been_silent_for_long(world: World) -> None:
    await world.candidate("a").acquire()
    other = world.candidate("b", offset=-1e6)
    await other.acquire()
    assert LEASE_SECONDS < world.time - 1000.0 <= LEASE_SECONDS + 2 * RETRY_SECONDS
    assert (world.record()["holderIdentity"], world.record()["leaseTransitions"]) == ("b", 1)


async def test_it_is_given_back_and_taken_at_once(world: World) -> None:
    first, second = world.candidate("a"), world.candidate("b")
    await first.acquire()
    await first.release()
    assert not first.held()
    await second.acquire()
    assert world.time == 1000.0
    assert second.held()


async def test_holding_is_one_write_each_time_and_no_look(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    world.api.requests.clear()
    with pytest.raises(AssertionError, match="nothing happens"):
        await lease.hold()
    assert set(world.api.requests) == {("PATCH", PATH)}
    assert len(world.api.requests) == pytest.approx((world.time - 1000.0) / RENEW_SECONDS)
    assert world.record()["acquireTime"] < world.record()["renewTime"]
    assert world.record()["leaseTransitions"] == 0


async def test_who_cannot_renew_gives_up_before_anybody_may_take_over(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    world.api.answer = lambda _: status(503, "ServiceUnavailable", "down")
    with pytest.raises(LeaseLost, match="could not renew"):
        await lease.hold()
    assert GIVE_UP_SECONDS <= world.time - 1000.0 < LEASE_SECONDS - 2
    assert not lease.held()


async def test_an_outage_shorter_than_that_is_outlived(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    refusals = iter([status(503, "ServiceUnavailable", "down")] * 2)
    world.api.answer = lambda _: next(refusals, None)
    with pytest.raises(AssertionError, match="nothing happens"):
        await lease.hold()
    assert lease.held()


async def test_no_answer_at_all_is_a_failure_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is given up when the Lease is, however long the client would wait."""
    lease = world.candidate("a")
    await lease.acquire()
    limits = []

    class Expired:
        def __init__(self, seconds: float) -> None:
            limits.append(seconds)

        async def __aenter__(self) -> None:
            raise TimeoutError

        async def __aexit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(asyncio, "timeout", Expired)
    with pytest.raises(LeaseLost):
        await lease.hold()
    assert limits[0] == GIVE_UP_SECONDS - RENEW_SECONDS
    assert min(limits) > 0


async def test_who_was_replaced_ends_and_leaves_the_other_alone(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    stolen = {**world.api.objects[PATH], "spec": {**world.record(), "holderIdentity": "b"}}
    world.api.put(PATH, stolen)
    with pytest.raises(LeaseLost, match="b holds it"):
        await lease.hold()
    assert not lease.held()
    await lease.release()
    assert world.record()["holderIdentity"] == "b"


async def test_a_version_that_moved_under_us_is_no_loss(world: World) -> None:
    """Somebody put an annotation on the Lease, or the answer to our last renewal was lost."""
    lease = world.candidate("a")
    await lease.acquire()
    world.api.put(PATH, world.api.objects[PATH])
    with pytest.raises(AssertionError, match="nothing happens"):
        await lease.hold()
    assert lease.held()
    assert world.record()["leaseTransitions"] == 0


async def test_a_deleted_lease_is_made_again(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    del world.api.objects[PATH]
    with pytest.raises(AssertionError, match="nothing happens"):
        await lease.hold()
    assert lease.held()
    assert world.record()["holderIdentity"] == "a"


@pytest.mark.parametrize("lost", [True, False], ids=["without the Lease", "with the Lease of then"])
async def test_a_server_that_went_back_in_time_ends_the_leader(world: World, lost: bool) -> None:
    """etcd was restored from a backup: nothing that we know is true any more."""
    lease = world.candidate("a")
    await lease.acquire()
    world.api.version = 50
    if lost:
        del world.api.objects[PATH]
    else:
        world.api.put(PATH, world.api.objects[PATH])
    with pytest.raises(LeaseLost, match="back in time"):
        await lease.hold()


async def test_of_two_that_try_at_once_one_gets_it(world: World) -> None:
    async def never(_: float) -> None:
        await asyncio.Event().wait()

    candidates = [world.candidate(name, sleep=never) for name in "ab"]
    tasks = [asyncio.create_task(lease.acquire()) for lease in candidates]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(waiting)) == (1, 1)
    assert [lease.held() for lease in candidates].count(True) == 1
    for task in waiting:
        task.cancel()


async def test_without_the_right_it_does_not_wait_for_ever(world: World) -> None:
    world.api.answer = lambda _: status(403, "Forbidden", "no")
    with pytest.raises(errors.Forbidden):
        await world.candidate("a").acquire()


async def test_giving_back_that_fails_is_no_error(world: World) -> None:
    lease = world.candidate("a")
    await lease.acquire()
    world.api.answer = lambda _: status(503, "ServiceUnavailable", "down")
    await lease.release()
    assert not lease.held()


async def test_only_the_holder_writes(world: World) -> None:
    """What was decided as the leader is not sent as anything else; the Lease itself is."""
    client = world.api.client()
    lease = Lease(client, "system", "operator", clock=lambda: world.time)
    client.may_write = lease.held
    service = {"metadata": {"namespace": "team", "name": "m"}}
    with pytest.raises(errors.Retryable, match="Lease is not ours"):
        await client.apply(kinds.BY_NAME["Service"], service)
    assert world.api.requests == []
    await lease.acquire()
    await client.apply(kinds.BY_NAME["Service"], service)
    world.time += LEASE_SECONDS  # the process was stopped, and does not know yet
    with pytest.raises(errors.Retryable, match="Lease is not ours"):
        await client.apply(kinds.BY_NAME["Service"], service)
    await client.get(kinds.BY_NAME["Service"], "team", "m")


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["try", "try", "release", "lose answer"]), st.floats(0.0, 12.0)),
    max_size=40,
)


@given(steps, st.tuples(*[st.floats(-1e6, 1e6)] * 3))
@settings(max_examples=200, deadline=None)
def test_there_are_never_two(moves: list[tuple[str, str, float]], offsets: tuple[float, float, float]) -> None:
    """Whatever the order, the pauses, the clocks, and the answers that get lost."""

    async def play() -> None:
        world = World()
        leases = {name: world.candidate(name, offset) for name, offset in zip("abc", offsets, strict=True)}
        for name, move, pause in moves:
            world.time += pause
            if move == "release":
                await leases[name].release()
            elif move == "try":
                await leases[name]._attempt()
            else:
                lost: list[Request] = []

                def answer(request: Request, lost: list[Request] = lost) -> Answer | None:
                    if request.method == "PATCH" and not lost:
                        lost.append(request)
                        world.api._patch(PATH, world.api.bodies[-1], request.headers["content-type"])
                        return status(504, "Timeout", "lost")
                    return None

                world.api.answer = answer
                await leases[name]._attempt()
                world.api.answer = lambda _: None
            assert sum(lease.held() for lease in leases.values()) <= 1

    asyncio.run(play())
