"""Volumes of a model's pods, and who mounts them: files for stager and server, Secrets for the stager alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llama_operator.api.types import LlamaModel, Source
from llama_operator.resources.files import ROOT, File, downloads, files
from llama_operator.resources.storage import staged, sub_path

Object = dict[str, Any]

_STAGED = "models"
_MODE = 0o440
"""Of a Secret's files: for user and group of the pod."""


@dataclass(frozen=True)
class _Mount:
    path: str
    name: str
    volume: Object
    sub_path: str = ""


def volumes(model: LlamaModel) -> list[Object]:
    """Each volume once, whatever is in it: a claim that a pod names twice may not be mounted at all."""
    found = {mount.name: mount.volume for mount in [*_data(model), *_secrets(model)]}
    return [{"name": name, **volume} for name, volume in found.items()]


def for_stager(model: LlamaModel) -> list[Object]:
    """Mounts of the stager, who alone may write where files are staged, and alone gets the Secrets."""
    return [_mounted(mount, read_only=mount.path != ROOT) for mount in [*_data(model), *_secrets(model)]]


def for_server(model: LlamaModel) -> list[Object]:
    """Mounts of llama-server: all read-only."""
    return [_mounted(mount, read_only=True) for mount in _data(model)]


def secrets_folder(file: File) -> str:
    """Where the stager finds what the Secret of this file's source holds."""
    return f"/secrets/{file.role}"


def _mounted(mount: _Mount, *, read_only: bool) -> Object:
    part = {"subPath": mount.sub_path} if mount.sub_path else {}
    return {"name": mount.name, "mountPath": mount.path, **part} | ({"readOnly": True} if read_only else {})


def _data(model: LlamaModel) -> list[_Mount]:
    cache = model.spec.storage.cache if model.spec.storage else None
    found = [_Mount(ROOT, _STAGED, staged(model), sub_path(cache, model.namespace))] if downloads(model) else []
    for file in files(model):
        name = file.role.replace("/", "-")
        if file.source.volume:
            claim = file.source.volume.claim_name
            there = next((m for m in found if _claim_of(m) == claim), None)
            volume = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
            known = (there.name, there.volume) if there else (f"volume-{name}", volume)
            found.append(_Mount(f"/volumes/{file.role}", *known))
        elif file.source.oci:
            oci = file.source.oci
            image = {"reference": oci.image} | ({"pullPolicy": oci.pull_policy} if oci.pull_policy else {})
            found.append(_Mount(f"/images/{file.role}", f"image-{name}", {"image": image}))
    return found


def _claim_of(mount: _Mount) -> str | None:
    claim: str | None = mount.volume.get("persistentVolumeClaim", {}).get("claimName")
    return claim


def _secrets(model: LlamaModel) -> Iterator[_Mount]:
    for file in files(model):
        sources = _projected(file.source)
        if sources:
            volume = {"projected": {"sources": [{"secret": s} for s in sources], "defaultMode": _MODE}}
            yield _Mount(secrets_folder(file), f"secret-{file.role.replace('/', '-')}", volume)


def _projected(source: Source) -> list[Object]:
    """The Secret's keys as files.

    All are optional: a pod whose files are staged starts without them, and the stager says what it misses if it has to
    ask the source. The kubelet would retry for ever, and tell only in an event.
    """
    hub, url, s3 = source.hugging_face, source.url, source.s3
    if hub and hub.token_secret_ref:
        return [_items(hub.token_secret_ref.name, hub.token_secret_ref.key)]
    if url and url.headers_secret_ref:
        return [{"name": url.headers_secret_ref.name, "optional": True}]
    if s3 and s3.credentials_secret_ref:
        return [_items(s3.credentials_secret_ref.name, "accessKeyID", "secretAccessKey", "sessionToken")]
    return []


def _items(name: str, *keys: str) -> Object:
    return {"name": name, "items": [{"key": key, "path": key} for key in keys], "optional": True}
