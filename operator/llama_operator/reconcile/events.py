"""Kubernetes events for what has changed in a status: one per transition, none for what stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llama_operator.api.conditions import DEVIATIONS, SERVING_FAILURES, STAGING_FAILURES, Reason, Type

PROBLEMS = (
    STAGING_FAILURES
    | SERVING_FAILURES
    | DEVIATIONS
    | {Reason.FILES_DIFFER, Reason.IMAGE_VOLUME_UNSUPPORTED, Reason.MEMORY_NOT_GRANTED}
    | {Reason.INVALID, Reason.NAME_CONFLICT, Reason.ROLLED_BACK, Reason.FORBIDDEN, Reason.CONTESTED, Reason.API_ERROR}
)
"""Reasons that somebody should look at: events of type Warning."""

_PROBLEMS_OF = (Type.STAGED, Type.AVAILABLE, Type.EXPOSED, Type.READY, Type.STALLED, Type.DEGRADED)
_SUCCESSES_OF = (Type.STAGED, Type.READY)
"""Each event is a write. That it is available and exposed is part of Ready."""


@dataclass(frozen=True)
class Event:
    """type is Normal or Warning."""

    type: str
    reason: str
    message: str


def transitions(old: dict[str, Any], new: dict[str, Any]) -> list[Event]:
    """Events for the way from one status to the next.

    The file in place and the model Ready are Normal; a problem that appeared, or became another, is a Warning.
    Waiting is not worth an event. Several conditions with one cause give one event.
    """
    before = {c["type"]: c for c in old.get("conditions", [])}
    events: dict[str, Event] = {}
    for c in new.get("conditions", []):
        previous = before.get(c["type"], {})
        changed = (previous.get("status"), previous.get("reason")) != (c["status"], c["reason"])
        if not changed:
            continue
        if c["reason"] in PROBLEMS and c["type"] in _PROBLEMS_OF:
            events.setdefault(c["reason"], Event("Warning", c["reason"], c["message"]))
        elif c["status"] == "True" and c["type"] in _SUCCESSES_OF:
            events.setdefault(c["reason"], Event("Normal", c["reason"], c["message"]))
    return list(events.values())
