"""Sources and storage of a model apart from the rest of its spec.

A model whose new source is still being staged is built with those that it is served with. The Deployment's annotation
`constants.SERVED` remembers them.
"""

from __future__ import annotations

import msgspec

from llama_operator.api.types import Adapter, Draft, LlamaModel, Projector, Source, Storage


class Served(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The members of a spec that decide which files are needed and where they are."""

    source: Source
    projector: Projector | None = None
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    storage: Storage | None = None


def served(model: LlamaModel) -> str:
    """What this model is served with, as JSON; the same for the same."""
    members = {name: getattr(model.spec, name) for name in Served.__struct_fields__}
    return msgspec.json.encode(Served(**members)).decode()


def with_served(model: LlamaModel, text: str) -> LlamaModel:
    """The model with sources and storage from an annotation, and all else from its spec.

    Raises `msgspec.DecodeError` if somebody has put something else there.
    """
    members = msgspec.structs.asdict(msgspec.json.decode(text, type=Served))
    return msgspec.structs.replace(model, spec=msgspec.structs.replace(model.spec, **members))
