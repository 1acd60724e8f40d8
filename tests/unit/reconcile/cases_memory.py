"""Pods whose spec leaves memory open: what they get in place, and states in which they do not get it."""

from __future__ import annotations

import json
from typing import Any

from llama_operator.reconcile.status import Observed
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.objects import (
    FILE,
    MEMORY,
    NAME,
    Object,
    answering,
    condition,
    container,
    observed,
    running,
    serving,
    terminated,
)

GIB = 1 << 30
UID = f"uid-{NAME}"
BIG = MEMORY | {"total": 5 * GIB + 1}
REPORT = terminated(0, json.dumps({"files": [FILE], "memory": BIG}))
INFEASIBLE = "Node didn't have enough capacity: memory, requested: 5475663872, capacity: 4125138944"
DEFERRED = "Node didn't have enough resource: memory, requested: 5475663872, used: 3221225472, capacity: 8326000640"
ABORTED = "aborting attempt to set pod memory limit less than current memory usage"
UNMEASURED = f'unable to read memory usage for pod "{NAME}"'
QUOTA = f'pods "{NAME}" is forbidden: exceeded quota: small, requested: requests.memory=5121Mi, used: requests.memory=0'


def sized(built: Object, resources: Object | None = None, *more: Object) -> Object:
    """The pod with a report of `BIG`, with the resources of its llama-server, and with conditions beside its own."""
    built["spec"] = {"containers": [{"name": "llama-server", "resources": resources or {}}]}
    built["status"]["conditions"] += more
    (stage, *_) = built["status"]["initContainerStatuses"]
    if "terminated" in stage["state"]:
        stage["state"] = REPORT
    return built


def up(resources: Object | None = None, *more: Object, **given: Any) -> Object:
    return sized(answering(**given), resources, *more)


def loading(*more: Object, **given: Any) -> Object:
    return sized(serving(container("llama-server", running()), **given), None, *more)


def pending(reason: str, message: str) -> Object:
    return condition("PodResizePending", True, reason=reason, message=message)


def refused(pods: list[Object], words: str, **given: Any) -> Observed:
    seen = observed(pods, **given)
    return Observed(seen.children, seen.pods, refused={UID: words})


DEGRADED = "Ready Staged Available Exposed Degraded"
MEMORY_CASES = [
    Case(
        "its node never has the memory",
        observed([up(None, pending("Infeasible", INFEASIBLE))]),
        DEGRADED,
        words=f"1 of 1 servers answer; pod {NAME} has no claim to the 5121Mi of memory",
    ),
    Case("its node has no room left for its memory", observed([up(None, pending("Deferred", DEFERRED))]), DEGRADED),
    Case("the API server refuses its memory", refused([up()], QUOTA), DEGRADED, words="raise the ResourceQuota"),
    Case(
        "its node does not manage the resize",
        observed([up(None, condition("PodResizeInProgress", True, reason="Error", message=ABORTED))]),
        DEGRADED,
        words=f"does not manage the resize (Error: {ABORTED})",
    ),
    Case(
        "its node has not measured it yet",
        observed([up(None, condition("PodResizeInProgress", True, reason="Error", message=UNMEASURED))]),
        "Ready Staged Available Exposed",
    ),
    Case(
        "a LimitRange has given it less than it takes",
        observed([up({"limits": {"memory": "40Mi"}, "requests": {"memory": "20Mi"}})]),
        DEGRADED,
        words="may use 40Mi of memory, by a limit that is not the spec's (mostly a LimitRange's default), and is "
        "predicted to take 5121Mi",
    ),
    Case(
        "somebody has given it what it takes",
        observed([up({"limits": {"memory": "5121Mi"}})]),
        "Ready Staged Available Exposed",
    ),
    Case(
        "its node is about to resize it",
        observed([up(None, condition("PodResizeInProgress", True))]),
        "Ready Staged Available Exposed",
    ),
    Case(
        "an older pod still has the memory",
        observed(
            [up(None, pending("Deferred", DEFERRED)), answering(name="tiny-old", version="old")],
            status={"availableReplicas": 1},
        ),
        "Ready Staged Available Exposed",
    ),
    Case(
        "loads the model, and its node never has the memory",
        observed([loading(pending("Infeasible", INFEASIBLE))]),
        "Starting Staged Starting Exposed Reconciling Degraded",
    ),
]
