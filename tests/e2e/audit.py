"""Count what the operator asks of the API server, in the API server's own audit log."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from demo import cluster

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OPERATOR = f"system:serviceaccount:{cluster.OPERATOR_NAMESPACE}:"


def calls(since: datetime) -> list[dict[str, Any]]:
    """Requests of the operator that reached the API server after `since`, each once."""
    found: dict[str, dict[str, Any]] = {}
    for line in cluster.ground("audit").splitlines():
        event = json.loads(line)
        # A request that ended before it was authenticated has no user's name.
        ours = event["user"].get("username", "").startswith(OPERATOR)
        if ours and _time(event["requestReceivedTimestamp"]) >= since:
            found[event["auditID"]] = event
    return list(found.values())


def by_verb(events: list[dict[str, Any]]) -> dict[str, int]:
    """How often: verb, and what it was about."""
    return dict(sorted(Counter(_name(event) for event in events).items()))


def writes(events: list[dict[str, Any]]) -> list[str]:
    """All but the leader's renewals of its Lease, the one thing that an idle operator writes."""
    return [name for event in events if event["verb"] in WRITES and not (name := _name(event)).endswith(" leases")]


def rights(events: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """API group, resource and verb of each right that was used. A patch that made something needed `create`, too."""
    used = set()
    for event in events:
        if "objectRef" not in event:
            continue  # not about a resource: the API server's version and the like, which anybody may ask for
        about = event["objectRef"]
        what = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
        used.add((about.get("apiGroup", ""), what, event["verb"]))
        if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
            used.add((about.get("apiGroup", ""), what, "create"))
    return used


def now() -> datetime:
    return datetime.now(UTC)


def _name(event: dict[str, Any]) -> str:
    about = event.get("objectRef", {})
    what = "/".join(part for part in (about.get("resource"), about.get("subresource")) if part)
    return f"{event['verb']} {what or event['requestURI']}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
