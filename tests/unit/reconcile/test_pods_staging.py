"""What one pod says of its staging."""

from __future__ import annotations

import pytest

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.reconcile import pods
from tests.unit.reconcile.objects import (
    FILE,
    NAME,
    Object,
    answering,
    container,
    pod,
    running,
    set_up,
    stage_failed,
    staging,
    terminated,
    unscheduled,
    unseen,
    waiting,
)
from tests.unit.reconcile.test_pods import EVICTED, NO_ROOM, OOM

STAGING: list[tuple[str, Object, Reason, str]] = [
    ("nobody has seen the pod", unseen(), Reason.STAGING, "`kubectl describe pods -l llama-operator.dev/model=tiny`"),
    ("no node", unscheduled(NO_ROOM), Reason.STAGING, "waiting for a pod that can stage"),
    ("volume not mounted", set_up(), Reason.STAGING, "one with a node, its volumes, a network"),
    ("image being pulled", pod(), Reason.STAGING, "and its image"),
    ("running", staging(), Reason.STAGING, "is staging the model's files; `kubectl logs"),
    ("done", answering(), Reason.STAGED, "verified and in place"),
    (
        "image cannot be pulled",
        pod(stage=container("stage", waiting("ImagePullBackOff", "Back-off pulling image"))),
        Reason.IMAGE_PULL_FAILED,
        "of container stage cannot be pulled: Back-off pulling image; correct the chart's value `image`, see that",
    ),
    (
        "token Secret is missing",
        pod(stage=container("stage", waiting("CreateContainerConfigError", 'secret "hf" not found'))),
        Reason.CONTAINER_CONFIG_INVALID,
        'container stage cannot be started: secret "hf" not found; create what it names',
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
        f"the stager in pod {NAME} ended with OOMKilled, code 137; `kubectl logs {NAME} -c stage --previous`",
    ),
    (
        "its node was started again",
        pod(stage=container("stage", waiting("PodInitializing"), terminated(255, reason="Unknown"))),
        Reason.STAGING,
        "waiting for a pod",
    ),
    (
        "bug: the message is the log's tail",
        pod(stage=container("stage", waiting("CrashLoopBackOff"), terminated(1, "Traceback ...\nKeyError: 'x'\n"))),
        Reason.STAGING_FAILED,
        "KeyError: 'x'; `kubectl logs",
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


@pytest.mark.parametrize(("pod", "reason", "words"), [case[1:] for case in STAGING], ids=[case[0] for case in STAGING])
def test_staging(pod: Object, reason: Reason, words: str) -> None:
    finding = pods.staging(pod)
    assert finding.reason == reason
    assert words in finding.message


@pytest.mark.parametrize("reason", sorted(STAGING_FAILURES))
def test_the_reason_of_the_stager_is_repeated_word_for_word(reason: Reason) -> None:
    finding = pods.staging(stage_failed(reason))
    assert (finding.reason, finding.message) == (reason, f"what to do about {reason}")


def test_what_the_stager_found_is_repeated() -> None:
    assert pods.staging(answering()).files == (FILE,)


@pytest.mark.parametrize(
    ("message", "files"),
    [
        ('{"files": [{"role": "model", "bytes": 1, "novelty": 2}]}', ({"role": "model", "bytes": 1},)),
        ('{"files": [{"role": "model", "bytes": "1"}]}', ()),
        ("done\n", ()),
        ("", ()),
    ],
)
def test_only_a_report_is_believed(message: str, files: object) -> None:
    """The API server drops other fields: writing them would never come to rest."""
    finding = pods.staging(pod(stage=container("stage", terminated(0, message))))
    assert (finding.reason, finding.files) == (Reason.STAGED, files)
