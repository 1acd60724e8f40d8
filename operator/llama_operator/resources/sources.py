"""Which files a model's pods serve, and on which volume: what has to be staged, and nothing else of the spec.

It is an annotation of the Job that stages them, and names it.
"""

from __future__ import annotations

import json

import msgspec

from llama_operator.api import types
from llama_operator.api.types import Source, Spec, Storage


class Sources(msgspec.Struct, frozen=True):
    """`files`: sources by role (model, projector, draft, adapter/NAME). `volume`: its kind, and its name if it has one.

    How strong an adapter is, and how large a volume, is no other file.
    """

    files: dict[str, Source]
    volume: tuple[str, str]


def of(spec: Spec) -> Sources:
    return Sources({role: source for role, _, source in types.sources(spec)}, _volume(spec.storage))


def written(sources: Sources) -> str:
    """As an annotation: the same sources are the same text."""
    return json.dumps(msgspec.to_builtins(sources), sort_keys=True, separators=(",", ":"))


def read(text: str) -> Sources | None:
    """From an annotation; None if it is none of ours, or of a version of the API that had other members."""
    try:
        sources = msgspec.json.decode(text, type=Sources)
    except msgspec.DecodeError:
        return None
    return sources if written(sources) == text else None


def _volume(storage: Storage | None) -> tuple[str, str]:
    if storage is None:
        return "pod", ""
    if storage.cache is None:
        return "claim", ""
    return ("node", storage.cache.node_path) if storage.cache.node_path else ("cache", storage.cache.claim_name or "")
