"""The status of a model, computed from what exists. Pure, and stable: the same input gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_operator import constants
from llama_operator.api import conditions
from llama_operator.api.conditions import Reason, Type, condition
from llama_operator.api.types import LlamaModel, SpecError, parse
from llama_operator.reconcile import exposure, pods, workload
from llama_operator.reconcile.evidence import Evidence, Suspect, of_pod, remembered
from llama_operator.reconcile.finding import Finding, steady
from llama_operator.reconcile.plan import controller_uid
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
    """What the cache holds about one model, and what events have told."""

    children: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why the operator itself could not go on with this version of the spec."""

    reason: str
    message: str


def compute(raw: Object, observed: Observed, failure: Failure | None, now: str) -> Object:
    """The whole new `.status` of the LlamaModel `raw`; `now` (RFC 3339) is used only for what has changed."""
    old, generation = raw.get("status", {}), raw["metadata"].get("generation", 0)
    before = {c["type"]: c for c in old.get("conditions", []) if c.get("observedGeneration") == generation}
    owned = _owned(raw, observed)
    deployment = owned.get("Deployment", {})
    current = workload.current_pods(observed.pods, deployment)
    evidence = {
        suspect: finding
        for suspect in unexplained(raw, observed)
        if (finding := observed.evidence.get(suspect) or remembered(suspect, before.values()))
    }

    staged = workload.staged(raw["metadata"]["name"], deployment, observed.pods, current)
    staged = steady(staged, before.get(Type.STAGED, {}))
    serving = workload.serving(deployment, current, staged, workload.claims(owned), evidence)
    available = steady(workload.available(deployment, serving), before.get(Type.AVAILABLE, {}))
    exposed = steady(exposure.exposed(raw, owned, evidence), before.get(Type.EXPOSED, {}))
    ready = steady(_ready(deployment, failure, [staged, available, exposed], serving), before.get(Type.READY, {}))
    wanted = [
        _told(Type.READY, ready, Reason.READY),
        _told(Type.STAGED, staged, Reason.STAGED),
        _told(Type.AVAILABLE, available, Reason.AVAILABLE),
        _told(Type.EXPOSED, exposed, Reason.EXPOSED),
    ]
    if failure or staged.reason in PERMANENT:
        stalled = ready if failure else staged
        wanted.append(condition(Type.STALLED, True, stalled.reason, stalled.message))
    elif ready.reason not in (Reason.READY, Reason.SCALED_TO_ZERO):
        wanted.append(condition(Type.RECONCILING, True, ready.reason, ready.message))

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


def unexplained(raw: Object, observed: Observed) -> list[Suspect]:
    """Whose events may explain what stands in the way, where nothing that is watched does.

    In the order in which `Ready` names its reasons: an address is asked about only when a server answers.
    """
    owned = _owned(raw, observed)
    deployment = owned.get("Deployment", {})
    if deployment.get("spec", {}).get("replicas") == 0:
        return []
    claims = workload.claims(owned)
    for pod in workload.current_pods(observed.pods, deployment):
        found = [] if pods.failed(pod) else of_pod(pod, claims)
        if found:
            return found
    return exposure.suspects(raw, owned) if deployment.get("status", {}).get("availableReplicas") else []


def _owned(raw: Object, observed: Observed) -> dict[str, Object]:
    """The model's children by kind; there is one of each at most."""
    return {c["kind"]: c for c in observed.children if controller_uid(c) == raw["metadata"]["uid"]}


def _ready(deployment: Object, failure: Failure | None, parts: list[Finding], serving: Finding) -> Finding:
    """The first part that does not hold; if all hold, the rollout must be complete."""
    if failure:
        return Finding(Reason(failure.reason), failure.message, quotes=True)
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
