from __future__ import annotations

import pytest

from llama_operator.constants import KIND
from llama_operator.runtime.cache import TOMBSTONE_SECONDS, Cache
from tests.unit.runtime.cached import KEY, child, model, replace

CLAIM = {"name": "a", "persistentVolumeClaim": {"claimName": "a"}}


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
