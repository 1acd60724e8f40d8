from __future__ import annotations

from typing import Any

from llama_operator import __version__
from llama_operator.constants import KIND
from llama_operator.runtime.metrics import Metrics, Result
from tests.unit.runtime.exposition import samples, value
from tests.unit.runtime.world import World

Object = dict[str, Any]


def model(name: str, **conditions: str) -> Object:
    told = [{"type": type_, "status": status} for type_, status in conditions.items()]
    meta = {"namespace": "team", "name": name, "resourceVersion": "5"}
    return {"metadata": meta, "status": {"conditions": told}}


def test_reconciles_are_counted_by_result_and_each_result_starts_at_zero() -> None:
    metrics = Metrics()
    metrics.reconciled(Result.OK, 0.02)
    metrics.reconciled(Result.OK, 0.5)
    metrics.reconciled(Result.RETRY, 31)
    counts = {result: count for (result,), count in samples(metrics, "reconciles_total", "result").items()}
    assert counts == {"ok": 2, "requeued": 0, "conflict": 0, "retry": 1, "error": 0}
    assert value(metrics, "reconcile_seconds_count") == 3
    assert value(metrics, "reconcile_seconds_sum") == 31.52


def test_calls_are_timed_by_verb() -> None:
    metrics = Metrics()
    metrics.called("apply", 0.02)
    metrics.called("list", 2)
    assert samples(metrics, "api_call_seconds_count", "verb") == {("apply",): 1, ("list",): 1}
    assert samples(metrics, "api_call_seconds_sum", "verb") == {("apply",): 0.02, ("list",): 2}


def test_two_processes_parts_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.waited(1)
    assert value(one, "queue_seconds_count") == 1
    assert value(other, "queue_seconds_count") == 0


async def test_the_queue_by_depth_and_age(world: World) -> None:
    for world.now, name in ((10.0, "a"), (20.0, "b"), (25.0, "c")):
        world.queue.add(("team", name))
    await world.queue.get()
    world.now = 50
    assert value(world.metrics, "queue_waiting") == 2
    assert value(world.metrics, "queue_busy") == 1
    assert value(world.metrics, "queue_oldest_seconds") == 30
    assert value(world.metrics, "queue_longest_busy_seconds") == 25
    assert value(world.metrics, "queue_seconds_sum") == 15  # a, from 10 to 25


def test_an_empty_queue_has_no_age(world: World) -> None:
    world.now = 50
    assert value(world.metrics, "queue_oldest_seconds") == 0
    assert value(world.metrics, "queue_longest_busy_seconds") == 0


async def test_the_age_of_the_list_is_told_once_there_is_one(world: World) -> None:
    assert "list_age_seconds" not in world.metrics.text()
    await world.resync.start()
    world.now = 17
    assert value(world.metrics, "list_age_seconds") == 17


async def test_models_by_condition_add_up_to_all_models(world: World) -> None:
    world.models = [
        model("a", Ready="True", Staged="True"),
        model("b", Ready="False", Staged="True", Reconciling="True"),
        model("c", Ready="False", Stalled="True", Staged="maybe"),
        {"metadata": {"namespace": "team", "name": "new", "resourceVersion": "5"}},
    ]
    await world.resync.start()
    world.cache.observe("Pod", {"metadata": {"namespace": "team", "name": "stray", "resourceVersion": "5"}})
    counts = samples(world.metrics, "models", "condition", "status")
    ready = {status: counts["Ready", status] for status in ("True", "False", "Unknown")}
    assert ready == {"True": 1, "False": 2, "Unknown": 1}
    assert (counts["Staged", "True"], counts["Staged", "Unknown"]) == (2, 2)
    assert (counts["Stalled", "True"], counts["Stalled", "False"]) == (1, 3)  # absent is False, by kstatus
    assert (counts["Reconciling", "True"], counts["Reconciling", "False"]) == (1, 3)
    conditions = {condition for condition, _ in counts}
    assert conditions == {"Ready", "Staged", "Available", "Exposed", "Reconciling", "Stalled", "Degraded"}
    for condition in conditions:
        assert sum(count for (name, _), count in counts.items() if name == condition) == 4
    assert value(world.metrics, "cached_models") == 4


async def test_no_label_takes_a_value_that_users_choose(world: World) -> None:
    world.models = [model(f"users-choice-{n}", Ready="True", Surprise="users-choice") for n in range(3)]
    before = world.metrics.text().count("\n")
    await world.resync.start()
    await world.work()
    world.cache.observe(KIND, model("users-choice-3", Ready="users-choice"))
    text = world.metrics.text()
    assert "users-choice" not in text
    assert "Surprise" not in text
    assert text.count("\n") - before == 3  # the age of the list, with its help and its type


def test_calls_by_verb_kind_and_code(world: World) -> None:
    counts = samples(world.metrics, "api_calls_total", "verb", "kind", "code")
    assert counts == {("apply", "Service", "201"): 3, ("list", "Pod", "200"): 1}


def test_the_leader_and_the_version(world: World) -> None:
    assert value(world.metrics, "leader") == 1
    world.leader = False
    assert value(world.metrics, "leader") == 0
    assert samples(world.metrics, "build_info", "version") == {(__version__,): 1}
