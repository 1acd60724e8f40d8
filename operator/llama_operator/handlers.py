"""What kopf does for us: credentials, and a watch on each kind. A handler records and enqueues; it decides nothing.

kopf runs `@on.event` handlers once and forgets their errors, so there must be nothing in them that can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from llama_operator.kube.kinds import WATCHED, Kind
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.workqueue import WorkQueue


def settings() -> kopf.OperatorSettings:
    """kopf as a plain set of watches: no peering, no discovery of new kinds, no events posted from log lines."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    for kind in WATCHED:
        if kind.selector:
            chosen.watching.label_selectors[kind.group, kind.plural] = kind.selector
    return chosen


def registry(
    *,
    login: Callable[[], kopf.ConnectionInfo],
    cache: Cache,
    queue: WorkQueue[Key],
) -> kopf.OperatorRegistry:
    """All handlers."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def credentials(**_: Any) -> kopf.ConnectionInfo:
        return login()

    @kopf.on.cleanup(registry=handlers)
    async def cleanup(**_: Any) -> None:
        queue.close()  # told to stop: what runs may finish, and nothing new is begun

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
