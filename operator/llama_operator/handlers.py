"""What kopf does for us: credentials, and a watch on each kind. A handler records and enqueues; it decides nothing.

kopf runs `@on.event` handlers once and forgets their errors, so there must be nothing in them that can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import kopf

from llama_operator.kube.kinds import WATCHED, Kind
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.workqueue import WorkQueue

IDLE_SECONDS = 0.1
"""For which kopf keeps a task, with the object's last body, for each object after its last event. Its default, 5 s, let
the first list of 1,000 models with four children take 80 MiB which the process never gave back."""
PAGE = 50
"""Objects that kopf's lists fetch at once, for the same reason."""


class _NoDiff(kopf.DiffBaseStorage):
    """kopf compares each object with its last version for handlers that we do not have; a tenth of the CPU."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast(kopf.BodyEssence, {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Nor do our handlers have progress that would have to be kept in annotations."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def settings() -> kopf.OperatorSettings:
    """kopf as a plain set of watches: no peering, no discovery of new kinds, no events posted from log lines."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.queueing.idle_timeout = IDLE_SECONDS
    chosen.watching.chunk_size = PAGE
    chosen.persistence.diffbase_storage = _NoDiff()
    chosen.persistence.progress_storage = _NoProgress()
    for kind in WATCHED:
        if kind.selector:
            chosen.watching.label_selectors[kind.group, kind.plural] = kind.selector
    return chosen


def registry(*, login: Callable[[], kopf.ConnectionInfo], cache: Cache, queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """All handlers."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def credentials(**_: Any) -> kopf.ConnectionInfo:
        return login()

    for kind in WATCHED:
        _observe(kind, handlers, cache, queue)
    return handlers


def _observe(kind: Kind, handlers: kopf.OperatorRegistry, cache: Cache, queue: WorkQueue[Key]) -> None:
    group, _, version = kind.api_version.rpartition("/")

    @kopf.on.event(group, version, kind.plural, registry=handlers, id=f"observe-{kind.plural}")
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        obj = dict(event["object"])
        for key in cache.observe(kind.kind, obj, deleted=event["type"] == "DELETED"):
            queue.add(key)
