"""What becomes of a key after a reconcile: the rules by which it comes again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Collection

import kopf
import pytest

from llama_operator.config import Config
from llama_operator.engine import Engine
from llama_operator.kube import errors, kinds
from llama_operator.reconcile.reconciler import Reconciler
from llama_operator.runtime.cache import Key
from tests.unit.kube.fake_api import FakeAPI
from tests.unit.runtime.exposition import samples, value

KEY = ("team", "qwen")


class Script:
    """Stands in for `reconcile`: plays its outcomes one after the other, then closes the queue."""

    def __init__(self, engine: Engine, *outcomes: Exception | float | None) -> None:
        self.engine = engine
        self.outcomes = list(outcomes)
        self.failures: list[int] = []

    async def __call__(self, _: Reconciler, key: Key, failures: int = 0) -> float | None:
        self.failures.append(failures)
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.engine.queue.close()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def play(monkeypatch: pytest.MonkeyPatch, *outcomes: Exception | float | None) -> tuple[Engine, Script]:
    monkeypatch.setattr("llama_operator.runtime.workqueue.FIRST_DELAY", 0.01)
    engine = Engine(Config(stage_image="operator:1"), FakeAPI().client())
    script = Script(engine, *outcomes)
    monkeypatch.setattr(Reconciler, "reconcile", lambda *args: script(*args))
    engine.queue.add(KEY)
    await asyncio.wait_for(engine._work(), 10)
    return engine, script


def error(cls: type[errors.APIError], retry_after: float | None = None) -> errors.APIError:
    return cls("apply Service", 500, "Reason", "message", retry_after)


async def test_failures_are_counted_until_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    _, script = await play(
        monkeypatch, error(errors.Retryable), error(errors.Rejected), error(errors.NotFound), 0.0, None
    )
    assert script.failures == [0, 1, 2, 3, 0]


async def test_a_conflict_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _, script = await play(monkeypatch, error(errors.Conflict), error(errors.Conflict), None)
    assert script.failures == [0, 1, 2]


async def test_a_bug_ends_neither_the_worker_nor_the_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, script = await play(monkeypatch, KeyError("oops"), None)
    assert script.failures == [0, 1]
    assert "this is a bug" in caplog.text
    assert "KeyError: 'oops'" in caplog.text


async def test_a_key_is_given_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = await play(monkeypatch, KeyError("oops"), error(errors.Retryable), None)
    assert engine.queue.busy() == 0


async def test_each_way_to_end_is_counted_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = (0.0, KeyError("oops"), error(errors.Conflict), error(errors.Retryable), error(errors.Rejected), None)
    engine, _ = await play(monkeypatch, *outcomes)
    counts = samples(engine.metrics, "reconciles_total", "result")
    assert counts == {("requeued",): 1, ("error",): 1, ("conflict",): 1, ("retry",): 2, ("ok",): 1}
    assert value(engine.metrics, "reconcile_seconds_count") == 6
    assert value(engine.metrics, "queue_seconds_count") == 6


async def test_calls_to_the_api_server_are_timed() -> None:
    api = FakeAPI()
    client = api.client()
    engine = Engine(Config(stage_image="operator:1"), client)
    with pytest.raises(errors.NotFound):
        await client.get(kinds.MODEL, *KEY)
    assert samples(engine.metrics, "api_call_seconds_count", "verb") == {("get",): 1}


async def test_others_get_their_turn_between_reconciles_that_have_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of them, after a full list, must not hold up the Lease."""
    engine = Engine(Config(stage_image="operator:1"), FakeAPI().client())
    turns: list[str] = []

    async def nothing(_: Reconciler, key: Key, failures: int = 0) -> None:
        turns.append(key[1])
        if key[1] == "c":
            engine.queue.close()

    async def other() -> None:
        while "c" not in turns:
            turns.append("other")
            await asyncio.sleep(0)

    monkeypatch.setattr(Reconciler, "reconcile", nothing)
    for name in "abc":
        engine.queue.add(("team", name))
    await asyncio.wait_for(asyncio.gather(engine._work(), other()), 10)
    assert [turn for turn, following in itertools.pairwise(turns) if turn != "other" and following != "other"] == []


async def test_watches_that_do_not_end_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop, kopf hung and swallowed its cancellation; workers and Lease were to be ended all the same."""
    engine = Engine(Config(stage_image="operator:1"), FakeAPI().client())
    released = asyncio.Event()

    async def hung(tasks: Collection[asyncio.Task[None]], **_: object) -> None:
        for task in tasks:
            task.cancel()
        signal.raise_signal(signal.SIGTERM)  # kopf has put its own handlers in place by now
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    monkeypatch.setattr(kopf, "run_tasks", hung)
    monkeypatch.setattr("llama_operator.engine.KOPF_SECONDS", 0.01)
    await asyncio.wait_for(engine._watch(lambda: kopf.ConnectionInfo(server="https://api")), 10)
    assert await engine.queue.get() is None, "nothing new is begun"
    released.set()


async def test_an_error_of_the_watches_is_an_error_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Config(stage_image="operator:1"), FakeAPI().client())

    async def broken(**_: object) -> None:
        raise RuntimeError("no watch")

    monkeypatch.setattr(kopf, "spawn_tasks", broken)
    with pytest.raises(RuntimeError, match="no watch"):
        await engine._watch(lambda: kopf.ConnectionInfo(server="https://api"))
