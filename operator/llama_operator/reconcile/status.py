"""The status of a model, computed from what exists. Pure, and stable: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api import conditions
from llama_operator.api.conditions import Reason, Type, condition
from llama_operator.api.staging import Progress, Staged
from llama_operator.api.summary import summary
from llama_operator.api.types import LlamaModel, Spec, readable
from llama_operator.reconcile import ahead, exposure, facts, pods, respondents, rollback, share, stagers, workload
from llama_operator.reconcile.evidence import Evidence, Suspect, of_pod, remembered
from llama_operator.reconcile.finding import Finding, steady
from llama_operator.reconcile.memory import Resize, due, short
from llama_operator.reconcile.plan import controller_uid
from llama_operator.reconcile.respondents import Respondent
from llama_operator.reconcile.rollback import Standing
from llama_operator.resources import endpoints, served

Object = dict[str, Any]

IN_PLACE = (Reason.STAGED, Reason.FILES_DIFFER)
"""Reasons of Staged while it is true."""

FILE_FIELDS = ("role", "bytes", "sha256", "revision", "architecture", "name", "quantization", "parameters", "parts")
MODEL_FIELDS = ("bytes", "sha256", "revision", "architecture", "name", "quantization", "parameters")
"""Members of `status.files`, and of `status.model` beside its summary. The API server drops others."""


@dataclass(frozen=True)
class Observed:
    """What the cache holds about one model; what events, the stager (how far it is), the servers, and the API server
    (to resizes) have told."""

    children: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    evidence: Evidence = field(default_factory=dict)
    progress: Progress | None = None
    told: facts.Told = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why the operator itself could not go on with this version of the spec."""

    reason: str
    message: str


def compute(raw: Object, observed: Observed, failure: Failure | None, now: str) -> Object:
    """The whole new `.status` of the LlamaModel `raw`; `now` (RFC 3339) is used only for what has changed."""
    old, generation = raw.get("status", {}), raw["metadata"].get("generation", 0)
    before = {c["type"]: c for c in old.get("conditions", []) if c.get("observedGeneration") == generation}
    seen = _see(raw, observed)
    deployment, claims = seen.deployment, workload.claims(seen.owned)
    evidence = {
        suspect: finding
        for suspect in _unexplained(raw, seen)
        if (finding := observed.evidence.get(suspect) or remembered(suspect, before.values()))
    }

    of_servers = workload.staged(raw["metadata"]["name"], deployment, seen.servers, seen.current)
    of_servers = steady(of_servers, before.get(Type.STAGED, {}))
    problems = facts.problems(seen.current, observed.told, before)
    serving = workload.serving(deployment, seen.current, of_servers, claims, evidence, problems)
    blocked = serving if serving.reason in conditions.SERVING_FAILURES else None
    staged = of_servers
    if seen.ahead:
        staged = stagers.staged(raw["metadata"]["name"], seen.job, seen.job_pods, held=seen.held is not None)
        staged = steady(staged, before.get(Type.STAGED, {}))
    stuck = stagers.stuck(seen.job, seen.job_pods, seen.job_claims, evidence) if seen.ahead else blocked
    available = steady(workload.available(deployment, serving), before.get(Type.AVAILABLE, {}))
    exposed = steady(exposure.exposed(raw, seen.owned, evidence), before.get(Type.EXPOSED, {}))
    parts = [staged, available, exposed]
    rolled_back = _rolled_back(seen)
    ready = (
        _failed(failure)
        or rolled_back
        or _missing(parts, stuck)
        or _rolled(deployment, blocked, held=seen.held is not None)
    )
    ready = steady(ready, before.get(Type.READY, {}))
    told: Object = {}
    deviation: Finding | None = None
    if available.reason == Reason.AVAILABLE:
        told, deviation = facts.judged(seen.asked, seen.current, observed.told, old, before)
    if deviation is None and (lack := short(seen.asked, seen.current, seen.servers, observed.refused)):
        deviation = steady(lack, before.get(Type.DEGRADED, {}))
    if deviation and ready.reason == Reason.READY:
        ready = _with(deviation, ready)
    wanted = [
        _told(Type.READY, ready, Reason.READY),
        _told(Type.STAGED, staged, *IN_PLACE),
        _told(Type.AVAILABLE, available, Reason.AVAILABLE),
        _told(Type.EXPOSED, exposed, Reason.EXPOSED),
    ]
    mistake = staged if staged.reason in conditions.PERMANENT else None
    other = ready if ready.reason == Reason.OTHER_MODEL else None
    stalled = ready if failure else rolled_back or other or mistake
    if stalled:
        wanted.append(condition(Type.STALLED, True, stalled.reason, stalled.message))
    elif ready.reason not in (Reason.READY, Reason.SCALED_TO_ZERO):
        wanted.append(condition(Type.RECONCILING, True, ready.reason, ready.message))
    if deviation:
        wanted.append(condition(Type.DEGRADED, True, deviation.reason, deviation.message))

    progress = observed.progress if staged.reason == Reason.STAGING else None
    status: Object = {
        "observedGeneration": generation,
        "conditions": conditions.merge(old.get("conditions", []), wanted, generation=generation, now=now),
        "state": share.state(
            ready.reason, progress, stalled=stalled is not None, degraded=deviation.reason if deviation else ""
        ),
        "replicas": deployment.get("status", {}).get("replicas", 0),
        "readyReplicas": deployment.get("status", {}).get("readyReplicas", 0),
        "selector": f"{constants.MODEL_LABEL}={raw['metadata']['name']},{constants.COMPONENT_LABEL}={constants.SERVER}",
        **_addresses(seen),
        **({"staging": share.staging(progress)} if progress else {}),
        **({"served": told} if told else {}),
    }
    return status | _files(staged, old)


def unexplained(raw: Object, observed: Observed) -> list[Suspect]:
    """Whose events may explain what stands in the way, where nothing that is watched does.

    In the order in which `Ready` names its reasons: an address is asked about only when a server answers.
    """
    return _unexplained(raw, _see(raw, observed))


def _unexplained(raw: Object, seen: _Seen) -> list[Suspect]:
    claims = workload.claims(seen.owned)
    if seen.ahead and (found := stagers.suspects(seen.job, seen.job_pods, seen.job_claims)):
        return found
    if seen.deployment.get("spec", {}).get("replicas") == 0:
        return []
    for pod in seen.current:
        found = [] if pods.failed(pod) else of_pod(pod, claims)
        if found:
            return found
    return exposure.suspects(raw, seen.owned) if seen.deployment.get("status", {}).get("availableReplicas") else []


def asked(raw: Object, observed: Observed) -> tuple[list[Respondent], list[Respondent]]:
    """Who can be asked how far it is, a pod that stages what the spec says now, and who what it serves."""
    seen = _see(raw, observed)
    stager = respondents.stager(seen.job_pods if seen.ahead else seen.current)
    return [stager] if stager else [], respondents.servers(seen.current)


def resizes(raw: Object, observed: Observed, shipped: str | None) -> list[Resize]:
    """Pods that are to be resized in place; `shipped`: the server image that the operator brings."""
    seen = _see(raw, observed)
    return due(seen.asked, shipped, seen.current)


@dataclass(frozen=True)
class _Seen:
    """What was observed, put in order. `ahead`: a Job stages for the spec; `held`: what is served meanwhile.

    `asked`: the model as the Deployment was made for it; it need not say so.
    """

    model: LlamaModel | None
    asked: LlamaModel | None
    owned: dict[str, Object]
    deployment: Object
    servers: list[Object]
    current: list[Object]
    ahead: bool
    held: Spec | None
    standing: Standing
    job: Object | None
    job_pods: list[Object]
    job_claims: list[Suspect]


def _see(raw: Object, observed: Observed) -> _Seen:
    ours = [child for child in observed.children if controller_uid(child) == raw["metadata"]["uid"]]
    owned = {child["kind"]: child for child in ours if child["kind"] != "Job"}  # of the others there is one at most
    deployment = owned.get("Deployment", {})
    servers = [pod for pod in observed.pods if stagers.is_server(pod)]
    model = readable(raw)  # else `failure` says what is wrong with the spec
    standing = rollback.standing(deployment)
    held = ahead.held(model, ours, None if standing.failed else standing.serves) if model else None
    job = ahead.stager_of(model, ours) if model else None
    made_from = standing.serves
    return _Seen(
        model=model,
        asked=served.put(model, made_from) if model and made_from else model,
        owned=owned,
        deployment=deployment,
        servers=servers,
        current=workload.current_pods(servers, deployment),
        ahead=model is not None and ahead.staged_ahead(model, standing, held),
        held=held,
        standing=standing,
        job=job,
        job_pods=stagers.of_a_job(job, observed.pods),
        job_claims=workload.claims(owned | {"Deployment": job or {}}),  # both have a pod template
    )


def _failed(failure: Failure | None) -> Finding | None:
    return Finding(Reason(failure.reason), failure.message, quotes=True) if failure else None


def _rolled_back(seen: _Seen) -> Finding | None:
    """Told by the Deployment, which forgets it when the spec becomes another (see `rollback`)."""
    failed = seen.standing.failed
    if failed is None:
        return None
    name, mark = seen.deployment["metadata"]["name"], constants.ROLLED_BACK
    return Finding(
        Reason.ROLLED_BACK,
        f"the newest version failed ({failed.reason}) and was rolled back; served is the last one that answered. "
        f"What it said: {failed.message}. Correct the spec, or have the same version tried again: "
        f"`kubectl annotate deployment {name} {mark}-`",
    )


def _missing(parts: list[Finding], stuck: Finding | None) -> Finding | None:
    """The first part that does not hold. `stuck`: why the pod that stages does not come to it."""
    good = (IN_PLACE, (Reason.AVAILABLE,), (Reason.EXPOSED,))
    for finding, expected in zip(parts, good, strict=True):
        if finding.reason == Reason.STAGING and stuck:
            return stuck  # it has no node or no image: staging would only say that it waits
        if finding.reason not in expected:
            return finding
    return None


def _with(deviation: Finding, ready: Finding) -> Finding:
    """Another model is not what was asked. Less of the right one can be worked with, by who knows it."""
    if deviation.reason == Reason.OTHER_MODEL:
        return deviation
    return Finding(ready.reason, f"{ready.message}; {deviation.message}")


def _rolled(deployment: Object, blocked: Finding | None, *, held: bool) -> Finding:
    """Each part holds; the rollout must be complete, too."""
    if held:
        return Finding(Reason.ROLLING_OUT, "the files are in place, and the servers are about to be replaced")
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    if seen and counts == [wanted] * 3:
        return Finding(Reason.READY, f"{wanted} of {wanted} servers answer")
    if blocked:
        return blocked  # older pods answer; this is why the newest version, or one more of it, does not
    return Finding(Reason.ROLLING_OUT, f"{counts[0]} of {wanted} servers have the new version, {counts[1]} answer")


def _told(type_: Type, finding: Finding, *good: Reason) -> Object:
    return condition(type_, finding.reason in good, finding.reason, finding.message)


def _files(staged: Finding, old: Object) -> Object:
    """`files`, `model` and `memory`: of those that were staged last, so of the ones that are served while others are
    being staged."""
    if not staged.files:
        return {name: old[name] for name in ("files", "model", "memory") if old.get(name)}
    told = [_members(file, FILE_FIELDS) for file in staged.files]
    models = [
        _members(file, MODEL_FIELDS) | ({"summary": words} if (words := summary(msgspec.convert(file, Staged))) else {})
        for file in staged.files
        if file["role"] == "model"
    ]
    predicted = {"memory": staged.memory} if staged.memory else {}
    return {"files": told} | ({"model": models[0]} if models else {}) | predicted


def _members(file: Object, names: tuple[str, ...]) -> Object:
    return {name: file[name] for name in names if name in file}


def _addresses(seen: _Seen) -> dict[str, str]:
    """Below the path where the servers answer now."""
    if seen.model is None:
        return {}
    answers = seen.asked or seen.model
    outside = endpoints.ingress_url(answers) if seen.model.spec.ingress else None
    return {"url": endpoints.service_url(answers)} | ({"ingressURL": outside} if outside else {})
