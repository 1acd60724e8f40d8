"""Takes out of a child what others have set and what stands against ours.

A port that was renumbered by hand keeps the name that our port needs; a probe, a hook, a volume, a variable cannot be
of two kinds at once; a strategy of type Recreate allows no `rollingUpdate`. Server-side apply cannot take away what
others own, so the API server would refuse ours beside it for ever.
"""

from __future__ import annotations

from typing import Any

from llama_operator import constants
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import Client
from llama_operator.reconcile import mergepatch

Object = dict[str, Any]

ATTEMPTS = 5
"""To disown: the place of our entry among the owners moves whenever a controller writes the status."""


async def clear(client: Client, child: Object, seen: Object) -> bool:
    """Make the spec of `seen` what `child` says and nothing else; False if that is refused: it is invalid by itself.

    Only a number of replicas stays that `child` leaves to others (see `carryover`). To be followed by an apply.
    Raises `errors.Conflict` if `seen` is not the newest version.
    """
    spec = {name: value for name, value in seen["spec"].items() if name == "replicas"} | child["spec"]
    # Without its hash the child will be applied again even if we are ended here.
    meta = {"annotations": {constants.APPLIED_HASH: None}}
    patch = {"metadata": meta, "spec": mergepatch.exactly(seen["spec"], spec)}
    try:
        patched = await client.patch(kinds.BY_NAME[child["kind"]], seen, patch)
    except errors.Rejected:
        return False
    await disown(client, patched)
    return True


async def resume(client: Client, seen: Object) -> None:
    """Before an apply: what `clear` had to do, if we were ended in the middle of it. Costs calls only then.

    A child without its hash is one that was cleared, or one from which a hand took it; the cache knows no owners.
    """
    meta = seen["metadata"]
    if constants.APPLIED_HASH in meta.get("annotations", {}):
        return
    try:
        live = await client.get(kinds.BY_NAME[seen["kind"]], meta["namespace"], meta["name"])
    except errors.NotFound:
        return  # the apply is a conflict then
    await disown(client, live)


async def disown(client: Client, seen: Object) -> None:
    """Give up what `clear` made ours: owned in two ways, it would stay when we no longer apply it.

    Before the apply that brings the hash back: who is ended in between finds the hash missing, and does it again.

    Raises `errors.Conflict` if somebody else is faster all the time.
    """
    kind, meta = kinds.BY_NAME[seen["kind"]], seen["metadata"]
    for _ in range(ATTEMPTS):
        try:
            return await client.disown(kind, seen)
        except errors.Invalid:
            seen = await client.get(kind, meta["namespace"], meta["name"])
    raise errors.Conflict(f"disown {seen['kind']} {meta['name']}", 409, "Conflict", "others are always faster")
