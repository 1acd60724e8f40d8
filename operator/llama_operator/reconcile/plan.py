"""What has to be written: desired against observed children. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llama_operator.reconcile.carryover import carried_over
from llama_operator.reconcile.drift import holds
from llama_operator.reconcile.jobs import settled
from llama_operator.resources import OPTIONAL, auth

Object = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Children to apply, in order, and children to delete. Empty when nothing is to be done."""

    apply: list[Object]
    delete: list[Object]


def key(obj: Object) -> tuple[str, str]:
    """Identity among the children of one model, which all live in one namespace."""
    return obj["kind"], obj["metadata"]["name"]


def controller_uid(obj: Object) -> str | None:
    """uid of the object that controls this one."""
    for ref in obj["metadata"].get("ownerReferences", []):
        if ref.get("controller"):
            return str(ref["uid"])
    return None


def deployment_of(uid: str | None, children: Iterable[Object]) -> Object:
    """That of this very model, empty if there is none: one of a deleted model of its name may still be there."""
    return next((child for child in children if child["kind"] == "Deployment" and controller_uid(child) == uid), {})


def plan(desired: list[Object], observed: list[Object]) -> Plan:
    """Compare.

    A child is applied when it is absent, or when a field that we set has another value now (drift). One of these
    fields is the hash of what was last applied, so a field that is no longer wanted is taken back, too. Observed
    objects of another owner - left over from a deleted model of this name - count as absent and are never deleted. A
    child that is being deleted is left alone: its end is an event, and then it is absent. (See also `carryover`.) A Job
    cannot be changed: one that must be another is deleted, and made anew when it is gone. A Secret is not observed: it
    was made if the Deployment that is there mounts it, and waits as long as the one that is wanted does not.
    """
    uid = controller_uid(desired[0])
    ours = {key(obj): obj for obj in observed if controller_uid(obj) == uid}
    staying = {k: obj for k, obj in ours.items() if not _terminating(obj)}
    found = [beside(obj, staying.get(key(obj))) for obj in desired]
    desired = [obj for obj in found if obj is not None]
    wanted = {key(obj) for obj in desired}
    deployments = [next((obj for obj in some if obj["kind"] == "Deployment"), {}) for some in (desired, ours.values())]
    return Plan(
        apply=[
            obj
            for obj in desired
            if (_due(obj, *deployments) if obj["kind"] == "Secret" else _differs(obj, ours.get(key(obj))))
        ],
        delete=[obj for k, obj in staying.items() if k not in wanted and obj["kind"] in OPTIONAL],
    )


def beside(desired: Object, observed: Object | None) -> Object | None:
    """As it can be applied to the observed one of its name; None if that has to make way for it."""
    if observed is None:
        return desired
    return settled(desired, observed) if desired["kind"] == "Job" else carried_over(desired, observed)


def _differs(desired: Object, observed: Object | None) -> bool:
    if observed is None:
        return True
    if _terminating(observed):
        return False
    return not holds(desired, observed)


def _due(secret: Object, desired: Object, observed: Object) -> bool:
    """Whether the Secret is to be made, between these two Deployments."""
    name: str = secret["metadata"]["name"]
    return _mounted(desired) == name and _mounted(observed) != name


def _mounted(deployment: Object) -> str | None:
    return auth.mounted(deployment.get("spec", {}).get("template", {}))


def _terminating(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]
