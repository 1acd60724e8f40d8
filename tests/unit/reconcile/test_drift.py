"""What counts as drift, and what belongs to others."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.api.types import parse
from llama_operator.reconcile.drift import holds
from llama_operator.resources import build
from tests.unit.resources.models import CONFIG, EXAMPLES, example

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
keys = st.sampled_from(["name", "a", "b", "c", "spec", "value"])
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=3) | st.dictionaries(keys, t, max_size=4), max_leaves=12)


@given(trees)
def test_everything_holds_in_itself(tree: Any) -> None:
    assert holds(tree, tree)


@given(trees, st.data())
def test_what_others_add_is_theirs(tree: Any, data: st.DataObject) -> None:
    assert holds(tree, extend(tree, data))


def extend(tree: Any, data: st.DataObject) -> Any:
    """The tree, with foreign members in its objects, and in its lists of named items."""
    if isinstance(tree, dict):
        return {key: extend(value, data) for key, value in tree.items()} | data.draw(
            st.dictionaries(st.sampled_from(["foreign", "other"]), scalars, max_size=2)
        )
    if isinstance(tree, list):
        items = [extend(item, data) for item in tree]
        names = [item.get("name") if isinstance(item, dict) else None for item in tree]
        if tree and all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return data.draw(st.permutations([*items, {"name": "sidecar"}]))
        return items
    return tree


CHANGES: list[tuple[Any, Any]] = [
    ({"selector": {"a": "x"}}, {"selector": {"a": "x", "b": "y"}}),
    ({"nodeSelector": {"a": "x"}}, {"nodeSelector": {"a": "x", "b": "y"}}),
    ({"selector": {"a": "x"}}, {}),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {}),
    ({"a": {"b": "x"}}, {"a": {"b": "y"}}),
    ({"a": {"b": "x"}}, {"a": None}),
    ({"a": {"b": "x"}}, {"a": "x"}),
    ({"args": ["--a"]}, {"args": ["--a", "--b"]}),
    ({"args": ["--a", "--b"]}, {"args": ["--b", "--a"]}),
    ({"args": ["--a"]}, {"args": "--a"}),
    ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}),
    ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B", "value": "1"}]}),
    ({"env": [{"name": "A", "value": "1"}]}, {"env": []}),
    ({"env": [{"name": "A", "value": "1"}]}, {}),
    ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}),
    ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
    ({"limits": {"cpu": "1"}}, {}),
    ({"replicas": 0}, {"replicas": 1}),
    # a variable may refer only to those before it
    ({"env": [{"name": "A"}, {"name": "B"}]}, {"env": [{"name": "B"}, {"name": "A"}]}),
    ({"env": [{"name": "A"}, {"name": "B"}]}, {"env": [{"name": "B"}, {"name": "Z"}, {"name": "A"}]}),
    # one of ours does not stand for two
    ({"env": [{"name": "A"}, {"name": "B"}]}, {"env": [{"name": "A"}, {"name": "A"}]}),
    # an empty object that says what kind of volume it is
    ({"name": "models", "emptyDir": {}}, {"name": "models"}),
    ({"volumes": [{"name": "m", "emptyDir": {}}]}, {"volumes": [{"name": "m", "configMap": {"name": "theirs"}}]}),
]


@pytest.mark.parametrize(("desired", "observed"), CHANGES, ids=str)
def test_changes_are_seen(desired: Any, observed: Any) -> None:
    assert not holds(desired, observed)


SAME: list[tuple[Any, Any]] = [
    # the API server does not store zero values
    ({"a": ""}, {}),
    ({"a": {}}, {}),
    ({"a": False}, {}),
    ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
    # it rewrites quantities
    ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}),
    ({"limits": {"cpu": 2}}, {"limits": {"cpu": "2"}}),
    ({"requests": {"memory": "1.5Gi"}}, {"requests": {"memory": "1536Mi"}}),
    ({"requests": {"memory": "1e3"}}, {"requests": {"memory": "1k"}}),
    # a label, an annotation, a node's label may have such a name too
    ({"annotations": {"limits": "none", "requests": "many"}}, {"annotations": {"limits": "none", "requests": "many"}}),
    # others add variables, containers, owners
    ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "Z"}, {"name": "A", "value": "1"}]}),
    (
        {"env": [{"name": "A"}, {"name": "B"}]},
        {"env": [{"name": "X"}, {"name": "A"}, {"name": "Y"}, {"name": "B"}, {"name": "Z"}]},
    ),
    ({"emptyDir": {}}, {"emptyDir": {"sizeLimit": "1Gi"}}),
    (
        {"ownerReferences": [{"name": "tiny", "uid": "1"}]},
        {"ownerReferences": [{"name": "tiny", "uid": "1"}, {"name": "tiny", "uid": "2"}]},
    ),
]


@pytest.mark.parametrize(("desired", "observed"), SAME, ids=str)
def test_other_ways_to_say_the_same(desired: Any, observed: Any) -> None:
    assert holds(desired, observed)


def test_a_plain_text_below_limits_is_compared_as_text() -> None:
    assert not holds({"annotations": {"limits": "none"}}, {"annotations": {"limits": "some"}})


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    if isinstance(tree, list):
        return [leaf for i, value in enumerate(tree) for leaf in leaves(value, (*path, i))]
    return [path]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_change_of_any_field_that_we_set_is_seen(path: Path) -> None:
    """Every leaf of every child of every example, one after the other."""
    for child in build(parse(example(path)), CONFIG):
        for leaf in leaves(child):
            changed = copy.deepcopy(child)
            target: Any = changed
            for part in leaf[:-1]:
                target = target[part]
            target[leaf[-1]] = "9999" if isinstance(target[leaf[-1]], str) else 9999
            assert not holds(child, changed), leaf


def test_a_label_named_selector_is_a_label() -> None:
    assert holds({"labels": {"selector": "x"}}, {"labels": {"selector": "x", "team": "blue"}})


def test_an_empty_selector_holds_in_none() -> None:
    assert holds({"nodeSelector": {}}, {})
