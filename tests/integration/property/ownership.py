"""Do we own exactly what we asked for? Read from `metadata.managedFields`, where the API server keeps who set what.

Stricter than the operator's own comparison, and made without it: a field that was once set and is not wanted any more,
a list item that stayed, a value that differs - each is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from llama_operator.constants import FIELD_MANAGER

Object = dict[str, Any]


def differences(desired: Object, live: Object) -> list[str]:
    """What the live object has of ours that `desired` has not, or the other way round; as paths, for people."""
    ours = [entry for entry in live["metadata"].get("managedFields", []) if entry["manager"] == FIELD_MANAGER]
    how = [(entry["operation"], entry.get("subresource")) for entry in ours]
    if how != [("Apply", None)]:
        return [f"managed by {FIELD_MANAGER} through {how}"]
    meta = {name: value for name, value in desired["metadata"].items() if name not in ("name", "namespace")}
    wanted = {"metadata": meta, "spec": desired["spec"]}
    return list(_differ(ours[0]["fieldsV1"], wanted, live, "", quantities=False))


def _differ(fields: Object, desired: Any, live: Any, path: str, *, quantities: bool) -> Iterator[str]:
    members = {name: below for name, below in fields.items() if name != "."}
    if not members:  # a value, or a whole that Kubernetes treats as one value
        if not _same(desired, live, quantities=quantities):
            yield f"{path}: wanted {desired!r}, is {live!r}"
    elif isinstance(desired, dict):
        yield from _members(members, desired, live or {}, path, quantities=quantities)
    elif isinstance(desired, list):
        yield from _items(members, desired, live or [], path)
    else:
        yield f"{path}: wanted {desired!r}, owned {members!r}"


def _members(fields: Object, desired: Object, live: Object, path: str, *, quantities: bool) -> Iterator[str]:
    for name, value in desired.items():
        owned = fields.get(f"f:{name}")
        if owned is not None:
            inside = quantities or (name in ("limits", "requests") and isinstance(value, dict))
            yield from _differ(owned, value, live.get(name), f"{path}.{name}", quantities=inside)
        elif not _is_zero(value) or name in live:
            yield f"{path}.{name}: not owned"
    for field in fields.keys() - {f"f:{name}" for name in desired}:
        yield f"{path}.{field}: owned, and not wanted"


def _items(fields: Object, desired: list[Object], live: list[Object], path: str) -> Iterator[str]:
    """A list whose items have keys: others may have items of their own in it."""
    for field, below in fields.items():
        key = json.loads(field.removeprefix("k:"))
        wanted = [item for item in desired if key.items() <= item.items()]
        there = [item for item in live if key.items() <= item.items()]
        if len(wanted) == 1 == len(there):
            yield from _differ(below, wanted[0], there[0], f"{path}[{key}]", quantities=False)
        else:
            yield f"{path}[{key}]: owned; wanted {len(wanted)} times, there {len(there)} times"
    keys = [json.loads(field.removeprefix("k:")).items() for field in fields]
    for item in desired:
        if not any(key <= item.items() for key in keys):
            yield f"{path}[{item}]: not owned"
    there = [key for item in live for key in keys if key <= item.items()]
    if there != [key for item in desired for key in keys if key <= item.items() and key in there]:
        yield f"{path}: in another order, {there}"


def _same(desired: Any, live: Any, *, quantities: bool) -> bool:
    if quantities and live is not None:
        return bool(parse_quantity(desired) == parse_quantity(live))  # type: ignore[no-untyped-call]
    return bool(desired == live) or (live is None and _is_zero(desired))


def _is_zero(value: Any) -> bool:
    """Whether the API server does not store it. An empty object it does store: `emptyDir: {}` says something."""
    return not value and not isinstance(value, dict)
