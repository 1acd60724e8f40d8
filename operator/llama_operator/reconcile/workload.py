"""The Deployment and its pods, taken together: which pods count, and what they say about the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llama_operator import constants
from llama_operator.api import conditions
from llama_operator.api.conditions import Reason
from llama_operator.reconcile import advice, pods
from llama_operator.reconcile.evidence import Evidence, Suspect
from llama_operator.reconcile.finding import Finding

Object = dict[str, Any]

ASLEEP = Finding(Reason.SCALED_TO_ZERO, "spec.replicas is 0; set it to 1 or more to have the model served")


def claims(owned: dict[str, Object]) -> list[Suspect]:
    """The claims that the pods use and that are not known to be bound: ours, or one that the user made."""
    template = owned.get("Deployment", {}).get("spec", {}).get("template", {})
    own = owned.get("PersistentVolumeClaim", {})
    found = []
    for volume in template.get("spec", {}).get("volumes") or []:
        name = volume.get("persistentVolumeClaim", {}).get("claimName")
        if name and name != own.get("metadata", {}).get("name"):
            found.append(Suspect("PersistentVolumeClaim", name))
        elif name and own.get("status", {}).get("phase") != "Bound":
            found.append(Suspect("PersistentVolumeClaim", name, own["metadata"].get("uid", "")))
    return found


def current_pods(observed: list[Object], deployment: Object) -> list[Object]:
    """Pods of the Deployment's present template that are not on their way out.

    Pods that have failed for ever (evicted ones stay as records) count only while no other took their place.
    """
    template = deployment.get("spec", {}).get("template", {}).get("metadata", {})
    version = template.get("annotations", {}).get(constants.APPLIED_HASH)
    current = [
        pod
        for pod in sorted(observed, key=lambda pod: str(pod["metadata"]["name"]))
        if "deletionTimestamp" not in pod["metadata"]
        and version is not None
        and pod["metadata"].get("annotations", {}).get(constants.APPLIED_HASH) == version
    ]
    return [pod for pod in current if not pods.failed(pod)] or current


def staged(model: str, deployment: Object, every: list[Object], current: list[Object]) -> Finding:
    """Is the file in place, for the pods of the newest version? `model`: its name; `every`: older pods, too."""
    if deployment.get("spec", {}).get("replicas") == 0:
        return ASLEEP
    found = [pods.staging(pod) for pod in current]
    for finding in found:
        if finding.reason not in (Reason.STAGED, Reason.STAGING):
            return finding
    for finding in found:
        if finding.reason == Reason.STAGING:
            return finding
    return _together(current, found) if found else _no_pod(model, deployment, every)


def _together(current: list[Object], found: list[Finding]) -> Finding:
    """All have staged. From a source without a digest they need not have got the same."""
    seen: dict[str, dict[str, str]] = {}
    for pod, finding in zip(current, found, strict=True):
        for file in finding.files:
            if "sha256" in file:
                seen.setdefault(file["role"], {}).setdefault(file["sha256"], str(pod["metadata"]["name"]))
    for role, digests in sorted(seen.items()):
        if len(digests) > 1:
            told = ", ".join(f"{name} has {sha256[:12]}…" for sha256, name in sorted(digests.items()))
            return dataclasses.replace(
                found[0],
                reason=Reason.FILES_DIFFER,
                message=f"the source has changed between the starts of the pods, so they serve different files as "
                f"{role}: {told}; set its sha256 or a revision that does not move",
            )
    return found[0]


def _no_pod(model: str, deployment: Object, every: list[Object]) -> Finding:
    if not deployment:
        return Finding(Reason.STAGING, "there is no Deployment yet that could have pods; if it stays, Ready says why")
    if deployment["spec"].get("paused"):
        name = deployment["metadata"]["name"]
        return Finding(
            Reason.STAGING,
            f"somebody has paused Deployment {name}, so it gets no pods of the newest version; have it go on: "
            f"`kubectl rollout resume deployment {name}`",
        )
    names = sorted(str(pod["metadata"]["name"]) for pod in every if not pods.failed(pod))
    if names and deployment["spec"].get("strategy", {}).get("type") == "Recreate":
        return Finding(
            Reason.STAGING,
            f"the next pod starts when pod {names[0]} has ended, for they share a volume; if it does not end, its node "
            f"may be lost: `kubectl get nodes`, and `kubectl delete pod {names[0]} --force` once the node is off",
        )
    return pods.unstarted(model)


def serving(
    deployment: Object,
    current: list[Object],
    staged: Finding,
    claims: list[Suspect],
    evidence: Evidence,
    problems: Mapping[str, Finding],
) -> Finding:
    """How far the pods of the newest version are, whatever older ones do: problems first, then progress.

    `problems`: what sidecars say, by uid of the pod.
    """
    refused = _refused(deployment)
    if refused:
        return refused
    if staged.reason not in (Reason.STAGED, Reason.FILES_DIFFER):
        waiting = Finding(Reason.PENDING, "llama-server starts once the model file is staged")
    else:
        waiting = pods.LOADING
    found = [
        _beside_others(pods.serving(pod, claims, evidence, problems.get(pod["metadata"].get("uid", ""))), deployment)
        for pod in current
    ]
    failures = [finding for finding in found if finding.reason in conditions.SERVING_FAILURES]
    starting = [finding for finding in found if finding.reason == Reason.STARTING]
    return (failures + starting + [waiting])[0]


def _beside_others(finding: Finding, deployment: Object) -> Finding:
    """A pod that has no room beside the older ones could have theirs."""
    surge = deployment.get("spec", {}).get("strategy", {}).get("rollingUpdate", {}).get("maxSurge")
    answers = deployment.get("status", {}).get("availableReplicas")
    if finding.reason != Reason.UNSCHEDULABLE or not surge or not answers:
        return finding
    words = "; or set spec.rollout.surge to Never: then an older pod, which answers until now, makes room for it"
    return dataclasses.replace(finding, message=finding.message[: conditions.MESSAGE_LIMIT - len(words)] + words)


def _refused(deployment: Object) -> Finding | None:
    """The API server does not let the controllers make a pod, or a ReplicaSet for it."""
    for c in deployment.get("status", {}).get("conditions", []):
        failed = (c["type"], c["status"]) == ("ReplicaFailure", "True") or c.get("reason") == "ReplicaSetCreateError"
        if failed:
            words = c.get("message", "no reason given")
            return Finding(
                Reason.PODS_REFUSED,
                f"the cluster refuses the pods: {words}; {advice.on_refusal(words)}",
                quotes=True,
            )
    return None


def available(deployment: Object, serving: Finding) -> Finding:
    """Does any server answer, an older version's included?"""
    status = deployment.get("status", {})
    if deployment.get("spec", {}).get("replicas") == 0:
        return ASLEEP
    if status.get("availableReplicas", 0) > 0:
        return Finding(Reason.AVAILABLE, f"{status['availableReplicas']} of {status.get('replicas', 0)} servers answer")
    return serving
