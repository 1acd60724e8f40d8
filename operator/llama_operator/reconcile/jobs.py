"""What a Job says of itself, and what may still be changed about one: most of a Job is immutable. Pure."""

from __future__ import annotations

import copy
from typing import Any

from llama_operator import constants
from llama_operator.resources import sources, staging
from llama_operator.resources.metadata import stamped
from llama_operator.resources.sources import Sources

Object = dict[str, Any]


def complete(job: Object) -> bool:
    """All files are in place."""
    return _told(job, "Complete") is not None


def failed(job: Object) -> Object | None:
    """The condition that says why it has ended for ever without success."""
    return _told(job, "Failed")


def staged_by(job: Object) -> Sources | None:
    """What it stages."""
    return sources.read((job["metadata"].get("annotations") or {}).get(constants.SOURCES, ""))


def settled(desired: Object, observed: Object) -> Object | None:
    """The desired Job as it can be applied to the observed one of its name; None if that has to make way for it.

    What is done is done: a complete Job stays as it was made. So does one that only has another stager, of an older
    operator: both stage the same.
    """
    if _hash(desired) == _hash(observed):
        return desired
    kept = copy.deepcopy(desired)
    image = _stager(observed).get("image")
    if image:
        _stager(kept)["image"] = image
        kept["spec"]["template"] = stamped(kept["spec"]["template"])
        kept = stamped(kept)
    if _hash(kept) == _hash(observed):
        return kept
    return observed if complete(observed) else None


def _told(job: Object, type_: str) -> Object | None:
    conditions: list[Object] = job.get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_ and c["status"] == "True"), None)


def _stager(job: Object) -> Object:
    containers = job["spec"]["template"]["spec"].get("containers") or []
    return next((c for c in containers if c["name"] == staging.CONTAINER_NAME), {})


def _hash(job: Object) -> str:
    return str((job["metadata"].get("annotations") or {}).get(constants.APPLIED_HASH, ""))
