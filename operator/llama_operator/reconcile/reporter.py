"""Tells the user: the status of the LlamaModel, and an Event when it becomes another."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from llama_operator import constants
from llama_operator.api.staging import Progress
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import Client
from llama_operator.reconcile import guard, mergepatch, status
from llama_operator.reconcile.events import Event, transitions
from llama_operator.reconcile.evidence import Evidence
from llama_operator.reconcile.facts import Told
from llama_operator.reconcile.status import Failure, Observed
from llama_operator.runtime.cache import Cache
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

NOTE_LIMIT = 1024
"""Bytes of an Event's note that the API accepts."""

log = Log(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Reporter:
    def __init__(self, *, cache: Cache, client: Client, now: Callable[[], datetime] = _now) -> None:
        self._cache = cache
        self._client = client
        self._now = now
        self._host = socket.gethostname()[:128]

    async def report(
        self,
        model: Object,
        failure: Failure | None,
        evidence: Evidence | None = None,
        progress: Progress | None = None,
        told: Told | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Compute the status from what the cache holds, events and pods have told, and write it if it differs.

        `model` as it was reconciled: of a newer spec nothing is told, for nothing was done for it. One write at most.
        Raises `errors.APIError`: the status is then computed again, from newer facts.
        """
        key = model["metadata"]["namespace"], model["metadata"]["name"]
        seen = self._cache.snapshot(key)
        if seen.model is None:
            return
        guard.check(model, seen.model)
        old, now = seen.model.get("status", {}), self._now()
        observed = Observed(seen.children, seen.pods, evidence or {}, progress, told or {}, refused or {})
        new = status.compute(seen.model, observed, failure, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        if new == old:
            return
        try:
            answer = await self._client.patch_status(kinds.MODEL, *key, _patch(seen.model, new))
        except errors.NotFound:
            self._cache.absent(constants.KIND, *key)
            return
        except errors.Conflict:
            self._cache.store(constants.KIND, await self._client.get(kinds.MODEL, *key))
            raise
        self._cache.store(constants.KIND, answer)
        if new["conditions"] != old.get("conditions"):  # of how far a stager is the log need not tell
            log.info("status", model="/".join(key), **_summary(new))
        for event in transitions(old, new):
            await self._post(seen.model, event, now)

    async def _post(self, model: Object, event: Event, now: datetime) -> None:
        """Events are a courtesy: one that cannot be posted is logged, and nothing else waits for it."""
        try:
            await self._client.create(kinds.EVENT, _event(model, event, now, self._host))
        except errors.APIError as error:
            meta = model["metadata"]
            key = f"{meta['namespace']}/{meta['name']}"
            log.warning("event not posted", model=key, reason=event.reason, error=str(error))


def _patch(model: Object, status: Object) -> Object:
    """A merge-patch that makes the status exactly this.

    What is to vanish is named with a null, so it vanishes even if another tool wrote it; under server-side apply it
    would stay with its other owner, and we would write again and again. The resource version makes it a conflict to
    write what was computed from an older version of the object.
    """
    version = model["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version}, "status": mergepatch.exactly(model.get("status", {}), status)}


def _summary(status: Object) -> dict[str, str]:
    """The `Ready` condition, for the log."""
    ready: Object = next((c for c in status["conditions"] if c["type"] == "Ready"), {})
    return {"ready": ready.get("status", ""), "why": ready.get("reason", ""), "detail": ready.get("message", "")}


def _event(model: Object, event: Event, now: datetime, host: str) -> Object:
    meta = model["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{constants.GROUP}/{constants.FIELD_MANAGER}",
        "reportingInstance": host,
        "action": "Reconcile",
        "type": event.type,
        "reason": event.reason,
        "note": event.message.encode()[:NOTE_LIMIT].decode(errors="ignore"),
        "regarding": {
            "apiVersion": constants.API_VERSION,
            "kind": constants.KIND,
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
