"""What becomes of a key after a reconcile: the rules by which it comes again."""

from __future__ import annotations

import asyncio

import pytest

from llama_operator.config import Config
from llama_operator.engine import Engine
from llama_operator.kube import errors
from llama_operator.reconcile.reconciler import Reconciler
from llama_operator.runtime.cache import Key
from tests.unit.kube.fake_api import FakeAPI

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
    assert engine.queue.finished == 3
