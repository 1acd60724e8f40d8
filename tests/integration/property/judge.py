"""What must hold once the operator has come to rest, whatever happened before.

Each model's children are the builders' output, owned field by field; nothing is left over, of this model or of one
that is gone; the status says what the cluster shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from llama_operator import constants
from llama_operator.api.types import SpecError, parse
from llama_operator.config import Config
from llama_operator.reconcile import ahead
from llama_operator.reconcile.blame import blame
from llama_operator.reconcile.plan import beside, controller_uid, plan
from llama_operator.reconcile.status import Failure, Observed, compute, resizes
from llama_operator.resources import auth
from tests.integration.property import kubelet
from tests.integration.property.cluster import CHILDREN, MODEL, Cluster
from tests.integration.property.ownership import differences
from tests.integration.server import Object

CONFIG = Config(stage_image="operator:1", server_images={"cpu": "server:1"})
"""As `world` starts the operator: cuda needs `spec.image`."""


@dataclass(frozen=True)
class View:
    """Everything in the namespace, at nearly one moment."""

    models: list[Object]
    children: list[Object]
    replica_sets: list[Object]
    pods: list[Object]


def look(cluster: Cluster) -> View:
    return View(
        models=cluster.list(MODEL),
        children=[child for kind in (*CHILDREN, "Job", "Secret") for child in cluster.list(kind)],
        replica_sets=cluster.list("ReplicaSet"),
        pods=cluster.list("Pod"),
    )


def wrong(view: View) -> list[str]:
    """All that is not as it should be; empty is right."""
    alive = {model["metadata"]["uid"] for model in view.models}
    found = [f"{model['metadata']['name']} is still being deleted" for model in view.models if _ending(model)]
    for obj in [*view.children, *view.replica_sets, *view.pods]:
        for owner in obj["metadata"].get("ownerReferences", []):
            if owner["kind"] == MODEL and owner["uid"] not in alive:
                found.append(f"{_told(obj)} is left over from a {owner['name']} that is gone")
    for model in view.models:
        found += [f"{model['metadata']['name']}: {what}" for what in _wrong_with(model, view)]
    return found


def _wrong_with(model: Object, view: View) -> Iterator[str]:
    uid, name = model["metadata"]["uid"], model["metadata"]["name"]
    mine = [child for child in view.children if controller_uid(child) == uid]
    pods = [pod for pod in view.pods if _label(pod) == name]
    try:
        deployment = next((child for child in mine if child["kind"] == "Deployment"), {})
        cause, _ = blame(deployment, pods, datetime.now(UTC), {}, {})
        parsed = parse(model)
    except SpecError as error:  # then the children stay as they are
        yield from _wrong_status(model, mine, pods, Failure("Invalid", str(error)))
        return
    desired, refused = ahead.feasible(parsed, CONFIG, mine, cause)
    failure = Failure("Invalid", str(refused)) if refused else None
    if not desired:
        yield from _wrong_status(model, mine, pods, failure)
        return
    by_ref = {_ref(child): child for child in view.children}
    taken = []
    for child in desired:
        live = by_ref.get(_ref(child))
        if child["kind"] == "Secret" and not _mounted(child, desired):
            continue  # it is made when pods are to mount it
        if live is None:
            yield f"{_told(child)} is missing"
        elif controller_uid(live) != uid:
            taken.append(child)
        elif _ending(live):
            yield f"{_told(child)} is being deleted"
        elif child["kind"] != "Secret":
            yield from (f"{_told(child)} {what}" for what in differences(beside(child, live) or child, live))
    if not taken:  # as long as a child cannot be made, nothing is pruned
        wanted = {_ref(child) for child in desired}
        yield from (f"{_told(child)} is not wanted" for child in mine if _ref(child) not in wanted | _kept(mine))
        todo = plan(desired, mine)
        yield from (f"{_told(child)} would be written" for child in [*todo.apply, *todo.delete])
    if deployment and deployment["spec"]["replicas"] and constants.FALLBACK in deployment["metadata"]["annotations"]:
        yield f"{_told(deployment)} has a version on trial, although its pods have had their say"
    open_ = resizes(model, Observed(mine, pods), CONFIG.server_images["cpu"])
    yield from (f"Pod {resize.pod['metadata']['name']} would be resized" for resize in open_)
    if taken and not failure:
        stalled = _conditions(model).get("Stalled", {"reason": "", "message": ""})
        failure = Failure(stalled["reason"], stalled["message"])
        if failure.reason != "NameConflict" or not any(_told(child) in failure.message for child in taken):
            yield f"Stalled says {stalled}, but {[_told(child) for child in taken]} belong to somebody else"
            return
    yield from _wrong_status(model, mine, pods, failure)


def _mounted(secret: Object, desired: list[Object]) -> bool:
    (deployment,) = (child for child in desired if child["kind"] == "Deployment")
    return bool(auth.mounted(deployment["spec"]["template"]) == secret["metadata"]["name"])


def _kept(mine: list[Object]) -> set[tuple[str, str]]:
    """A Secret stays as long as its model: nobody knows any more who has the key."""
    return {_ref(child) for child in mine if child["kind"] == "Secret"}


def _wrong_status(model: Object, mine: list[Object], pods: list[Object], failure: Failure | None) -> Iterator[str]:
    status = model.get("status", {})
    if status.get("observedGeneration") != model["metadata"]["generation"]:
        yield f"status is of generation {status.get('observedGeneration')}, not {model['metadata']['generation']}"
    addressless = "ingress" in model["spec"] or model["spec"]["service"]["type"] == "LoadBalancer"
    bad = kubelet.BAD in model["spec"].get("engine", {}).get("args", [])
    ready = _conditions(model).get("Ready", {})
    if ready.get("status") != str(not (failure or addressless or bad or not model["spec"]["replicas"])):
        yield f"Ready says {ready}"
    expected = compute(model, Observed(mine, pods), failure, "now")
    if status != expected:
        yield f"status is {status}, should be {expected}"


def _conditions(model: Object) -> dict[str, Object]:
    return {c["type"]: c for c in model.get("status", {}).get("conditions", [])}


def _ref(obj: Object) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def _told(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _label(obj: Object) -> str | None:
    label: str | None = obj["metadata"].get("labels", {}).get(constants.MODEL_LABEL)
    return label


def _ending(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]
