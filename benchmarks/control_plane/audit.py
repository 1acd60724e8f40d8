"""What the measured processes have asked of the API server, as the API server's audit log has it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from benchmarks.control_plane.place import AGENT

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
READS = frozenset({"get", "list"})
"""Watches are not counted: they are renewed by the clock."""
ELECTION = "leases"
"""Renewed every few seconds, whatever the models do: not counted either."""

Calls = Counter[tuple[str, str]]
"""Requests by verb and kind (`patch`, `llamamodels/status`)."""


class _User(msgspec.Struct):
    username: str = ""


class _Object(msgspec.Struct):
    resource: str = ""
    subresource: str = ""


class _Request(msgspec.Struct, rename="camel"):
    audit_id: str = msgspec.field(name="auditID")
    verb: str
    stage: str
    user: _User
    user_agent: str = ""
    object_ref: _Object = msgspec.field(default_factory=_Object)


_decode = msgspec.json.Decoder(_Request).decode


class Audit:
    """Reads on from where it was. Requests of the benchmark and of the API server itself are left out."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = 0

    def calls(self) -> Calls:
        """Requests that were answered since the last time."""
        with self._log.open("rb") as log:
            log.seek(self._position)
            lines, end, _ = log.read().rpartition(b"\n")
        self._position += len(lines) + len(end)
        requests = [_decode(line) for line in lines.splitlines()]
        return Counter(
            (request.verb, _about(request.object_ref))
            for request in requests
            if request.stage == "ResponseComplete"
            and not request.user_agent.startswith(AGENT)
            and request.user.username != "system:apiserver"
        )


def _about(about: _Object) -> str:
    """Kind and subresource; requests about no object are those for the list of all kinds."""
    return "/".join(filter(None, (about.resource, about.subresource))) or "discovery"


def writes(calls: Calls) -> int:
    return sum(count for (verb, kind), count in calls.items() if verb in WRITES and kind != ELECTION)


def reads(calls: Calls) -> int:
    return sum(count for (verb, kind), count in calls.items() if verb in READS and kind != ELECTION)
