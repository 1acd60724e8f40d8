"""Does what exists still say what we want? Compares the fields that we set, and nothing else.

Whatever others add - a sidecar, an annotation, the API server's defaults - is theirs and stays. Fields that we once
set and no longer want are found by the applied-hash annotation, which is one of those that we set.
"""

from __future__ import annotations

from typing import Any

from llama_operator.resources import quantity

_QUANTITIES = frozenset({"limits", "requests"})

_ATOMIC = frozenset({"selector", "nodeSelector"})
"""Maps that Kubernetes treats as one value (`+mapType=atomic`): an entry that somebody adds to a Service's selector
takes all its pods away."""


_SAY_SOMETHING = frozenset({"emptyDir"})
"""Objects that say something although they are empty, here: what kind of volume it is. The API server stores them."""


def holds(desired: Any, observed: Any, *, quantities: bool = False) -> bool:
    """True if every field of `desired` has its value in `observed`.

    A zero value (`""`, `0`, `false`, empty) holds in an absent field: the API server does not store it. Below
    `limits` and `requests` scalars are compared as quantities, since the API server rewrites `1000m` to `1`.
    """
    if isinstance(desired, dict):
        if not isinstance(observed, dict):
            return observed is None and not desired
        return all(
            holds(value, observed.get(key), quantities=quantities or _has_quantities(key, value))
            and not _added_to(key, value, observed)
            and not (key in _SAY_SOMETHING and key not in observed)
            for key, value in desired.items()
        )
    if isinstance(desired, list):
        return _list_holds(desired, observed or [])
    if observed is None:
        return not desired
    if quantities:
        return quantity.stored(desired) == quantity.stored(observed)
    return bool(desired == observed)


def _list_holds(desired: list[Any], observed: Any) -> bool:
    if not isinstance(observed, list):
        return False
    names = _names(desired)
    if names is None:
        return len(desired) == len(observed) and all(map(holds, desired, observed))
    # Items with names are a map (containers, env, ports, volumes): others may add to it, anywhere. In some lists (owner
    # references) an item that others added may even have the same name. Ours must keep their order: a variable may
    # refer only to those before it. Hence one iterator: what has been passed is not looked at again.
    rest = (item for item in observed if isinstance(item, dict) and "name" in item)
    return all(
        any(other["name"] == name and holds(item, other) for other in rest)
        for name, item in zip(names, desired, strict=True)
    )


def _has_quantities(key: str, value: Any) -> bool:
    """An object below `limits`; a label or an annotation of that name is plain text."""
    return key in _QUANTITIES and isinstance(value, dict)


def _added_to(key: str, value: Any, observed: dict[str, Any]) -> bool:
    """Whether an atomic map has more entries than we set; a label or an annotation of that name is plain text."""
    return key in _ATOMIC and isinstance(value, dict) and bool((observed.get(key) or {}).keys() - value.keys())


def _names(items: list[Any]) -> list[str] | None:
    """The items' names, if all have one and it tells them apart."""
    if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items):
        return None
    names = [item["name"] for item in items]
    return names if len(set(names)) == len(names) else None
