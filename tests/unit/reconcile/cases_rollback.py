"""States on the way to a rollback and after it. The old version is the smallest model."""

from __future__ import annotations

import copy
from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.api.types import parse
from llama_operator.reconcile import rollback
from llama_operator.reconcile.rollback import Standing
from llama_operator.reconcile.status import Observed
from llama_operator.resources import served
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.objects import (
    Object,
    answering,
    container,
    observed,
    serving,
    staging,
    template_hash,
    terminated,
    unscheduled,
    waiting,
)
from tests.unit.resources.models import CONFIG, raw

NEW: Object = {"engine": {"args": ["--check-tensors"]}}
OLD_POD = answering(name="tiny-old", version=template_hash())
CRASH_LOOP = container("llama-server", waiting("CrashLoopBackOff"), terminated(1, "E bad flag"), 2)
NEW_POD = serving(CRASH_LOOP, name="tiny-new", version=template_hash(**NEW))
ROLLING: Object = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}


def remembering(seen: Observed, standing: Standing) -> Observed:
    """The Deployment remembers this, too."""
    found = copy.deepcopy(seen.children)
    for child in found:
        if child["kind"] == "Deployment":
            child["metadata"]["annotations"] |= rollback.marks(standing)
    return Observed(found, seen.pods, seen.evidence)


def trial(*pods: Object, **status: Any) -> Observed:
    """The new version is on trial; `status`: the Deployment's."""
    standing = Standing(fallback=served.of(parse(raw()), CONFIG))
    return remembering(observed(list(pods), status=ROLLING | status, **NEW), standing)


def rolled_back(*pods: Object) -> Observed:
    """The Deployment is made from the old version again."""
    new = served.of(parse(raw(**NEW)), CONFIG)
    failed = rollback.failed(new, Reason.SERVER_CRASHED, "llama-server in pod tiny-new ended with code 1: E bad flag")
    return remembering(observed(list(pods)), Standing(failed=failed))


STAGED_ELSEWHERE: Object = {"storage": {"claim": {"size": "1Gi"}}, "replicas": 0}
"""A Job would stage it."""

ROLLED_BACK = [
    Case(
        "on trial, and staging",
        trial(OLD_POD, staging(name="tiny-new", version=template_hash(**NEW))),
        "Staging Staging Available Exposed Reconciling",
        NEW,
    ),
    Case("on trial, and crashing", trial(OLD_POD, NEW_POD), "ServerCrashed Staged Available Exposed Reconciling", NEW),
    Case("rolled back", rolled_back(OLD_POD), "RolledBack Staged Available Exposed Stalled", NEW, words="E bad flag"),
    Case(
        "rolled back, and the bad pod is still there",
        rolled_back(OLD_POD, NEW_POD),
        "RolledBack Staged Available Exposed Stalled",
        NEW,
        words="llama-operator.dev/rolled-back-",
    ),
    Case(
        "rolled back, and the old version starts anew",
        rolled_back(staging(version=template_hash())),
        "RolledBack Staging Pending Exposed Stalled",
        NEW,
    ),
    Case(
        "rolled back, and stopped",
        rolled_back(OLD_POD),
        "RolledBack Staged Available Exposed Stalled",
        NEW | STAGED_ELSEWHERE,
    ),
    Case(
        "no room beside the old version",
        trial(OLD_POD, unscheduled("0/1 nodes are available: 1 Insufficient memory.", version=template_hash(**NEW))),
        "Unschedulable Staging Available Exposed Reconciling",
        NEW,
        words="set spec.rollout.surge to Never",
    ),
]
