"""What a Deployment's pod template was made from: it can be made again while the spec already says other things.

It is an annotation of the Deployment, so the operator needs no memory. Whole, and not only the files: new arguments,
another image or fewer resources were meant for the new model, and would be tried on the old one first. The image is
named also where the spec leaves it to the operator: the next operator may bring another one.
"""

from __future__ import annotations

import json

import msgspec

from llama_operator.api.types import Ingress, LlamaModel, Spec, SpecError, parse
from llama_operator.config import Config
from llama_operator.resources import server
from llama_operator.resources.endpoints import prefix
from llama_operator.resources.metadata import digest

_FILES = ("source", "projector", "adapters", "draft", "storage")
SHAPING = (*_FILES, "accelerator", "engine", "image", "resources", "auth", "pod")
"""Members of the spec that shape the pod template. Of `ingress` only the path does: it is llama-server's prefix."""

LIMIT_BYTES = 64 * 1024
"""All annotations of an object together may have 256 KiB, and others write some, too."""


def of(model: LlamaModel, config: Config) -> Spec:
    """A spec of nothing but what shapes the pod template. Raises `SpecError` if there is no image for it."""
    members = {name: getattr(model.spec, name) for name in SHAPING} | {"image": server.image(model, config)}
    path = prefix(model)
    return Spec(**members, ingress=Ingress(host="", path=path) if path else None)


def put(model: LlamaModel, served: Spec) -> LlamaModel:
    """The model as it would be with this pod template. All else is its own: replicas, Service, the Ingress's host."""
    members = {name: getattr(served, name) for name in SHAPING}
    held = msgspec.structs.replace(model, spec=msgspec.structs.replace(model.spec, **members))
    if same_prefix(model, served):
        return held
    path = served.ingress.path if served.ingress else "/"
    ingress = msgspec.structs.replace(model.spec.ingress or Ingress(host=""), path=path)
    return msgspec.structs.replace(held, spec=msgspec.structs.replace(held.spec, ingress=ingress))


def same_prefix(model: LlamaModel, served: Spec) -> bool:
    """Whether llama-server answers below the path that the model's spec asks for."""
    return prefix(model) == prefix(msgspec.structs.replace(model, spec=served))


def written(served: Spec) -> str | None:
    """As an annotation: the same is the same text. None if it is too large for one: then nothing is held back."""
    text = json.dumps(msgspec.to_builtins(served), sort_keys=True, separators=(",", ":"))
    return text if len(text) <= LIMIT_BYTES else None


def fingerprint(served: Spec) -> str:
    """Tells one from another, in a few characters."""
    return digest(msgspec.to_builtins(served))


def read(text: str) -> Spec | None:
    """From an annotation; None if it is none of ours, or of a version of the API that had other members: pods made from
    the rest would be others."""
    try:
        found = msgspec.json.decode(text)
        spec = parse({"metadata": {"name": "", "namespace": "", "uid": ""}, "spec": found}).spec
    except (msgspec.DecodeError, SpecError):
        return None
    return spec if written(spec) == text else None
