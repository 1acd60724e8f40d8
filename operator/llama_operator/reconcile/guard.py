"""Two questions about the creation of a child, both asked live, because the cache may be late.

Before it: is the model still what it was? A child of a deleted model would be collected and, the cache being late, made
again. And when the API server says that the child's name is taken: by whom?
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Any

from llama_operator import constants
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import Client
from llama_operator.reconcile.plan import controller_uid
from llama_operator.runtime.cache import Cache

Object = dict[str, Any]


class Name(Enum):
    """Whom the name of a child belongs to."""

    FREE = "free"
    """To nobody any more."""
    OURS = "ours"
    """To this model already: the cache is late, or the child has lost the labels by which we watch it."""
    LEFTOVER = "leftover"
    """To an object on its way out: it is being deleted, or the garbage collector is about to."""
    TAKEN = "taken"


async def confirm(client: Client, cache: Cache, model: Object) -> None:
    """Ask whether the model is still what it was. Brings the cache up to date.

    Raises `errors.Conflict` if not. It must be looked at again then: what the cache learns here is no news any more
    when the watch tells it.
    """
    key = model["metadata"]["namespace"], model["metadata"]["name"]
    try:
        live = await client.get(kinds.MODEL, *key)
    except errors.NotFound:
        cache.absent(constants.KIND, *key)
        raise _changed(model, "it is gone") from None
    cache.store(constants.KIND, live)
    check(model, live)
    if "deletionTimestamp" in live["metadata"]:
        raise _changed(model, "it is being deleted")


def check(model: Object, newer: Object) -> None:
    """Raises `errors.Conflict` if the spec of `model` is not the newest one."""
    if any(model["metadata"].get(name) != newer["metadata"].get(name) for name in ("uid", "generation")):
        raise _changed(model, "its spec is another one now")


def _changed(model: Object, why: str) -> errors.Conflict:
    meta = model["metadata"]
    return errors.Conflict(f"reconcile {meta['namespace']}/{meta['name']}", 409, "Conflict", why)


async def name_of(client: Client, child: Object) -> tuple[Name, Object]:
    """Look the child's name up. Returns also what has it; the cache is left alone, a stranger must not get into it."""
    meta, kind = child["metadata"], kinds.BY_NAME[child["kind"]]
    try:
        live = await client.get(kind, meta["namespace"], meta["name"])
    except errors.NotFound:
        return Name.FREE, {}
    if "deletionTimestamp" in live["metadata"] or _predecessors(live, child):
        return Name.LEFTOVER, live
    return (Name.OURS if controller_uid(live) == controller_uid(child) else Name.TAKEN), live


async def unwatched(client: Client, model: Object, ours: Collection[tuple[str, str]]) -> list[Object]:
    """Children of this model that are not wanted any more and that no watch shows, because they have lost their labels.

    What remembers an Ingress is the status: the address is in there until the Ingress has been seen to. A NetworkPolicy
    is looked for when the spec is newer than the status. (No other child can become unwanted.) Costs a call only then.
    """
    meta, spec, status = model["metadata"], model["spec"], model.get("status", {})
    lost = []
    if "ingress" not in spec and "ingressURL" in status:
        lost.append("Ingress")
    if (
        not spec.get("networkPolicy", {}).get("enabled", True)
        and status.get("observedGeneration") != meta["generation"]
    ):
        lost.append("NetworkPolicy")
    known = {kind for kind, _ in ours}
    found = [await _live(client, meta, kind) for kind in lost if kind not in known]
    return [obj for obj in found if obj is not None]


async def _live(client: Client, meta: Object, kind: str) -> Object | None:
    try:
        live = await client.get(kinds.BY_NAME[kind], meta["namespace"], meta["name"])
    except errors.NotFound:
        return None
    return live if controller_uid(live) == meta["uid"] and "deletionTimestamp" not in live["metadata"] else None


def _predecessors(live: Object, child: Object) -> bool:
    """Whether it belonged to a deleted LlamaModel of the same name as the present one."""
    (owner,) = child["metadata"]["ownerReferences"]
    return any(
        ref.get("controller")
        and all(ref[field] == owner[field] for field in ("apiVersion", "kind", "name"))
        and ref["uid"] != owner["uid"]
        for ref in live["metadata"].get("ownerReferences", [])
    )
