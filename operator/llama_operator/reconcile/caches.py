"""Shared volumes: which a model uses, which links on them are in use, and what has become unused. Pure.

A link is in use as long as a LlamaModel's spec names it, a Deployment's or a Job's template, or a pod that still
exists. Links are named after their source, so it does no harm to name some that are on another volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_operator import constants
from llama_operator.api.conditions import Reason
from llama_operator.api.types import Cache, LlamaModel, Storage, readable
from llama_operator.reconcile import pods, rollback
from llama_operator.resources import quantity, staging, storage

Object = dict[str, Any]

PRESSURE = frozenset({Reason.DISK_FULL, Reason.QUOTA_EXCEEDED})
"""What a stager reports when something has to go before it can go on."""


@dataclass(frozen=True)
class Volume:
    """What one namespace has of it: a claim, or its part of a folder of one node."""

    namespace: str
    claim_name: str = ""
    node_path: str = ""
    node: str = ""


@dataclass(frozen=True)
class Pressure:
    """A stager needs `need` bytes (0: nobody knows) to go on; `attempt` tells its failures apart."""

    volume: Volume
    attempt: str
    need: int = 0


def used(model: LlamaModel | None, deployment: Object, observed: Sequence[Object]) -> dict[Volume, set[str]]:
    """Links in use on shared volumes, for one model: by its spec, by its Deployment, and by its pods.

    A folder of a node is known by the pods that are there.
    """
    found: dict[Volume, set[str]] = {}
    standing = rollback.standing(deployment)
    specs = (model.spec if model else None, standing.serves, standing.fallback)
    caches = [_of(spec.storage) for spec in specs if spec]
    for cache in filter(None, caches):
        namespace = model.namespace if model else deployment["metadata"]["namespace"]
        if cache.claim_name:
            links = found.setdefault(_claim(namespace, cache), set())
            links |= _links(model) | links_of([deployment] if deployment else []) | links_of(observed)
        for pod in observed:
            node = pod.get("spec", {}).get("nodeName")
            if cache.node_path and node:
                volume = Volume(namespace, node_path=cache.node_path, node=node)
                found.setdefault(volume, set()).update(links_of([pod]))
    return found


def links_of(objects: Iterable[Object]) -> set[str]:
    """Links that the pods name, the templates of Deployments and Jobs, or a Deployment that may be rolled back."""
    names: set[str] = set()
    for obj in objects:
        for part in (obj, obj.get("spec", {}).get("template", {})):
            annotations = part.get("metadata", {}).get("annotations") or {}
            names.update(annotations.get(constants.FILES, "").split())
    return names


def live(models: Iterable[Object], others: Iterable[Object]) -> set[str]:
    """All links in use: by the LlamaModels' specs, and by `others` (Deployments, Jobs, pods)."""
    names = links_of(others)
    for raw in models:
        names |= _links(readable(raw))  # of what cannot be read nothing is made
    return names


def node_of(claim_name: str, observed: Iterable[Object]) -> str:
    """A node that has the claim, by the pods that use it: best where one is ready. Empty if there is none."""
    found: list[tuple[bool, str, str]] = []
    for pod in observed:
        spec, status = pod.get("spec", {}), pod.get("status", {})
        claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec.get("volumes", [])]
        if claim_name in claims and spec.get("nodeName") and status.get("phase") not in ("Succeeded", "Failed"):
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
            found.append((not ready, pod["metadata"]["name"], spec["nodeName"]))
    return min(found)[2] if found else ""


def of(model: LlamaModel) -> Cache | None:
    return _of(model.spec.storage)


def deletes(model: LlamaModel) -> bool:
    """Whether what the model does not use any more goes at once."""
    cache = of(model)
    return cache is not None and cache.when_unused == "Delete"


def quota(model: LlamaModel) -> int:
    """In bytes; 0 for none."""
    cache = of(model)
    return int(quantity.parse(cache.quota)) if cache and cache.quota else 0


def keeps(models: Iterable[Object], volume: Volume) -> bool:
    """Whether somebody who uses the volume wants what is unused to stay. `models` are those of its namespace."""
    caches = filter(None, map(_cache, models))
    return any(cache.when_unused == "Keep" for cache in caches if _is(cache, volume))


def pressure(model: LlamaModel, observed: Sequence[Object]) -> Pressure | None:
    """The first of the model's stagers that waits for room: on a cache, or on the model's own claim.

    On the latter are the files of older sources, too.
    """
    wanted = model.spec.storage
    for pod in observed if wanted else ():
        told = pods.failure(pod)
        if wanted and told and told[1].reason in PRESSURE:
            volume = Volume(model.namespace, claim_name=storage.claim_name(model))
            if wanted.cache and wanted.cache.node_path:
                node = pod.get("spec", {}).get("nodeName", "")
                volume = Volume(model.namespace, node_path=wanted.cache.node_path, node=node)
            elif wanted.cache:
                volume = _claim(model.namespace, wanted.cache)
            return Pressure(volume, told[0], told[1].need)
    return None


def _claim(namespace: str, cache: Cache) -> Volume:
    return Volume(namespace, claim_name=cache.claim_name or "")


def _links(model: LlamaModel | None) -> set[str]:
    return set(staging.links(model).split()) if model else set()


def _cache(raw: Object) -> Cache | None:
    model = readable(raw)
    return _of(model.spec.storage) if model else None


def _of(wanted: Storage | None) -> Cache | None:
    return wanted.cache if wanted else None


def _is(cache: Cache, volume: Volume) -> bool:
    return (cache.claim_name or "", cache.node_path or "") == (volume.claim_name, volume.node_path)
