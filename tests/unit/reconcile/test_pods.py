"""What one pod says, in the states that the kubelet writes."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.reconcile import pods
from tests.unit.reconcile.objects import (
    CREATED,
    LATER,
    NAME,
    REPORT,
    STAGED,
    Object,
    answering,
    condition,
    container,
    pod,
    running,
    serving,
    stage_failed,
    staging,
    terminated,
    unscheduled,
    waiting,
)

NO_ROOM = "0/1 nodes are available: 1 Insufficient memory."
CRASH = "E llama_model_load: error loading model: invalid magic characters"
BACK_OFF = waiting("CrashLoopBackOff", "back-off 20s restarting failed container=llama-server")
OOM = terminated(137, reason="OOMKilled")
EVICTED: Object = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 400Mi.",
}


def server(state: Object, last: Object | None = None, **more: Any) -> Object:
    return serving(container("llama-server", state, last, **more))


STAGING: list[tuple[str, Object, Reason, str]] = [
    ("nobody has seen the pod", {"metadata": {"name": NAME}}, Reason.STAGING, "is pending"),
    ("no node", unscheduled(NO_ROOM), Reason.STAGING, "is pending"),
    (
        "volume not mounted",
        pod(conditions=[condition("PodReadyToStartContainers", False), condition("PodScheduled", True)]),
        Reason.STAGING,
        "waits for its volumes and its network",
    ),
    ("image being pulled", pod(), Reason.STAGING, "is staging the model file"),
    ("running", staging(), Reason.STAGING, "is staging the model file"),
    ("done", answering(), Reason.STAGED, "verified and in place"),
    (
        "image cannot be pulled",
        pod(stage=container("stage", waiting("ImagePullBackOff", "Back-off pulling image"))),
        Reason.IMAGE_PULL_FAILED,
        "image localhost/stage:0.1.0: Back-off pulling image",
    ),
    (
        "token Secret is missing",
        pod(stage=container("stage", waiting("CreateContainerConfigError", 'secret "hf" not found'))),
        Reason.CONTAINER_CONFIG_INVALID,
        'container stage: secret "hf" not found',
    ),
    ("waits to try again", stage_failed("NotFound"), Reason.NOT_FOUND, "what to do about NotFound"),
    (
        "has just failed",
        pod(stage=container("stage", terminated(1, '{"reason": "DiskFull", "message": "too big"}'))),
        Reason.DISK_FULL,
        "too big",
    ),
    (
        "tries again",
        pod(stage=container("stage", running(), terminated(1, '{"reason": "Truncated", "message": "short"}'))),
        Reason.TRUNCATED,
        "short",
    ),
    (
        "killed for memory",
        pod(stage=container("stage", waiting("CrashLoopBackOff"), OOM)),
        Reason.STAGING_FAILED,
        f"the stager in pod {NAME} ended with OOMKilled, code 137",
    ),
    (
        "bug: the message is the log's tail",
        pod(stage=container("stage", waiting("CrashLoopBackOff"), terminated(1, "Traceback ...\nKeyError: 'x'\n"))),
        Reason.STAGING_FAILED,
        "KeyError: 'x'",
    ),
    (
        "the message is JSON, but no report",
        pod(stage=container("stage", waiting("CrashLoopBackOff"), terminated(1, '["NotFound"]'))),
        Reason.STAGING_FAILED,
        '["NotFound"]',
    ),
    ("a reason that we do not know", stage_failed("Ready"), Reason.STAGING_FAILED, "what to do about Ready"),
    ("evicted", pod(**EVICTED), Reason.POD_FAILED, "Evicted: The node was low on resource: ephemeral-storage"),
]

SERVING: list[tuple[str, Object, Reason, str]] = [
    ("nobody has seen the pod", {"metadata": {"name": NAME}}, Reason.PENDING, "has not started llama-server yet"),
    ("no node", unscheduled(NO_ROOM), Reason.UNSCHEDULABLE, NO_ROOM),
    ("staging", staging(), Reason.PENDING, "has not started llama-server yet"),
    (
        "image cannot be pulled",
        server(waiting("ErrImagePull", "not found")),
        Reason.IMAGE_PULL_FAILED,
        "image localhost/llama-server:0.1.0: not found",
    ),
    (
        "image name makes no sense",
        server(waiting("InvalidImageName")),
        Reason.IMAGE_PULL_FAILED,
        "image localhost/llama-server:0.1.0: InvalidImageName",
    ),
    (
        "key Secret is missing",
        server(waiting("CreateContainerConfigError", 'secret "key" not found')),
        Reason.CONTAINER_CONFIG_INVALID,
        'container llama-server: secret "key" not found',
    ),
    ("loading", server(running(), started=False), Reason.STARTING, "is loading the model"),
    ("answers", answering(), Reason.AVAILABLE, "the server answers"),
    (
        "answered, and does no more",
        serving(container("llama-server", running()), ready=condition("Ready", False, since=LATER)),
        Reason.UNRESPONSIVE,
        "does not answer its health check any more",
    ),
    (
        "crashed, waits",
        server(BACK_OFF, terminated(1, CRASH), restarts=3),
        Reason.SERVER_CRASHED,
        f"ended with code 1, restarted 3 times: {CRASH}",
    ),
    ("has just crashed", server(terminated(1, CRASH)), Reason.SERVER_CRASHED, CRASH),
    ("crashed, loads again", server(running(), terminated(1, CRASH), restarts=1), Reason.SERVER_CRASHED, CRASH),
    (
        "killed for memory",
        server(BACK_OFF, OOM, restarts=2),
        Reason.OUT_OF_MEMORY,
        "raise spec.resources.limits.memory",
    ),
    (
        "program missing in the image",
        server(terminated(128, "exec: /app/llama-server: no such file", reason="StartError")),
        Reason.SERVER_CRASHED,
        "no such file",
    ),
    ("evicted", server({}) | {"status": EVICTED}, Reason.POD_FAILED, "Evicted: The node was low"),
    ("refused by the kubelet", pod(phase="Failed", reason="OutOfcpu"), Reason.POD_FAILED, "failed: OutOfcpu"),
]


@pytest.mark.parametrize(("pod", "reason", "words"), [case[1:] for case in STAGING], ids=[case[0] for case in STAGING])
def test_staging(pod: Object, reason: Reason, words: str) -> None:
    finding = pods.staging(pod)
    assert finding.reason == reason
    assert words in finding.message


@pytest.mark.parametrize(("pod", "reason", "words"), [case[1:] for case in SERVING], ids=[case[0] for case in SERVING])
def test_serving(pod: Object, reason: Reason, words: str) -> None:
    finding = pods.serving(pod)
    assert finding.reason == reason
    assert words in finding.message


@pytest.mark.parametrize("reason", sorted(STAGING_FAILURES))
def test_the_reason_of_the_stager_is_repeated_word_for_word(reason: Reason) -> None:
    finding = pods.staging(stage_failed(reason))
    assert (finding.reason, finding.message) == (reason, f"what to do about {reason}")


def test_what_the_stager_found_is_repeated() -> None:
    assert pods.staging(answering()).model == REPORT


@pytest.mark.parametrize(
    ("message", "model"),
    [
        ('{"bytes": 1, "name": "a", "novelty": 2}', {"bytes": 1, "name": "a"}),
        ('{"bytes": "1", "name": null}', None),
        ("done\n", None),
        ("", None),
    ],
)
def test_only_what_the_status_has_a_place_for(message: str, model: object) -> None:
    """The API server drops other fields: writing them would never come to rest."""
    finding = pods.staging(pod(stage=container("stage", terminated(0, message))))
    assert (finding.reason, finding.model) == (Reason.STAGED, model)


def test_a_container_that_was_killed_by_its_liveness_probe_and_came_back_is_no_longer_unresponsive() -> None:
    """Ready turned False when the old container died: before the new one started."""
    again = container("llama-server", running(LATER), terminated(0), restarts=1)
    assert pods.serving(serving(again, ready=condition("Ready", False, since=CREATED))).reason == Reason.SERVER_CRASHED


def test_other_containers_are_no_concern() -> None:
    sidecar = container("proxy", waiting("CrashLoopBackOff"), terminated(1, "proxy"))
    built = pod(stage=container("stage", STAGED), server=container("llama-server", running()))
    built["status"]["containerStatuses"].insert(0, sidecar)
    assert pods.serving(built).reason == Reason.STARTING
