"""The measure is measured: each way in which a child can differ from the builders' output is told."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.integration.property.ownership import differences
from tests.integration.server import Object

DESIRED: Object = {
    "metadata": {"name": "m", "namespace": "n", "annotations": {"a": "1"}},
    "spec": {
        "replicas": 1,
        "emptyDir": {},
        "args": ["x"],
        "env": [{"name": "A", "value": ""}, {"name": "B", "value": "2"}],
        "resources": {"limits": {"cpu": "1000m"}},
    },
}
FIELDS: Object = {
    "f:metadata": {"f:annotations": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:emptyDir": {},
        "f:args": {},
        "f:env": {
            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
        },
        "f:resources": {"f:limits": {"f:cpu": {}}},
    },
}


def live() -> Object:
    """As the API server has it: with others' additions, its own defaults, and without zero values."""
    theirs = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
    ours = {"manager": "llama-operator", "operation": "Apply", "fieldsV1": copy.deepcopy(FIELDS)}
    return {
        "metadata": {"name": "m", "uid": "1", "annotations": {"a": "1", "b": "2"}, "managedFields": [theirs, ours]},
        "spec": {
            "replicas": 1,
            "paused": True,
            "emptyDir": {},
            "args": ["x"],
            "env": [{"name": "THEIRS"}, {"name": "A"}, {"name": "B", "value": "2"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        },
    }


def test_what_others_add_is_no_difference() -> None:
    assert differences(DESIRED, live()) == []


def _ours(obj: Object) -> Object:
    fields: Object = obj["metadata"]["managedFields"][1]["fieldsV1"]
    return fields


CHANGES: dict[str, tuple[Callable[[Object], object], str]] = {
    "value": (lambda obj: obj["spec"].update(replicas=2), ".spec.replicas: wanted 1, is 2"),
    "list": (lambda obj: obj["spec"]["args"].append("y"), ".spec.args: wanted ['x'], is ['x', 'y']"),
    "empty object": (lambda obj: obj["spec"].pop("emptyDir"), ".spec.emptyDir: wanted {}, is None"),
    "item": (lambda obj: obj["spec"]["env"][2].update(value="3"), ".value: wanted '2', is '3'"),
    "zero": (lambda obj: obj["spec"]["env"][1].update(value="3"), ".value: wanted '', is '3'"),
    "order": (lambda obj: obj["spec"]["env"].reverse(), ".spec.env: in another order"),
    "item gone": (lambda obj: obj["spec"]["env"].pop(), "wanted 1 times, there 0 times"),
    "quantity": (lambda obj: obj["spec"]["resources"]["limits"].update(cpu="2"), "cpu: wanted '1000m', is '2'"),
    "field too many": (
        lambda obj: _ours(obj)["f:spec"].update({"f:old": {}}),
        ".spec.f:old: owned, and not wanted",
    ),
    "item too many": (
        lambda obj: _ours(obj)["f:spec"]["f:env"].update({'k:{"name":"OLD"}': {"f:name": {}}}),
        "wanted 0 times, there 0 times",
    ),
    "field disowned": (lambda obj: _ours(obj)["f:spec"].pop("f:replicas"), ".spec.replicas: not owned"),
    "item disowned": (lambda obj: _ours(obj)["f:spec"]["f:env"].pop('k:{"name":"B"}'), ": not owned"),
    "by other means": (
        lambda obj: obj["metadata"]["managedFields"].append({"manager": "llama-operator", "operation": "Update"}),
        "managed by llama-operator through",
    ),
    "never applied": (lambda obj: obj["metadata"].pop("managedFields"), "managed by llama-operator through []"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_difference_is_told(what: str) -> None:
    obj = live()
    change, told = CHANGES[what]
    change(obj)
    (found,) = differences(DESIRED, obj)
    assert told in found
