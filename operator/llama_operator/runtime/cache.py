"""What the operator knows of the cluster, by model: filled by watches, by lists, and by the answers to its own writes.

These three tell the same story at different speeds, so nothing may depend on who comes first. The resource version
decides: it grows with every write, so the newer account of an object wins, and a list removes only what is not newer
than the list. (Kubernetes has promised that versions compare as integers since 1.35; it was so before.)

kopf alone would miss deletions that happen while a watch is down: it lists again and reports what is there. `retain`
is what notices them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from llama_operator import constants

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a LlamaModel: the unit of work."""
Ref = tuple[str, str, str]
"""Kind, namespace and name of one object."""

TOMBSTONE_SECONDS = 300.0
"""Longer than any answer can be under way that still tells of a deleted object."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Snapshot:
    """A model's objects at one moment. `model` is None when there is no such LlamaModel."""

    model: Object | None
    children: list[Object]
    pods: list[Object]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object as JSON: as dictionaries it would take ten times the memory, of which this is the largest part."""

    text: bytes
    version: int
    owner: Key

    def obj(self) -> Object:
        return msgspec.json.decode(self.text, type=dict[str, Any])


class Cache:
    """Not thread-safe, and no need: every method is done before another task can run.

    Methods that change it return the keys of the models concerned; none means that nothing new was learnt.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Ref, _Entry] = {}
        self._by_owner: dict[Key, set[Ref]] = {}
        self._tombstones: dict[Ref, tuple[int, float]] = {}
        self._unconfirmed: dict[Ref, float] = {}

    def observe(self, kind: str, obj: Object, *, deleted: bool = False) -> set[Key]:
        """A watch reports an object, or its deletion (then with the version of the deletion)."""
        ref, version = _ref(kind, obj), _version(obj)
        known = self._entries.get(ref)
        if known is None or version >= known.version:
            self._unconfirmed.pop(ref, None)
        if not deleted:
            return self._put(ref, obj, version)
        self._tombstones[ref] = (version, self._clock())
        return self._drop(ref) if known and known.version <= version else set()

    def store(self, kind: str, obj: Object) -> set[Key]:
        """The API server's answer to our own write or look-up: known at once, not only when the watch reports it."""
        return self._learn(_ref(kind, obj), obj)

    def absent(self, kind: str, namespace: str, name: str) -> set[Key]:
        """A live look-up has not found the object."""
        return self._drop((kind, namespace, name))

    def learn(self, kind: str, items: Iterable[Object]) -> set[Key]:
        """A page of a full list of a kind."""
        changed: set[Key] = set()
        for obj in items:
            changed |= self._learn(_ref(kind, obj), obj)
        return changed

    def retain(
        self, kind: str, listed: Collection[tuple[str, str]], version: int, namespace: str | None = None
    ) -> set[Key]:
        """The end of a full list as of `version`, for one namespace or for all: what it did not name is gone."""
        gone = [
            ref
            for ref, entry in self._entries.items()
            if ref[0] == kind and namespace in (None, ref[1]) and ref[1:] not in listed and entry.version <= version
        ]
        changed: set[Key] = set()
        for ref in gone:
            changed |= self._drop(ref)
        self._forget_tombstones()
        return changed

    def snapshot(self, key: Key) -> Snapshot:
        """The caller's own copy."""
        mine = sorted(self._by_owner.get(key, ()))
        model = self._entries.get((constants.KIND, *key))
        return Snapshot(
            model=model.obj() if model else None,
            children=[self._entries[ref].obj() for ref in mine if ref[0] not in (constants.KIND, "Pod")],
            pods=[self._entries[ref].obj() for ref in mine if ref[0] == "Pod"],
        )

    def models(self) -> set[Key]:
        """All that may need work: every LlamaModel."""
        return {(namespace, name) for kind, namespace, name in self._entries if kind == constants.KIND}

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Every object of a kind, in one namespace or in all, as it was last seen."""
        return [entry.obj() for ref, entry in self._entries.items() if ref[0] == kind and namespace in (None, ref[1])]

    def count(self) -> int:
        return len(self._entries)

    def unconfirmed_since(self) -> float | None:
        """Clock time of the oldest news that no watch has reported yet.

        Whatever a list or an answer told us, the watch must tell too, within moments. If it does not, it is dead.
        """
        return min(self._unconfirmed.values(), default=None)

    def _learn(self, ref: Ref, obj: Object) -> set[Key]:
        """News that did not come from a watch, so one has still to confirm it."""
        version, known = _version(obj), self._entries.get(ref)
        if self._tombstones.get(ref, (-1, 0.0))[0] > version:
            return set()
        if known is None or known.version < version:
            self._unconfirmed.setdefault(ref, self._clock())
        return self._put(ref, obj, version)

    def _put(self, ref: Ref, obj: Object, version: int) -> set[Key]:
        known = self._entries.get(ref)
        if known is not None and known.version >= version:
            return set()
        owner = _owner(ref, obj)
        if owner is None:  # its label was taken away: to us it is gone
            return self._drop(ref)
        changed = self._drop(ref, confirmed=False) | {owner}
        self._entries[ref] = _Entry(msgspec.json.encode(_trimmed(ref, obj)), version, owner)
        self._by_owner.setdefault(owner, set()).add(ref)
        return changed

    def _drop(self, ref: Ref, *, confirmed: bool = True) -> set[Key]:
        if confirmed:
            self._unconfirmed.pop(ref, None)
        entry = self._entries.pop(ref, None)
        if entry is None:
            return set()
        siblings = self._by_owner[entry.owner]
        siblings.discard(ref)
        if not siblings:
            del self._by_owner[entry.owner]
        return {entry.owner}

    def _forget_tombstones(self) -> None:
        horizon = self._clock() - TOMBSTONE_SECONDS
        self._tombstones = {ref: grave for ref, grave in self._tombstones.items() if grave[1] > horizon}


def _ref(kind: str, obj: Object) -> Ref:
    return kind, obj["metadata"]["namespace"], obj["metadata"]["name"]


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _owner(ref: Ref, obj: Object) -> Key | None:
    """The model that an object says it belongs to. (Whether that is true is checked by uid, in `plan`.)"""
    kind, namespace, name = ref
    if kind == constants.KIND:
        return namespace, name
    model = obj["metadata"].get("labels", {}).get(constants.MODEL_LABEL)
    return (namespace, model) if model else None


def _trimmed(ref: Ref, obj: Object) -> Object:
    """A copy without what nobody reads and everybody repeats."""
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    scaled = [entry for entry in obj["metadata"].get("managedFields", []) if entry.get("subresource") == "scale"]
    if scaled:
        meta["managedFields"] = scaled  # who scales a Deployment (see reconcile.carryover)
    if _LAST_APPLIED in meta.get("annotations", {}):
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k != _LAST_APPLIED}
    trimmed = {"metadata": meta} | {name: value for name, value in obj.items() if name != "metadata"}
    if ref[0] == "Pod":
        # Of its spec only the node and the claims are read, whose caches it uses (see reconcile.caches), and what its
        # containers ask for (see reconcile.memory).
        spec = obj.get("spec", {})
        claims = [volume for volume in spec.get("volumes", []) if "persistentVolumeClaim" in volume]
        asked = [{"name": c["name"], "resources": c.get("resources", {})} for c in spec.get("containers", [])]
        kept = {"nodeName": spec.get("nodeName"), "volumes": claims, "containers": asked}
        trimmed["spec"] = {name: value for name, value in kept.items() if value}
    return trimmed
