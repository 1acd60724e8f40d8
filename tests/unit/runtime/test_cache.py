from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator.constants import KIND, MODEL_LABEL
from llama_operator.runtime.cache import TOMBSTONE_SECONDS, Cache, Key

Object = dict[str, Any]
KEY = ("team", "qwen")
CLAIM = {"name": "a", "persistentVolumeClaim": {"claimName": "a"}}


def replace(cache: Cache, kind: str, items: list[Object], version: int, namespace: str | None = None) -> set[Key]:
    """A full list, in pages of one."""
    changed: set[Key] = set()
    for item in items:
        changed |= cache.learn(kind, [item])
    names = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
    return changed | cache.retain(kind, names, version, namespace)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(clock)


def model(version: int, **more: Any) -> Object:
    return {"metadata": {"namespace": "team", "name": "qwen", "uid": "1", "resourceVersion": str(version)}, **more}


def child(version: int, name: str = "qwen", owner: str | None = "qwen", **more: Any) -> Object:
    labels = {MODEL_LABEL: owner} if owner else {}
    meta = {"namespace": "team", "name": name, "labels": labels, "resourceVersion": str(version)}
    return {"metadata": meta, **more}


def versions(cache: Cache) -> list[str]:
    return [obj["metadata"]["resourceVersion"] for obj in cache.snapshot(KEY).children]


def test_snapshot_gathers_what_belongs_to_a_model(cache: Cache) -> None:
    assert cache.observe(KIND, model(1)) == {KEY}
    assert cache.observe("Deployment", child(2)) == {KEY}
    assert cache.observe("Service", child(3)) == {KEY}
    assert cache.observe("Pod", child(4, "qwen-abc")) == {KEY}
    assert cache.observe("Service", child(5, owner="other")) == {("team", "other"), KEY}
    seen = cache.snapshot(KEY)
    assert seen.model is not None
    assert versions(cache) == ["2"]
    assert [pod["metadata"]["name"] for pod in seen.pods] == ["qwen-abc"]
    assert cache.models() == {KEY}


def test_an_unknown_model_is_an_empty_snapshot(cache: Cache) -> None:
    seen = cache.snapshot(KEY)
    assert (seen.model, seen.children, seen.pods) == (None, [], [])


def test_the_same_news_twice_is_no_news(cache: Cache) -> None:
    cache.observe("Service", child(5))
    assert cache.observe("Service", child(5)) == set()


def test_an_older_event_does_not_undo_our_own_write(cache: Cache) -> None:
    cache.store("Service", child(7, spec={"new": True}))
    assert cache.observe("Service", child(6, spec={"new": False})) == set()
    assert versions(cache) == ["7"]


def test_a_deletion_older_than_the_recreated_object_is_ignored(cache: Cache) -> None:
    cache.store("Service", child(9))
    assert cache.observe("Service", child(8), deleted=True) == set()
    assert versions(cache) == ["9"]


def test_an_object_whose_label_was_taken_away_is_gone(cache: Cache) -> None:
    cache.observe("Service", child(5))
    assert cache.observe("Service", child(6, owner=None)) == {KEY}
    assert versions(cache) == []


def test_an_object_that_changes_hands_concerns_both_models(cache: Cache) -> None:
    cache.observe("Service", child(5))
    assert cache.observe("Service", child(6, owner="other")) == {KEY, ("team", "other")}
    assert versions(cache) == []


class TestReplace:
    """A full list against what watches and answers have told meanwhile."""

    def test_removes_what_the_list_does_not_have(self, cache: Cache) -> None:
        cache.observe("Service", child(5))
        cache.observe("Deployment", child(6))
        assert replace(cache, "Service", [], version=10) == {KEY}
        assert versions(cache) == ["6"]

    def test_adds_and_updates(self, cache: Cache) -> None:
        cache.observe("Service", child(5))
        assert replace(cache, "Service", [child(7), child(8, "b")], version=10) == {KEY}
        assert versions(cache) == ["8", "7"]

    def test_tells_nothing_when_nothing_differs(self, cache: Cache) -> None:
        cache.observe("Service", child(5))
        assert replace(cache, "Service", [child(5)], version=10) == set()

    def test_never_overwrites_a_newer_event(self, cache: Cache) -> None:
        cache.observe("Service", child(12))
        assert replace(cache, "Service", [child(5)], version=10) == set()
        assert versions(cache) == ["12"]

    def test_keeps_what_was_created_after_the_list(self, cache: Cache) -> None:
        cache.store("Service", child(12))
        assert replace(cache, "Service", [], version=10) == set()
        assert versions(cache) == ["12"]

    def test_does_not_bring_back_what_was_deleted_after_the_list(self, cache: Cache) -> None:
        cache.observe("Service", child(5))
        cache.observe("Service", child(11), deleted=True)
        assert replace(cache, "Service", [child(5)], version=10) == set()
        assert versions(cache) == []

    def test_leaves_other_namespaces_alone(self, cache: Cache) -> None:
        cache.observe("Service", child(5))
        assert replace(cache, "Service", [], version=10, namespace="elsewhere") == set()
        assert versions(cache) == ["5"]
        assert replace(cache, "Service", [], version=10, namespace="team") == {KEY}

    def test_remembers_deletions_only_as_long_as_they_can_matter(self, cache: Cache, clock: Clock) -> None:
        cache.observe("Service", child(11), deleted=True)
        clock.now = TOMBSTONE_SECONDS + 1
        replace(cache, "Deployment", [], version=20)
        assert cache.store("Service", child(5)) == {KEY}


class TestUnconfirmed:
    """News that a watch still has to tell."""

    def test_a_list_has_to_be_confirmed_by_a_watch(self, cache: Cache, clock: Clock) -> None:
        clock.now = 50
        replace(cache, "Service", [child(5)], version=10)
        assert cache.unconfirmed_since() == 50
        cache.observe("Service", child(5))
        assert cache.unconfirmed_since() is None

    def test_an_older_event_confirms_nothing(self, cache: Cache) -> None:
        cache.store("Service", child(7))
        cache.observe("Service", child(6))
        assert cache.unconfirmed_since() is not None
        cache.observe("Service", child(8))
        assert cache.unconfirmed_since() is None

    def test_a_write_that_changed_nothing_needs_no_event(self, cache: Cache) -> None:
        cache.observe("Service", child(7))
        cache.store("Service", child(7))
        assert cache.unconfirmed_since() is None

    def test_what_has_gone_needs_no_event(self, cache: Cache) -> None:
        cache.store("Service", child(7))
        replace(cache, "Service", [], version=9)
        assert cache.unconfirmed_since() is None
        cache.store("Service", child(10))
        cache.absent("Service", "team", "qwen")
        assert cache.unconfirmed_since() is None

    def test_the_oldest_counts(self, cache: Cache, clock: Clock) -> None:
        cache.store("Service", child(7))
        clock.now = 10
        cache.store("Service", child(8))
        cache.store("Deployment", child(9))
        assert cache.unconfirmed_since() == 0


def test_trims_what_nobody_reads_and_leaves_the_original_alone(cache: Cache) -> None:
    obj = child(
        5,
        "qwen-abc",
        spec={
            "big": 1,
            "nodeName": "n1",
            "volumes": [CLAIM, {"name": "b", "emptyDir": {}}],
            "containers": [
                {"name": "a", "image": "x", "resources": {"requests": {"cpu": 1}}},
                {"name": "b", "args": ["y"]},
            ],
        },
        status={"phase": "Running"},
    )
    obj["metadata"] |= {
        "managedFields": [{"manager": "a"}],
        "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "…"},
    }
    cache.observe("Pod", obj)
    (pod,) = cache.snapshot(KEY).pods
    assert "managedFields" not in pod["metadata"]
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert pod["status"] == {"phase": "Running"}
    asked = [{"name": "a", "resources": {"requests": {"cpu": 1}}}, {"name": "b", "resources": {}}]
    assert pod["spec"] == {"nodeName": "n1", "volumes": [CLAIM], "containers": asked}
    assert "managedFields" in obj["metadata"]
    assert "big" in obj["spec"]
    cache.observe("Deployment", child(6, spec={"replicas": 1}))
    assert cache.snapshot(KEY).children[0]["spec"] == {"replicas": 1}


def test_keeps_who_scales(cache: Cache) -> None:
    obj, scale = child(5), {"manager": "kube-controller-manager", "subresource": "scale"}
    obj["metadata"]["managedFields"] = [{"manager": "llama-operator"}, scale, {"subresource": "status"}]
    cache.observe("Deployment", obj)
    assert cache.snapshot(KEY).children[0]["metadata"]["managedFields"] == [scale]


class History:
    """The API server's side: one sequence of writes to a few objects, told by three messengers of different speed."""

    def __init__(self) -> None:
        self.version = 0
        self.truth: dict[str, int] = {}
        self.watch: dict[str, list[tuple[int, bool]]] = {}
        self.answers: list[tuple[str, int]] = []
        self.lists: list[tuple[dict[str, int], int]] = []

    def write(self, name: str, *, by_us: bool) -> None:
        self.version += 1
        self.truth[name] = self.version
        self.watch.setdefault(name, []).append((self.version, False))
        if by_us:
            self.answers.append((name, self.version))

    def delete(self, name: str) -> None:
        if name in self.truth:
            self.version += 1
            del self.truth[name]
            self.watch[name].append((self.version, True))

    def deliver(self, cache: Cache, chance: random.Random) -> None:
        """One message: events of one object in order, everything else in any order, as kopf and the network do."""
        names = [name for name, events in self.watch.items() if events]
        choices = ["watch"] * len(names) + ["answer"] * len(self.answers) + ["list"] * len(self.lists)
        match chance.choice(choices or ["nothing"]):
            case "watch":
                name = chance.choice(names)
                version, deleted = self.watch[name].pop(0)
                cache.observe("Service", child(version, name), deleted=deleted)
            case "answer":
                name, version = self.answers.pop(chance.randrange(len(self.answers)))
                cache.store("Service", child(version, name))
            case "list":
                items, version = self.lists.pop(0)  # one resync runs at a time
                replace(cache, "Service", [child(v, name) for name, v in items.items()], version)

    def pending(self) -> bool:
        return bool(self.answers or self.lists or any(self.watch.values()))


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "apply", "delete", "list", "deliver", "deliver"]), st.sampled_from("ab")),
    max_size=40,
)


def play(steps: list[tuple[str, str]], history: History, cache: Cache, chance: random.Random) -> None:
    for step, name in steps:
        if step == "delete":
            history.delete(name)
        elif step == "list":
            history.lists.append((dict(history.truth), history.version))
        elif step == "deliver":
            history.deliver(cache, chance)
        else:
            history.write(name, by_us=step == "apply")


def cached(cache: Cache) -> dict[str, int]:
    return {obj["metadata"]["name"]: int(obj["metadata"]["resourceVersion"]) for obj in cache.snapshot(KEY).children}


@settings(max_examples=400, deadline=None)
@given(STEPS, st.integers())
def test_in_whatever_order_news_arrives_the_cache_ends_at_the_truth(steps: list[tuple[str, str]], seed: int) -> None:
    cache, history, chance = Cache(lambda: 0.0), History(), random.Random(seed)
    play(steps, history, cache, chance)
    while history.pending():
        history.deliver(cache, chance)
    assert cached(cache) == history.truth
    assert cache.unconfirmed_since() is None


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers())
def test_one_list_heals_a_watch_that_lost_everything(steps: list[tuple[str, str]], seed: int) -> None:
    cache, history, chance = Cache(lambda: 0.0), History(), random.Random(seed)
    play(steps, history, cache, chance)
    history.watch = {name: [] for name in history.watch}
    while history.pending():
        history.deliver(cache, chance)
    history.lists.append((dict(history.truth), history.version))
    history.deliver(cache, chance)
    assert cached(cache) == history.truth
