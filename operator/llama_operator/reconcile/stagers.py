"""Who stages, the Job ahead of the servers or their own init containers, and what a Job and its pods say. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from llama_operator import constants
from llama_operator.api import conditions
from llama_operator.api.conditions import Reason
from llama_operator.reconcile import jobs, pods
from llama_operator.reconcile.evidence import Evidence, Suspect, of_job, of_pod
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.plan import controller_uid
from llama_operator.resources.staging import CONTAINER_NAME as STAGE

Object = dict[str, Any]

MEANWHILE = "; until it is staged, the servers keep what they have"
"""Ends what is told about a source that is not in place yet, while another one is being served."""

DONE = Finding(Reason.STAGED, "every file is verified and in place")


def is_server(pod: Object) -> bool:
    """Pods of both sorts have the model's label."""
    return bool((pod["metadata"].get("labels") or {}).get(constants.COMPONENT_LABEL) != constants.STAGER)


def of_a_job(job: Object | None, observed: Sequence[Object]) -> list[Object]:
    """The Job's pods that are not on their way out; first those that count, for one that has failed is a record."""
    mine = [
        pod
        for pod in observed
        if job is not None
        and controller_uid(pod) == job["metadata"].get("uid")
        and "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(mine, key=lambda pod: (pods.failed(pod), pod["metadata"]["name"]))


def staged(model: str, job: Object | None, mine: Sequence[Object], *, held: bool) -> Finding:
    """What the Job says about the spec's sources. `held`: servers serve other ones meanwhile. `mine`: its pods."""
    found = _staged(model, job, mine)
    if not held or found.reason == Reason.STAGED:
        return found
    return dataclasses.replace(found, message=found.message[: conditions.MESSAGE_LIMIT - len(MEANWHILE)] + MEANWHILE)


def _staged(model: str, job: Object | None, mine: Sequence[Object]) -> Finding:
    found = pods.staging(mine[0]) if mine else pods.unstarted(model)
    if job and jobs.complete(job):
        return found if found.reason == Reason.STAGED else DONE
    ended = jobs.failed(job) if job else None
    if job and ended and found.reason not in conditions.STAGING_FAILURES:
        name, why = job["metadata"]["name"], ended.get("message") or ended.get("reason") or "no reason given"
        return Finding(
            Reason.STAGING_FAILED,
            f"Job {name} has failed: {why}; `kubectl delete job {name}` has it tried again",
            quotes=True,
        )
    if found.reason == Reason.STAGED:  # the Job's controller has not counted it yet
        endless = _endless(mine[0])
        return dataclasses.replace(endless, reason=Reason.STAGING) if endless else pods.unstarted(model)
    return found


def _endless(pod: Object) -> Finding | None:
    """A Job is complete when all containers of its pod have ended: also one that somebody has put beside the stager."""
    if pods.staging(pod).reason != Reason.STAGED:
        return None
    statuses = pod.get("status", {}).get("containerStatuses") or []
    others = [status["name"] for status in statuses if status["name"] != STAGE and "running" in status["state"]]
    if not others:
        return None
    return Finding(
        Reason.POD_BLOCKED,
        f"every file is in place, but container {others[0]} of pod {pod['metadata']['name']}, which is not the "
        "operator's, does not end, and so the Job does not; have it injected as an init container that goes on "
        "(a native sidecar), or into no pod with the label app.kubernetes.io/component: stager",
    )


def stuck(job: Object | None, mine: Sequence[Object], claims: Sequence[Suspect], evidence: Evidence) -> Finding | None:
    """Why the Job has no pod that runs, or one that does not end, where somebody says so."""
    if job and mine and not jobs.complete(job) and (found := _endless(mine[0])):
        return found
    for suspect in suspects(job, mine, claims):
        if suspect in evidence:
            return evidence[suspect]
    return pods.unplaced(mine[0]) if mine else None


def suspects(job: Object | None, mine: Sequence[Object], claims: Sequence[Suspect]) -> list[Suspect]:
    """Whose events may tell why the Job does not stage."""
    if job is None or jobs.complete(job) or jobs.failed(job):
        return []
    return of_pod(mine[0], claims) if mine else [of_job(job)]
