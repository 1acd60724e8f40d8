"""What only Kubernetes events tell: whose are worth asking for, and what they say.

A volume that is not provisioned or not mounted, a sandbox without network or runtime, a load balancer without
addresses: the status of the object concerned stays empty, and somebody writes events. Nobody watches them here: a
cluster has many thousands, and a start that goes well needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.reconcile import advice
from llama_operator.reconcile.finding import Finding

Object = dict[str, Any]


@dataclass(frozen=True)
class Suspect:
    """An object whose events may tell what its status does not. `uid` is empty for one that we do not watch.

    `placed`: a pod that has a node. Without one it is in another trouble, which ends when it gets one.
    """

    kind: str
    name: str
    uid: str = ""
    placed: bool = True

    @property
    def trouble(self) -> str:
        """What is wrong with it, as a message begins."""
        return (_TROUBLES[self.kind] if self.placed else "pod {} gets no node").format(self.name)


Evidence = Mapping[Suspect, Finding]

_REASONS = {
    "Pod": Reason.POD_BLOCKED,
    "PersistentVolumeClaim": Reason.VOLUME_PENDING,
    "Service": Reason.LOAD_BALANCER_PENDING,
    "Ingress": Reason.INGRESS_PENDING,
    "Job": Reason.PODS_REFUSED,
}
_TROUBLES = {
    "Pod": "pod {} is not set up",
    "PersistentVolumeClaim": "PersistentVolumeClaim {} is not bound",
    "Service": "Service {} has no address",
    "Ingress": "Ingress {} has no address",
    "Job": "Job {} has no pod",
}

_TOLD_ELSEWHERE = frozenset({"FailedScheduling"})
"""The pod's own condition says it, and says it anew when it changes."""
_GRAVE = frozenset({"FailedBinding"})
"""Not of type Warning, although nothing will happen by itself."""
_SLOW = frozenset({"ExternalProvisioning"})
"""Comes with every volume that is provisioned; it means something only if the volume does not come."""
_BEYOND = frozenset({"Pulling", "Pulled", "Created", "Started"})
"""The kubelet is at the containers. Before 1.36 the pod's status tells only when the image is there.

(kubernetes#134660)
"""
_OVERDUE = frozenset({"Pod", "PersistentVolumeClaim"})
"""Of these, silence is a finding. About an Ingress or a Service without address all is said already."""
_TOGETHER = timedelta(seconds=300)
"""Warnings that are as near to the newest one are about the same trouble. (kubelet repeats within two minutes.)"""
_MOST = 2
"""Reasons that are told."""
_NOTE_LIMIT = 300
_NEVER = datetime.min.replace(tzinfo=UTC)
_TIMED_OUT = "Unable to attach or mount volumes"
"""Follows upon every FailedMount that says why."""


def of_pod(pod: Object, claims: Sequence[Suspect]) -> list[Suspect]:
    """Whom to ask about this pod, if it does not come on and its status does not say why.

    `claims`: claims that it uses and that are not known to be bound. They come first: the pod may be waiting for them.
    """
    status = pod.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    placed = conditions.get("PodScheduled")
    there = placed is not None and placed["status"] == "True"
    itself = Suspect("Pod", pod["metadata"]["name"], pod["metadata"].get("uid", ""), placed=there)
    if placed is None:  # nobody has tried yet, or the scheduler waits until a volume is provisioned
        return [*claims, itself]
    if not there:
        return ([*claims] or [itself]) if advice.waits_for_claim(placed.get("message", "")) else []
    if conditions.get("PodReadyToStartContainers", {}).get("status") == "True" or _has_run(status):
        return []
    return [itself]


def of_job(job: Object) -> Suspect:
    """Whom to ask if a Job has no pod: its controller tells in events alone that it may not make one."""
    return Suspect("Job", job["metadata"]["name"], job["metadata"].get("uid", ""))


def remembered(suspect: Suspect, conditions: Iterable[Object]) -> Finding | None:
    """What the conditions of an earlier status say about it: the operator may have been restarted since."""
    begins = (f"{suspect.trouble}: ", f"{suspect.trouble}, ")
    for c in conditions:
        if c["reason"] == _REASONS[suspect.kind] and c["message"].startswith(begins):
            return Finding(_REASONS[suspect.kind], c["message"])
    return None


def judge(suspect: Suspect, events: Iterable[Object], *, overdue: bool) -> Finding | None:
    """The finding that events (`events.k8s.io/v1`) about the suspect give; None while there may be nothing wrong.

    `overdue`: it has been without explanation for so long that something must be wrong, whatever is said.
    """
    told = [event for event in events if event.get("reason") not in _TOLD_ELSEWHERE]
    grave = [event for event in told if event.get("type") == "Warning" or event.get("reason") in _GRAVE]
    if any(event.get("reason") in _BEYOND and all(_last(event) >= _last(bad) for bad in grave) for event in told):
        return Finding(Reason.PENDING, f"pod {suspect.name} is set up, and its image is being pulled")
    hints = [event for event in told if event.get("reason") in _SLOW] if overdue else []
    words = "; ".join(_words(grave or hints))
    if not words and not (overdue and suspect.kind in _OVERDUE):
        return None
    said = f": {words}" if words else ", and nobody says why"
    todo = _todo(suspect, words)
    return Finding(_REASONS[suspect.kind], f"{suspect.trouble}{said}; {todo}", quotes=True)


def _todo(suspect: Suspect, words: str) -> str:
    if suspect.kind == "Job" and words:
        return advice.on_refusal(words)
    return advice.on_event(suspect.kind, suspect.name, words) if words or suspect.placed else advice.NO_SCHEDULER


def _has_run(status: Object) -> bool:
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any("waiting" not in s.get("state", {"waiting": {}}) or s.get("lastState") for s in every)


def _words(events: list[Object]) -> list[str]:
    """The newest note of each reason, in the order in which the reasons appeared.

    That order stays when they take turns; the newest event would not.
    """
    newest = max((_last(event) for event in events), default=_NEVER)
    together = [event for event in events if newest - _last(event) <= _TOGETHER]
    said = {event.get("reason", ""): _note(event) for event in sorted(together, key=_rank)}
    since = {reason: min(_first(event) for event in together if event.get("reason", "") == reason) for reason in said}
    return [f"{reason}: {said[reason]}" for reason in sorted(said, key=lambda r: (since[r], r))[-_MOST:]]


def _rank(event: Object) -> tuple[bool, datetime, str]:
    """Last what is worth most: what says why rather than what only says that it took too long, and the newest."""
    note = _note(event)
    return not note.startswith(_TIMED_OUT), _last(event), note


def _note(event: Object) -> str:
    note = " ".join(str(event.get("note", "")).removeprefix("(combined from similar events): ").split())
    note = re.sub(r"rpc error: code = \w+ desc = ", "", note)
    return note if len(note) <= _NOTE_LIMIT else note[: _NOTE_LIMIT - 1] + "…"


def _first(event: Object) -> datetime:
    return _time(event.get("eventTime"), event.get("deprecatedFirstTimestamp"), event["metadata"])


def _last(event: Object) -> datetime:
    series = event.get("series") or {}
    return _time(
        series.get("lastObservedTime"),
        event.get("deprecatedLastTimestamp") or event.get("eventTime"),
        event["metadata"],
    )


def _time(written: str | None, else_: str | None, metadata: Object) -> datetime:
    """Old recorders fill the deprecated fields, new ones the others."""
    time = written or else_ or metadata.get("creationTimestamp")
    return datetime.fromisoformat(time) if time else _NEVER
