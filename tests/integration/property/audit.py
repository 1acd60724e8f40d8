"""Who wrote what, by the API server's own account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

Object = dict[str, Any]

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OPERATOR = "llama-operator/"
"""How the user agent of our own client begins. (kopf, which watches, never writes.)"""


class NotQuietError(Exception):
    """The operator wrote although there was nothing to write. No AssertionError: it is not to be waited for."""


class AuditLog:
    """A place in the log is a number of bytes; what was answered before the place was taken is before it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def end(self) -> int:
        return self._path.stat().st_size

    def seconds(self, since: int) -> float:
        """How much time lies between the first and the last request since then, by the API server's clock."""
        times = [datetime.fromisoformat(entry["requestReceivedTimestamp"]) for entry in self._entries(since)]
        return (max(times) - min(times)).total_seconds() if times else 0.0

    def expect_silence(self, since: int, namespace: str) -> None:
        """Raises NotQuietError if the operator has written since then.

        Where others write, it may have reason to: then that is an AssertionError, for it may pass. So may a young
        model's question whether there is a Secret of its name, which can only be asked by making it.
        """
        ours, others = self.writes(since, namespace)
        assert not others, others
        assert not ours or not all(told.endswith("/secrets 409") for told in ours), ours
        if ours:
            raise NotQuietError("\n".join(ours))

    def writes(self, since: int, namespace: str) -> tuple[list[str], list[str]]:
        """The operator's writes since then in this namespace, refused ones too, and everybody else's.

        Of others' writes those are left out that change nothing the operator looks at: Events and Leases. Leases are
        left out of the operator's, too: to renew one is to be alive.
        """
        ours, others = [], []
        for entry in self._entries(since):
            ref = entry.get("objectRef", {})
            if entry["verb"] not in WRITES or ref.get("namespace") != namespace or ref["resource"] == "leases":
                continue
            told = f"{entry['verb']} {entry['requestURI']} {entry.get('responseStatus', {}).get('code')}"
            if entry.get("userAgent", "").startswith(OPERATOR):
                ours.append(told)
            elif ref["resource"] != "events":
                others.append(f"{told} by {entry.get('userAgent', '')}")
        return ours, others

    def _entries(self, since: int) -> Iterator[Object]:
        with self._path.open("rb") as log:
            log.seek(since)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # it is being written; its request has not been answered
                yield json.loads(line)
