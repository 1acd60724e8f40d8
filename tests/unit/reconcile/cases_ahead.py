"""States in which a Job stages ahead of the servers, or in which the files are not as one would wish."""

from __future__ import annotations

import copy
import json
from typing import Any

from llama_operator import constants
from llama_operator.api.conditions import Reason
from llama_operator.api.types import parse
from llama_operator.reconcile.evidence import Suspect
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.status import Observed
from llama_operator.resources.job import stage_job
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.objects import (
    FILE,
    STAGED,
    Object,
    answering,
    container,
    observed,
    pod,
    running,
    serving,
    stage_failed,
    staging,
    template_hash,
    terminated,
    unscheduled,
    waiting,
)
from tests.unit.resources.models import CONFIG, raw

STORED: Object = {"storage": {"claim": {"size": "1Gi"}}}
NEW: Object = STORED | {"source": {"url": {"url": "http://files/new.gguf"}}}
NONE: Object = STORED | {"replicas": 0}
JOB = Suspect("Job", "tiny-stage", "uid-Job")
CRASHED = container("llama-server", waiting("CrashLoopBackOff"), terminated(1, "E bad flag"), 1)


def of_job(built: Object, phase: str = "Pending") -> Object:
    """The pod as one of the Job's: its stager is no init container."""
    found = copy.deepcopy(built)
    status = found["status"]
    if "initContainerStatuses" in status:
        status |= {"containerStatuses": status.pop("initContainerStatuses"), "phase": phase}
    found["metadata"] |= {
        "name": "tiny-stage-x2x5k",
        "labels": {constants.MODEL_LABEL: "tiny", constants.COMPONENT_LABEL: constants.STAGER},
        "ownerReferences": [{"kind": "Job", "name": "tiny-stage", "uid": "uid-Job", "controller": True}],
    }
    return found


def job(told: str = "", **spec: Any) -> Object:
    """The model's Job; `told`: the condition by which it has ended."""
    built = copy.deepcopy(stage_job(parse(raw(**spec)), CONFIG))
    built["metadata"] |= {"name": "tiny-stage", "uid": "uid-Job", "resourceVersion": "1"}
    conditions = [{"type": told, "status": "True", "reason": "R", "message": "as it says"}]
    return built | {"status": {"conditions": conditions if told else []}}


SERVER = answering(version=template_hash(**STORED))
DONE = of_job(pod(stage=container("stage", STAGED)), "Succeeded")


def with_proxy(built: Object) -> Object:
    """Of a service mesh that injects an ordinary container."""
    found = copy.deepcopy(built)
    found["status"]["phase"] = "Running"
    found["status"]["containerStatuses"].append(container("istio-proxy", running(), ready=True))
    return found


def held(*pods: Object, told: str = "", server: Object = SERVER, **seen: Any) -> Observed:
    """The old source is served, and a Job stages the new one."""
    found = observed([server, *pods], **seen, **STORED)
    return Observed([*found.children, job(told, **NEW)], found.pods, found.evidence)


def none(*pods: Object, told: str = "") -> Observed:
    found = observed(list(pods), **NONE)
    return Observed([*found.children, job(told, **NONE)], found.pods, found.evidence)


def unbound() -> Observed:
    """The claim that the Job's pod waits for is named by the Job alone, if there was none before."""
    found = none(of_job(unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")))
    for child in found.children:
        if child["kind"] == "PersistentVolumeClaim":
            child["status"]["phase"] = "Pending"
        if child["kind"] == "Deployment":
            child["spec"]["template"]["spec"]["volumes"] = [{"name": "models", "emptyDir": {}}]
    claim = Suspect("PersistentVolumeClaim", "tiny-model", "uid-PersistentVolumeClaim")
    return Observed(found.children, found.pods, {claim: Finding(Reason.VOLUME_PENDING, "no such class")})


def another(digest: str) -> Object:
    """A server whose file has another digest."""
    report = json.dumps({"files": [FILE | {"sha256": digest * 32}]})
    built = answering(name=f"tiny-{digest}")
    built["status"]["initContainerStatuses"] = [container("stage", terminated(0, report), ready=True)]
    return built


_MKDIR = 'failed to apply OCI options: failed to mkdir "": mkdir : no such file or directory'
_KEEP = "until it is staged, the servers keep what they have"
_REFUSED = {JOB: Finding(Reason.PODS_REFUSED, "Job tiny-stage has no pod: exceeded quota")}

AHEAD = [
    Case("new source, Job without a pod", held(), "Staging Staging Available Exposed Reconciling", NEW, words=_KEEP),
    Case(
        "new source, Job may not make a pod",
        held(evidence=_REFUSED),
        "PodsRefused Staging Available Exposed Reconciling",
        NEW,
        words="exceeded quota",
    ),
    Case(
        "new source, no room for the Job's pod",
        held(of_job(unscheduled("no room"))),
        "Unschedulable Staging Available Exposed Reconciling",
        NEW,
        words="no room",
    ),
    Case(
        "no replicas, and a claim that cannot be bound",
        unbound(),
        "VolumePending Staging ScaledToZero Exposed Reconciling",
        NONE,
        words="no such class",
    ),
    Case("new source is being staged", held(of_job(staging())), "Staging Staging Available Exposed Reconciling", NEW),
    Case(
        "new source has another digest",
        held(of_job(stage_failed("DigestMismatch"))),
        "DigestMismatch DigestMismatch Available Exposed Stalled",
        NEW,
        words=_KEEP,
    ),
    Case(
        "new source is too large for the quota",
        held(of_job(stage_failed("QuotaExceeded"))),
        "QuotaExceeded QuotaExceeded Available Exposed Reconciling",
        NEW,
    ),
    Case(
        "new source, and the old one's server crashes",
        held(of_job(staging()), server=serving(CRASHED, version=template_hash(**STORED))),
        "Staging Staging ServerCrashed Exposed Reconciling",
        NEW,
    ),
    Case(
        "new source is there, and not yet served",
        held(DONE, told="Complete"),
        "RollingOut Staged Available Exposed Reconciling",
        NEW,
    ),
    Case(
        "new source is there, and a proxy keeps the Job from ending",
        held(with_proxy(DONE)),
        "PodBlocked Staging Available Exposed Reconciling",
        NEW,
        words="every file is in place, but container istio-proxy of pod tiny-stage-x2x5k",
    ),
    Case(
        "no replicas, and a proxy keeps the Job from ending",
        none(with_proxy(DONE)),
        "PodBlocked Staging ScaledToZero Exposed Reconciling",
        NONE,
        words="does not end, and so the Job does not",
    ),
    Case(
        "new source, Job gave up",
        held(told="Failed"),
        "StagingFailed StagingFailed Available Exposed Reconciling",
        NEW,
        words="kubectl delete job tiny-stage",
    ),
    Case(
        "no replicas, and a Job stages",
        none(of_job(staging())),
        "Staging Staging ScaledToZero Exposed Reconciling",
        NONE,
    ),
    Case("no replicas, and staged", none(DONE, told="Complete"), "ScaledToZero Staged ScaledToZero Exposed", NONE),
    Case("no replicas, and staged long ago", none(told="Complete"), "ScaledToZero Staged ScaledToZero Exposed", NONE),
    Case(
        "no replicas, and no such file",
        none(of_job(stage_failed("NotFound"))),
        "NotFound NotFound ScaledToZero Exposed Stalled",
        NONE,
    ),
    Case(
        "pods serve different files",
        observed([another("ab"), another("cd")], replicas=2, status={"availableReplicas": 2, "readyReplicas": 2}),
        "Ready FilesDiffer Available Exposed",
        {"replicas": 2},
    ),
    Case(
        "runtime without image volumes",
        observed([pod(stage=container("stage", waiting("CreateContainerError", _MKDIR)))]),
        "ImageVolumeUnsupported ImageVolumeUnsupported Pending Exposed Stalled",
        words="containerd 2.1",
    ),
]
