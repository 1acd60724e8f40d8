"""Objects for the cache, and a list as it learns of one."""

from __future__ import annotations

from typing import Any

from llama_operator.constants import MODEL_LABEL
from llama_operator.runtime.cache import Cache, Key

Object = dict[str, Any]
KEY = ("team", "qwen")


def replace(cache: Cache, kind: str, items: list[Object], version: int, namespace: str | None = None) -> set[Key]:
    """A full list, in pages of one."""
    changed: set[Key] = set()
    for item in items:
        changed |= cache.learn(kind, [item])
    names = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
    return changed | cache.retain(kind, names, version, namespace)


def model(version: int, **more: Any) -> Object:
    return {"metadata": {"namespace": "team", "name": "qwen", "uid": "1", "resourceVersion": str(version)}, **more}


def child(version: int, name: str = "qwen", owner: str | None = "qwen", **more: Any) -> Object:
    labels = {MODEL_LABEL: owner} if owner else {}
    meta = {"namespace": "team", "name": name, "labels": labels, "resourceVersion": str(version)}
    return {"metadata": meta, **more}
