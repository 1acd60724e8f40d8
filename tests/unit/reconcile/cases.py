"""Models in every state there is: what exists, and the reasons that the conditions must then have."""

from __future__ import annotations

from typing import Any

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.reconcile.evidence import Suspect
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.status import Failure, Observed, compute
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.cases_ahead import AHEAD
from tests.unit.reconcile.cases_facts import FACTS
from tests.unit.reconcile.cases_memory import MEMORY_CASES
from tests.unit.reconcile.cases_rollback import ROLLED_BACK
from tests.unit.reconcile.objects import (
    LATER,
    NAME,
    Object,
    answering,
    condition,
    container,
    observed,
    pod,
    running,
    serving,
    set_up,
    stage_failed,
    staging,
    template_hash,
    terminated,
    unscheduled,
    waiting,
)
from tests.unit.resources.models import raw

NOW, SOON = "2026-11-24T03:00:00Z", "2026-11-24T03:00:10Z"
INGRESS: dict[str, Any] = {"ingress": {"host": "a.example.com"}}
LOADING = serving(container("llama-server", running()))
CRASHED = serving(container("llama-server", waiting("CrashLoopBackOff"), terminated(1, "E bad flag"), 1))
EVICTED = pod(name="tiny-a", phase="Failed", reason="Evicted", message="disk pressure")
FORBIDDEN = condition("ReplicaFailure", True, reason="FailedCreate", message="violates PodSecurity")
NO_SETS = condition("Progressing", False, reason="ReplicaSetCreateError", message="exceeded quota: few")
STORAGE: dict[str, Any] = {"storage": {"claim": {"size": "1Gi"}}}
MINE: dict[str, Any] = {"source": {"volume": {"claimName": "mine", "path": "m.gguf"}}}
MAY_PASS = {"SourceUnreachable", "SourceError", "StagingFailed", "DiskFull", "QuotaExceeded"}
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
POD = Suspect("Pod", NAME, f"uid-{NAME}")
CLAIM = Suspect("PersistentVolumeClaim", "tiny-model", "uid-PersistentVolumeClaim")
FOREIGN = Suspect("PersistentVolumeClaim", "mine")


def evidence(suspect: Suspect, reason: Reason, words: str) -> dict[Suspect, Finding]:
    return {suspect: Finding(reason, words)}


def case(name: str, pods: list[Object], reasons: str, *, words: str = "", **given: Any) -> Case:
    seen = {key: given.pop(key) for key in ("status", "ingress_ip", "phase", "evidence") if key in given}
    return Case(name, observed(pods, **seen, **given), reasons, given, words=words)


def rollout(updated: int, available: int, replicas: int) -> Object:
    return {"updatedReplicas": updated, "availableReplicas": available, "replicas": replicas, "readyReplicas": 1}


def server(state: Object, last: Object | None = None) -> Object:
    return serving(container("llama-server", state, last))


CASES = [
    Case("new", Observed(), "Staging Staging Pending ServiceMissing Reconciling"),
    case("no pod yet", [], "Staging Staging Pending Exposed Reconciling"),
    case("staging", [staging()], "Staging Staging Pending Exposed Reconciling"),
    case(
        "no room", [unscheduled("no room")], "Unschedulable Staging Unschedulable Exposed Reconciling", words="no room"
    ),
    case(
        "no such claim",
        [unscheduled('persistentvolumeclaim "mine" not found', version=template_hash(**MINE))],
        "VolumePending Staging VolumePending Exposed Reconciling",
        words="create the PersistentVolumeClaim mine",
        **MINE,
    ),
    case(
        "claim not bound yet",
        [unscheduled(UNBOUND, version=template_hash(**STORAGE))],
        "Staging Staging Pending Exposed Reconciling",
        phase="Pending",
        **STORAGE,
    ),
    case(
        "claim that cannot be bound",
        [unscheduled(UNBOUND, version=template_hash(**STORAGE))],
        "VolumePending Staging VolumePending Exposed Reconciling",
        phase="Pending",
        evidence=evidence(CLAIM, Reason.VOLUME_PENDING, "no such class"),
        words="no such class",
        **STORAGE,
    ),
    case(
        "claim that cannot be bound, and is not ours",
        [unscheduled(UNBOUND, version=template_hash(**MINE))],
        "VolumePending Staging VolumePending Exposed Reconciling",
        evidence=evidence(FOREIGN, Reason.VOLUME_PENDING, "no such class"),
        words="no such class",
        **MINE,
    ),
    case("being set up", [set_up()], "Staging Staging Pending Exposed Reconciling"),
    case(
        "cannot be set up",
        [set_up()],
        "PodBlocked Staging PodBlocked Exposed Reconciling",
        evidence=evidence(POD, Reason.POD_BLOCKED, "no network"),
        words="no network",
    ),
    case(
        "quota for ReplicaSets",
        [],
        "PodsRefused Staging PodsRefused Exposed Reconciling",
        status={"conditions": [NO_SETS]},
        words="exceeded quota: few; raise the ResourceQuota",
    ),
    case(
        "the pod before does not end",
        [answering(version="old") | {"metadata": {**answering()["metadata"], "deletionTimestamp": LATER}}],
        "Staging Staging Pending Exposed Reconciling",
        status=rollout(0, 0, 0),
        words=f"the next pod starts when pod {NAME} has ended",
        **STORAGE,
    ),
    case(
        "the pod before was evicted and stays as a record",
        [pod(name="tiny-a", version="old", phase="Failed", reason="Evicted")],
        "Staging Staging Pending Exposed Reconciling",
        status=rollout(0, 0, 0),
        words="waiting for a pod that can stage the model's files",
        **STORAGE,
    ),
    case(
        "quota or policy",
        [],
        "PodsRefused Staging PodsRefused Exposed Reconciling",
        status={"conditions": [FORBIDDEN]},
        words="violates PodSecurity",
    ),
    case(
        "stager's image",
        [pod(stage=container("stage", waiting("ErrImagePull")))],
        "ImagePullFailed ImagePullFailed Pending Exposed Reconciling",
    ),
    case(
        "token missing",
        [pod(stage=container("stage", waiting("CreateContainerConfigError", "secret not found")))],
        "ContainerConfigInvalid ContainerConfigInvalid Pending Exposed Reconciling",
    ),
    *(
        case(
            f"stager: {reason}",
            [stage_failed(reason)],
            f"{reason} {reason} Pending Exposed {'Reconciling' if reason in MAY_PASS else 'Stalled'}",
        )
        for reason in sorted(STAGING_FAILURES)
    ),
    case("loading", [LOADING], "Starting Staged Starting Exposed Reconciling"),
    case(
        "server's image",
        [server(waiting("ImagePullBackOff"))],
        "ImagePullFailed Staged ImagePullFailed Exposed Reconciling",
    ),
    case("crashes", [CRASHED], "ServerCrashed Staged ServerCrashed Exposed Reconciling", words="E bad flag"),
    case(
        "out of memory",
        [server(waiting("CrashLoopBackOff"), terminated(137, reason="OOMKilled"))],
        "OutOfMemory Staged OutOfMemory Exposed Reconciling",
    ),
    case(
        "sidecar ended",
        [serving(container("llama-server", running(), ready=True), sidecar=container("sidecar", terminated(1)))],
        "SidecarFailed Staged SidecarFailed Exposed Reconciling",
    ),
    case(
        "hangs",
        [serving(container("llama-server", running()), ready=condition("Ready", False, since=LATER))],
        "Unresponsive Staged Unresponsive Exposed Reconciling",
    ),
    case("evicted", [EVICTED], "PodFailed PodFailed PodFailed Exposed Reconciling", words="Evicted: disk pressure"),
    case("evicted and replaced", [EVICTED, answering()], "Ready Staged Available Exposed"),
    case("answers", [answering()], "Ready Staged Available Exposed", words="1 of 1 servers answer"),
    case("scaled to zero", [], "ScaledToZero ScaledToZero ScaledToZero Exposed", replicas=0),
    case("going down to zero", [answering()], "ScaledToZero ScaledToZero ScaledToZero Exposed", replicas=0),
    case("Ingress ignored", [answering()], "IngressPending Staged Available IngressPending Reconciling", **INGRESS),
    case(
        "Ingress refused",
        [answering()],
        "IngressPending Staged Available IngressPending Reconciling",
        evidence=evidence(Suspect("Ingress", "tiny", "uid-Ingress"), Reason.INGRESS_PENDING, "no subnets"),
        words="no subnets",
        **INGRESS,
    ),
    case("Ingress taken up", [answering()], "Ready Staged Available Exposed", ingress_ip="10.0.0.1", **INGRESS),
    case(
        "no load balancer",
        [answering()],
        "LoadBalancerPending Staged Available LoadBalancerPending Reconciling",
        service={"type": "LoadBalancer"},
    ),
    case(
        "load balancer",
        [answering()],
        "Ready Staged Available Exposed",
        service={"type": "LoadBalancer"},
        ingress_ip="10.0.0.1",
    ),
    case(
        "old version answers, new one loads",
        [answering(name="tiny-a", version="old"), serving(container("llama-server", running()), name="tiny-b")],
        "RollingOut Staged Available Exposed Reconciling",
        status=rollout(1, 1, 2),
    ),
    case(
        "old version answers, new one stages",
        [answering(name="tiny-a", version="old"), staging(name="tiny-b")],
        "Staging Staging Available Exposed Reconciling",
        status=rollout(1, 1, 2),
    ),
    case(
        "old version answers, new one has another digest",
        [answering(name="tiny-a", version="old"), stage_failed("DigestMismatch", name="tiny-b")],
        "DigestMismatch DigestMismatch Available Exposed Stalled",
        status=rollout(1, 1, 2),
    ),
    case(
        "old version answers, new one has too small a limit",
        [answering(name="tiny-a", version="old"), stage_failed("MemoryTooSmall", name="tiny-b")],
        "MemoryTooSmall MemoryTooSmall Available Exposed Stalled",
        status=rollout(1, 1, 2),
    ),
    case(
        "old version answers, new one crashes",
        [answering(name="tiny-a", version="old"), CRASHED],
        "ServerCrashed Staged Available Exposed Reconciling",
        status=rollout(1, 1, 2),
        words="E bad flag",
    ),
    case(
        "old version answers, no room for the new one",
        [answering(name="tiny-a", version="old"), unscheduled("no room", name="tiny-b")],
        "Unschedulable Staging Available Exposed Reconciling",
        status=rollout(1, 1, 2),
        words="no room",
    ),
    case(
        "old version answers, the policy refuses the new one",
        [answering(name="tiny-a", version="old")],
        "PodsRefused Staging Available Exposed Reconciling",
        status=rollout(0, 1, 1) | {"conditions": [FORBIDDEN]},
    ),
    case(
        "all answer, but the controller has not seen the new version yet",
        [answering()],
        "RollingOut Staged Available Exposed Reconciling",
        status={"observedGeneration": 0},
    ),
    case(
        "two of three answer",
        [answering(name="tiny-a"), answering(name="tiny-b"), serving(container("llama-server", running()))],
        "RollingOut Staged Available Exposed Reconciling",
        replicas=3,
    ),
    case(
        "one of two crashes, whatever the order of their names",
        [serving(container("llama-server", running()), name="tiny-a"), CRASHED],
        "ServerCrashed Staged ServerCrashed Exposed Reconciling",
        replicas=2,
    ),
    *(
        Case(
            f"operator: {reason}",
            observed([answering()]),
            f"{reason} Staged Available Exposed Stalled",
            failure=Failure(reason, "why"),
            words="why",
        )
        for reason in ("Invalid", "NameConflict", "Forbidden", "Contested", "APIError")
    ),
    *AHEAD,
    *ROLLED_BACK,
    *FACTS,
    *MEMORY_CASES,
]


def judge(case: Case, old: Object | None = None, now: str = NOW) -> Object:
    manifest = raw(**case.spec) | ({"status": old} if old is not None else {})
    return compute(manifest, case.observed, case.failure, now)
