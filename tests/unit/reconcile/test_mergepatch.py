"""The patch that makes one object another, read as RFC 7386 says."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llama_operator.reconcile.mergepatch import exactly
from tests.unit.kube.fake_api import Object, merge

keys = st.sampled_from(["a", "b", "c"])
# No null: in a merge-patch it is the word for "gone", and the API server stores none.
scalars = st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
values = st.recursive(scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(keys, v, max_size=3), max_leaves=8)
objects = st.dictionaries(keys, values, max_size=3)


@given(objects, objects)
def test_it_makes_one_the_other(old: Object, new: Object) -> None:
    before = copy.deepcopy((old, new))
    assert merge(old, exactly(old, new)) == new
    assert (old, new) == before


@given(objects)
def test_what_is_the_same_already_loses_nothing(obj: Object) -> None:
    assert None not in _leaves(exactly(obj, obj))


def test_a_null_is_said_only_where_something_is_to_vanish() -> None:
    old = {"same": 1, "theirs": {"x": 1}, "both": {"theirs": 1, "ours": 2}, "list": [{"theirs": 1}]}
    new = {"same": 1, "both": {"ours": 3}, "list": [{"ours": 1}], "added": {}}
    patch = {"same": 1, "theirs": None, "both": {"theirs": None, "ours": 3}, "list": [{"ours": 1}], "added": {}}
    assert exactly(old, new) == patch


def _leaves(value: Any) -> list[Any]:
    return [leaf for below in value.values() for leaf in _leaves(below)] if isinstance(value, dict) else [value]
