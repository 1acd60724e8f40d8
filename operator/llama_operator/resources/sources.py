"""The files that a model's pods serve, and the volume they are on: what the operator compares, keeps, and goes back to.

It is an annotation of the Deployment (what its template serves) and of a Job (what it stages), so the operator needs no
memory: the old sources are still known while the new ones are being staged.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from llama_operator.api.types import Adapter, Draft, LlamaModel, Projector, Source, Storage, _Base


class Sources(_Base, frozen=True):
    """Those members of the spec that say which files there are, and where they are kept."""

    source: Source
    projector: Projector | None = None
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    storage: Storage | None = None

    def same(self, other: Sources) -> bool:
        """The same files on the same volume. How strong an adapter is, and how large a volume, is no other file."""
        return _files(self) == _files(other) and volume(self.storage) == volume(other.storage)


def of(model: LlamaModel) -> Sources:
    spec = model.spec
    return Sources(spec.source, spec.projector, spec.adapters, spec.draft, spec.storage)


def put(model: LlamaModel, sources: Sources) -> LlamaModel:
    """The model as it would be with these sources; of the same volume its own size and quota stay."""
    wanted = {name: getattr(sources, name) for name in Sources.__struct_fields__}
    if volume(sources.storage) == volume(model.spec.storage):
        wanted["storage"] = model.spec.storage
    return msgspec.structs.replace(model, spec=msgspec.structs.replace(model.spec, **wanted))


def written(sources: Sources) -> str:
    """As an annotation: the same sources are the same text."""
    return json.dumps(msgspec.to_builtins(sources), sort_keys=True, separators=(",", ":"))


def read(text: str) -> Sources | None:
    """From an annotation; None if it is none of ours, or of a version of the API that had other members."""
    try:
        return msgspec.json.decode(text, type=Sources)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def volume(storage: Storage | None) -> tuple[str, str]:
    """Which volume it is: what kind, and its name, if it is not the model's own."""
    if storage is None:
        return "pod", ""
    if storage.cache is None:
        return "claim", ""
    return ("node", storage.cache.node_path) if storage.cache.node_path else ("cache", storage.cache.claim_name or "")


def _files(sources: Sources) -> list[tuple[str, Any]]:
    files: list[tuple[str, Any]] = [("model", sources.source)]
    files += [("projector", sources.projector.source)] if sources.projector else []
    files += [("draft", sources.draft.source)] if sources.draft else []
    return files + [(f"adapter/{adapter.name}", adapter.source) for adapter in sources.adapters]
