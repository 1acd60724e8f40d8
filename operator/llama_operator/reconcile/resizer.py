"""Has pods resized in place, each once, and knows what not to try again.

That a pod has been resized, the pod itself tells; only what was refused is remembered here. Nothing else waits for a
resize: one that fails is told, or tried again after a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.kube.kinds import POD
from llama_operator.reconcile import status
from llama_operator.reconcile.memory import Resize
from llama_operator.reconcile.status import Observed
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.runtime.cache import Cache, Key, Snapshot
from llama_operator.runtime.logs import Log

FIRST_SECONDS = 1.0
"""After which a resize that something came in between of is tried again; then the pauses double."""
ABSENT_SECONDS = 3600.0
"""After which one is tried again in a cluster that could not do it: it may have been upgraded. One, of all models."""

METHOD_NOT_ALLOWED = 405

log = Log(__name__)


@dataclass(frozen=True)
class _Failed:
    """A resize that is not tried again before `until`, a time of the clock. Either it was refused, with these `words`,
    or something came in between, and it waits for `pause` seconds."""

    until: float
    pause: float = 0.0
    words: str = ""


class Resizer:
    """`shipped`: the server image that the operator brings; `refusal_seconds`: after which what was refused is tried
    again."""

    def __init__(
        self,
        *,
        cache: Cache,
        client: Client,
        shipped: str | None,
        refusal_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._client = client
        self._shipped = shipped
        self._refusal_seconds = refusal_seconds
        self._clock = clock
        self._failed: dict[Key, dict[str, _Failed]] = {}
        self._absent_until = clock()

    def forget(self, key: Key) -> None:
        """The model has gone."""
        self._failed.pop(key, None)

    async def look(self, key: Key, seen: Snapshot) -> tuple[Mapping[str, str], float | None]:
        """Resize what is to be resized. Returns what the API server has refused, by uid of the pod, and after how many
        seconds to look again; None: when something changes."""
        before = self._failed.pop(key, {})
        observed = Observed(seen.children, seen.pods)
        failed: dict[str, _Failed] = {}
        for resize in status.resizes(seen.model, observed, self._shipped) if seen.model else []:
            uid = resize.pod["metadata"]["uid"]
            known = before.get(uid)
            if known is None or self._clock() >= known.until:
                known = await self._try(key, resize, known.pause if known else 0.0)
            if known:
                failed[uid] = known
        if failed:
            self._failed[key] = failed
        refused = {uid: known.words for uid, known in failed.items() if known.words}
        return refused, min((known.until - self._clock() for known in failed.values()), default=None)

    async def _try(self, key: Key, resize: Resize, paused: float) -> _Failed | None:
        meta, now = resize.pod["metadata"], self._clock()
        if now < self._absent_until:
            return None
        told = {"model": "/".join(key), "pod": meta["name"]}
        try:
            answer = await self._client.resize(resize.pod, SERVER, resize.resources)
        except errors.NotFound as error:
            if f'"{meta["name"]}" not found' in error.message:
                self._cache.absent(POD.kind, meta["namespace"], meta["name"])
            else:
                self._absent(error)
        except errors.Rejected as error:
            if error.code != METHOD_NOT_ALLOWED:
                log.warning("not resized", **told, why=str(error))
                return _Failed(now + self._refusal_seconds, words=error.message)
            self._absent(error)
        except (errors.Conflict, errors.Retryable) as error:
            log.info("not resized yet", **told, error=str(error))
            pause = min(max(2 * paused, FIRST_SECONDS), self._refusal_seconds)
            return _Failed(now + max(pause, error.retry_after or 0.0), pause)
        else:
            self._cache.store(POD.kind, answer)
            log.info("resized", **told, resources=resize.resources)
        return None

    def _absent(self, error: errors.APIError) -> None:
        """The cluster cannot do it, for no pod. Workers that have asked at the same time need not all say so."""
        if self._clock() >= self._absent_until:
            self._absent_until = self._clock() + ABSENT_SECONDS
            log.warning("pods are not resized: the API server cannot do it, Kubernetes 1.33 can", error=str(error))
