"""The status of a model, computed from what exists. Pure, and stable: the same input gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_operator import constants
from llama_operator.api import conditions
from llama_operator.api.conditions import Reason, Type, condition
from llama_operator.api.types import LlamaModel, SpecError, parse
from llama_operator.reconcile import pods
from llama_operator.reconcile.plan import controller_uid
from llama_operator.reconcile.pods import Finding
from llama_operator.resources import endpoints

Object = dict[str, Any]

PERMANENT = conditions.STAGING_FAILURES - {
    Reason.SOURCE_UNREACHABLE,
    Reason.SOURCE_ERROR,
    Reason.STAGING_FAILED,
}
"""Staging failures that trying again will not mend. (The kubelet does try again, with growing pauses.)"""


@dataclass(frozen=True)
class Observed:
    """What the cache holds about one model."""

    children: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """Why the operator itself could not go on with this version of the spec."""

    reason: str
    message: str


def compute(raw: Object, observed: Observed, failure: Failure | None, now: str) -> Object:
    """The whole new `.status` of the LlamaModel `raw`; `now` (RFC 3339) is used only for what has changed."""
    old = raw.get("status", {})
    uid = raw["metadata"]["uid"]
    owned = {child["kind"]: child for child in observed.children if controller_uid(child) == uid}
    deployment = owned.get("Deployment", {})
    current = _current_pods(observed.pods, deployment)

    staged = _staged(deployment, current)
    serving = _serving(deployment, current, staged)
    available = _available(deployment, serving)
    exposed = _exposed(raw, owned)
    wanted = [_told(Type.STAGED, staged, Reason.STAGED), _told(Type.AVAILABLE, available, Reason.AVAILABLE)]
    wanted.append(_told(Type.EXPOSED, exposed, Reason.EXPOSED))
    ready = _ready(deployment, failure, [staged, available, exposed], serving)
    wanted.insert(0, _told(Type.READY, ready, Reason.READY))
    stalled = failure or (Failure(staged.reason, staged.message) if staged.reason in PERMANENT else None)
    if stalled:
        wanted.append(condition(Type.STALLED, True, stalled.reason, stalled.message))
    elif ready.reason not in (Reason.READY, Reason.SCALED_TO_ZERO):
        wanted.append(condition(Type.RECONCILING, True, ready.reason, ready.message))

    generation = raw["metadata"].get("generation", 0)
    status: Object = {
        "observedGeneration": generation,
        "conditions": conditions.merge(old.get("conditions", []), wanted, generation=generation, now=now),
        "replicas": deployment.get("status", {}).get("replicas", 0),
        "readyReplicas": deployment.get("status", {}).get("readyReplicas", 0),
        "selector": f"{constants.MODEL_LABEL}={raw['metadata']['name']}",
        **_addresses(raw),
    }
    found = staged.model or old.get("model")
    return status | ({"model": found} if found else {})


def _current_pods(observed: list[Object], deployment: Object) -> list[Object]:
    """Pods of the Deployment's present template that are not on their way out.

    Pods that have failed for ever (evicted ones stay as records) count only while no other took their place.
    """
    template = deployment.get("spec", {}).get("template", {}).get("metadata", {})
    version = template.get("annotations", {}).get(constants.APPLIED_HASH)
    current = [
        pod
        for pod in sorted(observed, key=lambda pod: str(pod["metadata"]["name"]))
        if "deletionTimestamp" not in pod["metadata"]
        and version is not None
        and pod["metadata"].get("annotations", {}).get(constants.APPLIED_HASH) == version
    ]
    return [pod for pod in current if not pods.failed(pod)] or current


def _staged(deployment: Object, current: list[Object]) -> Finding:
    if deployment.get("spec", {}).get("replicas") == 0:
        return Finding(Reason.SCALED_TO_ZERO, "spec.replicas is 0")
    found = [pods.staging(pod) for pod in current]
    for finding in found:
        if finding.reason not in (Reason.STAGED, Reason.STAGING):
            return finding
    for finding in found:
        if finding.reason == Reason.STAGING:
            return finding
    return found[0] if found else Finding(Reason.STAGING, "waiting for a pod to stage the model file")


def _serving(deployment: Object, current: list[Object], staged: Finding) -> Finding:
    """How far the pods of the newest version are, whatever older ones do: problems first, then progress."""
    for c in deployment.get("status", {}).get("conditions", []):
        if c["type"] == "ReplicaFailure" and c["status"] == "True":
            return Finding(Reason.PODS_REFUSED, c.get("message", "the cluster refuses the pods"))
    if staged.reason != Reason.STAGED:
        waiting = Finding(Reason.PENDING, "llama-server starts once the model file is staged")
    else:
        waiting = pods.LOADING
    found = [pods.serving(pod) for pod in current]
    problems = [finding for finding in found if finding.reason in conditions.SERVING_FAILURES]
    starting = [finding for finding in found if finding.reason == Reason.STARTING]
    return (problems + starting + [waiting])[0]


def _available(deployment: Object, serving: Finding) -> Finding:
    """Does any server answer, an older version's included?"""
    status = deployment.get("status", {})
    if deployment.get("spec", {}).get("replicas") == 0:
        return Finding(Reason.SCALED_TO_ZERO, "spec.replicas is 0")
    if status.get("availableReplicas", 0) > 0:
        return Finding(Reason.AVAILABLE, f"{status['availableReplicas']} of {status.get('replicas', 0)} servers answer")
    return serving


def _exposed(raw: Object, owned: dict[str, Object]) -> Finding:
    service, ingress = owned.get("Service"), owned.get("Ingress")
    if service is None:
        return Finding(Reason.SERVICE_MISSING, "the Service does not exist yet")
    if service["spec"].get("type") == "LoadBalancer" and not _has_address(service):
        return Finding(Reason.LOAD_BALANCER_PENDING, f"Service {service['metadata']['name']} has no address yet")
    if "ingress" not in raw.get("spec", {}):
        return Finding(Reason.EXPOSED, "reachable through the Service")
    if ingress is None or not _has_address(ingress):
        wanted = raw["spec"]["ingress"].get("className")
        which = f"IngressClass {wanted}" if wanted else "the default IngressClass (spec.ingress.className is not set)"
        return Finding(
            Reason.INGRESS_PENDING,
            f"no ingress controller has taken up Ingress {raw['metadata']['name']} yet; is one installed for {which}?",
        )
    return Finding(Reason.EXPOSED, "reachable through Service and Ingress")


def _has_address(obj: Object) -> bool:
    return bool(obj.get("status", {}).get("loadBalancer", {}).get("ingress"))


def _ready(deployment: Object, failure: Failure | None, parts: list[Finding], serving: Finding) -> Finding:
    """The first part that does not hold; if all hold, the rollout must be complete."""
    if failure:
        return Finding(Reason(failure.reason), failure.message)
    blocked = serving.reason in conditions.SERVING_FAILURES
    good = (Reason.STAGED, Reason.AVAILABLE, Reason.EXPOSED)
    for finding, expected in zip(parts, good, strict=True):
        if finding.reason == Reason.STAGING and blocked:
            return serving  # a pod that has no node or no image: staging would only say that it waits
        if finding.reason != expected:
            return finding
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    if seen and counts == [wanted] * 3:
        return Finding(Reason.READY, f"{wanted} of {wanted} servers answer")
    if blocked:
        return serving  # older pods answer; this is why the newest version, or one more of it, does not
    return Finding(Reason.ROLLING_OUT, f"{counts[0]} of {wanted} servers have the new version, {counts[1]} answer")


def _told(type_: Type, finding: Finding, good: Reason) -> Object:
    return condition(type_, finding.reason == good, finding.reason, finding.message)


def _addresses(raw: Object) -> dict[str, str]:
    try:
        model: LlamaModel = parse(raw)
    except SpecError:
        return {}  # `failure` already says what is wrong with the spec
    addresses = {"url": endpoints.service_url(model)}
    outside = endpoints.ingress_url(model)
    return addresses | ({"ingressURL": outside} if outside else {})
