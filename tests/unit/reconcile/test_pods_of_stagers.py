"""What stagers say: a Job's, whose pod has no other container, and those that want files out of images."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.api.staging import Failed
from llama_operator.reconcile import pods
from tests.unit.reconcile.objects import (
    FILE,
    NAME,
    STAGED,
    STARTED,
    Object,
    answering,
    container,
    pod,
    running,
    terminated,
    waiting,
)


def of_job(phase: str, state: Object, **status: Any) -> Object:
    """Its stager is its only container."""
    built = pod(phase=phase, **status)
    del built["status"]["initContainerStatuses"]
    built["status"]["containerStatuses"] = [container("stage", state)]
    return built


def test_a_jobs_pod_that_has_ended_tells_what_it_found() -> None:
    found = pods.staging(of_job("Succeeded", STAGED))
    assert (found.reason, found.files) == (Reason.STAGED, (FILE,))


def test_a_jobs_pod_that_has_failed_for_ever_tells_why() -> None:
    report = json.dumps({"reason": "NotFound", "message": "no such file"})
    assert pods.staging(of_job("Failed", terminated(1, report))).reason == Reason.NOT_FOUND
    evicted = of_job("Failed", terminated(137), reason="Evicted", message="disk pressure")
    assert pods.staging(evicted).reason == Reason.POD_FAILED


def test_a_failure_is_told_apart_from_the_next_and_ends_with_the_next_try() -> None:
    report = json.dumps({"reason": "DiskFull", "message": "no room", "need": 7})
    first = pods.failure(pod(stage=container("stage", waiting("CrashLoopBackOff"), terminated(1, report))))
    assert first == (f"uid-{NAME} {STARTED}", Failed("DiskFull", "no room", 7))
    assert pods.failure(pod(stage=container("stage", running(), terminated(1, report)))) is None
    assert pods.failure(answering()) is None


PULLS = [
    'Back-off pulling image "files:1": ErrImagePull: not found',
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/files:1": not found',
]


@pytest.mark.parametrize("words", PULLS)
def test_an_image_that_holds_a_file_is_not_taken_for_the_stagers(words: str) -> None:
    """The kubelet blames the container that mounts it."""
    found = pods.staging(pod(stage=container("stage", waiting("ErrImagePull", words))))
    assert found.reason == Reason.IMAGE_PULL_FAILED
    assert "oci source" in found.message


@pytest.mark.parametrize(
    "words", ['Back-off pulling image "localhost/stage:0.1.0"', "rpc error: code = NotFound desc = no"]
)
def test_the_stagers_own_image_is_the_charts(words: str) -> None:
    found = pods.staging(pod(stage=container("stage", waiting("ErrImagePull", words))))
    assert "the chart's value" in found.message


@pytest.mark.parametrize(
    "words", ["ImageVolumeMountFailed: not supported", 'failed to mkdir "": mkdir : no such file or directory']
)
def test_a_runtime_that_cannot_mount_images_is_named(words: str) -> None:
    found = pods.staging(pod(stage=container("stage", waiting("CreateContainerError", words))))
    assert found.reason == Reason.IMAGE_VOLUME_UNSUPPORTED
