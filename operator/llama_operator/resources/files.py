"""Which files a model needs, and where they are in its pods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from llama_operator.api.types import LlamaModel, Source, sources
from llama_operator.resources.metadata import digest

ROOT = "/models"
"""Where the writable volume of staged files is mounted."""

_SPLIT = re.compile(r"-00001-of-(\d{5})\.gguf$")
_SECRETS = ("token_secret_ref", "headers_secret_ref", "credentials_secret_ref")


@dataclass(frozen=True)
class File:
    """A file, or a split model. `role` is model, projector, draft or adapter/NAME; `field` its place in the spec.

    `path` is where llama-server finds it. `links` are names in the folder `ROOT`, one for each part: what is staged is
    reached through links named after the source, so that pods of another version of the spec, on the same volume,
    have others and are not disturbed. What is served in place has none.
    """

    role: str
    field: str
    source: Source
    path: str
    links: tuple[str, ...]


def files(model: LlamaModel) -> list[File]:
    """The model's file first, then those of projector, adapters and draft."""
    return [_file(*wanted) for wanted in sources(model.spec)]


def downloads(model: LlamaModel) -> list[File]:
    """Those that are staged, and not served in place."""
    return [file for file in files(model) if file.links]


def _file(role: str, field: str, source: Source) -> File:
    if source.volume:
        return File(role, field, source, f"/volumes/{role}/{source.volume.path}", ())
    if source.oci:
        return File(role, field, source, f"/images/{role}/{source.oci.path}", ())
    names = _links(source)
    return File(role, field, source, f"{ROOT}/{names[0]}", names)


def _links(source: Source) -> tuple[str, ...]:
    """Not named after the Secrets: the same file by another token is the same file.

    Who has no token finds it all the same, so a volume is never of more than one namespace.
    """
    stem = digest(_without_secrets(source))
    parts = _parts(source)
    if not parts:
        return (f"{stem}.gguf",)
    return tuple(f"{stem}-{number:05}-of-{parts:05}.gguf" for number in range(1, parts + 1))


def _without_secrets(source: Source) -> dict[str, Any]:
    (kind, member) = next((k, v) for k, v in msgspec.structs.asdict(source).items() if v is not None)
    given = [name for name in _SECRETS if getattr(member, name, None)]
    return {kind: msgspec.to_builtins(msgspec.structs.replace(member, **dict.fromkeys(given)))}


def _parts(source: Source) -> int:
    """How many parts a split model has by the name of its first one; 0 if it is not split."""
    url, hub, s3 = source.url, source.hugging_face, source.s3
    name = re.split("[?#]", url.url)[0] if url else (hub.file or "") if hub else s3.uri if s3 else ""
    split = _SPLIT.search(name)
    return int(split[1]) if split else 0
