"""The status of a model, from its children and pods as they really look."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.reconcile.status import PERMANENT, Failure, Observed, compute

from tests.unit.reconcile.objects import (
    CREATED,
    LATER,
    REPORT,
    Object,
    answering,
    condition,
    container,
    observed,
    pod,
    running,
    serving,
    stage_failed,
    staging,
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


@dataclass(frozen=True)
class Case:
    """What there is, and the reasons of Ready, Staged, Available and Exposed; then Reconciling, Stalled or neither."""

    name: str
    observed: Observed
    reasons: str
    spec: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    words: str = ""


def case(name: str, pods: list[Object], reasons: str, *, words: str = "", **given: Any) -> Case:
    status, ip, spec = given.pop("status", None), given.pop("ingress_ip", None), given
    return Case(name, observed(pods, status=status, ingress_ip=ip, **spec), reasons, spec, words=words)


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
            f"{reason} {reason} Pending Exposed {'Stalled' if reason in PERMANENT else 'Reconciling'}",
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
        for reason in ("Invalid", "NameConflict", "Forbidden", "APIError")
    ),
]


def judge(case: Case, old: Object | None = None, now: str = NOW) -> Object:
    manifest = raw(**case.spec) | ({"status": old} if old is not None else {})
    return compute(manifest, case.observed, case.failure, now)


def by_type(status: Object) -> dict[str, Object]:
    return {c["type"]: c for c in status["conditions"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reasons(case: Case) -> None:
    found = by_type(judge(case))
    told = [found.pop(type_)["reason"] for type_ in ("Ready", "Staged", "Available", "Exposed")]
    assert " ".join([*told, *found]) == case.reasons


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conditions_agree_with_each_other(case: Case) -> None:
    found = by_type(judge(case))
    good = {"Ready": "Ready", "Staged": "Staged", "Available": "Available", "Exposed": "Exposed"}
    for type_, reason in good.items():
        assert found[type_]["status"] == str(found[type_]["reason"] == reason)
    ready = found["Ready"]
    if ready["status"] == "True":
        assert all(found[type_]["status"] == "True" for type_ in good)
        assert len(found) == len(good), "Ready, and still Reconciling or Stalled"
    for type_ in found.keys() - good.keys():
        assert (found[type_]["status"], found[type_]["reason"]) == ("True", ready["reason"])
    assert case.words in ready["message"]
    assert all(c["message"] for c in found.values()), "every condition has a message for a person"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_computing_again_changes_nothing(case: Case) -> None:
    """Otherwise the operator would write for ever."""
    first = judge(case)
    untouched = copy.deepcopy(case)
    assert judge(case, old=first, now=SOON) == first
    assert case == untouched, "computing changed its input"


def test_every_reason_can_be_reached() -> None:
    """The list is closed: a reason that no case reaches is either dead or untested."""
    reached = {c["reason"] for case in CASES for c in judge(case)["conditions"]}
    assert reached == {str(reason) for reason in Reason}


def pairs() -> Iterator[tuple[Case, Case]]:
    for before in CASES:
        for after in CASES:
            if before.spec == after.spec:
                yield before, after


def test_last_transition_time_moves_only_when_the_status_flips() -> None:
    for before, after in pairs():
        old = judge(before)
        new = by_type(judge(after, old=old, now=SOON))
        for type_, c in new.items():
            previous = by_type(old).get(type_)
            stayed = previous is not None and previous["status"] == c["status"]
            assert c["lastTransitionTime"] == (NOW if stayed else SOON), (before.name, after.name, type_)


def test_numbers_and_addresses() -> None:
    status = judge(next(c for c in CASES if c.name == "Ingress taken up"))
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 1,
        "readyReplicas": 1,
        "selector": "llama-operator.dev/model=tiny",
        "url": "http://tiny.default.svc:8000",
        "ingressURL": "http://a.example.com",
        "model": REPORT,
    }


def test_what_was_found_in_the_file_stays_known() -> None:
    """Pods come and go; while the next one stages, the file is still what it was."""
    old = judge(next(c for c in CASES if c.name == "answers"))
    assert judge(next(c for c in CASES if c.name == "no pod yet"), old=old)["model"] == REPORT


def test_a_spec_that_cannot_be_read_has_no_address() -> None:
    manifest = raw(replicas="two")
    status = compute(manifest, Observed(), Failure(Reason.INVALID, "spec.replicas: Expected `int`"), NOW)
    assert "url" not in status
    assert by_type(status)["Stalled"]["reason"] == "Invalid"


def test_pods_on_their_way_out_do_not_count() -> None:
    leaving = copy.deepcopy(CRASHED)
    leaving["metadata"] |= {"name": "tiny-a", "deletionTimestamp": CREATED}
    assert by_type(compute(raw(), observed([leaving, answering()]), None, NOW))["Ready"]["status"] == "True"


def test_pods_of_others_do_not_count_before_the_deployment_is_there() -> None:
    """They carry the label, but not the hash of the template."""
    foreign = answering()
    del foreign["metadata"]["annotations"]
    assert by_type(compute(raw(), Observed([], [foreign]), None, NOW))["Staged"]["status"] == "False"


def test_children_of_another_owner_do_not_count() -> None:
    seen = observed([answering()])
    for child in seen.children:
        child["metadata"]["ownerReferences"][0]["uid"] = "the model of this name before"
    found = by_type(compute(raw(), seen, None, NOW))
    assert found["Exposed"]["reason"] == "ServiceMissing"
    assert found["Ready"]["status"] == "False"


def test_the_message_names_the_ingress_class() -> None:
    with_class: dict[str, Any] = {"ingress": {"host": "a", "className": "traefik"}}
    told = by_type(compute(raw(**with_class), observed([answering()], **with_class), None, NOW))["Exposed"]["message"]
    assert "IngressClass traefik" in told
    told = by_type(compute(raw(**INGRESS), observed([answering()], **INGRESS), None, NOW))["Exposed"]["message"]
    assert "spec.ingress.className is not set" in told
