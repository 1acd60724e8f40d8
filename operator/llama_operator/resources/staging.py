"""The init container that puts the verified model file in place, and the volume it puts it on."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.api.types import LlamaModel, Source
from llama_operator.resources.metadata import digest
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.storage import claim_name

CONTAINER_NAME = "stage"
ROOT = "/models"


def literal(text: str) -> str:
    """Keep Kubernetes from expanding `$(VARIABLE)` in what a user wrote: `$$` stands for one `$`."""
    return text.replace("$", "$$")


def model_path(source: Source) -> str:
    """Where llama-server finds the file.

    A staged file is reached through a link named after its source: a pod of another version of the spec, on the same
    volume, has another link and is not disturbed.
    """
    if source.volume:
        return f"{ROOT}/{source.volume.path}"
    return f"{ROOT}/{digest(msgspec.to_builtins(source))}.gguf"


def links(model: LlamaModel) -> str:
    """Names of the links on the volume, with blanks between them: the value of the annotation `constants.FILES`."""
    return "" if model.spec.source.volume else model_path(model.spec.source).removeprefix(f"{ROOT}/")


def container(model: LlamaModel, image: str) -> dict[str, Any]:
    source = model.spec.source
    built: dict[str, Any] = {
        "name": CONTAINER_NAME,
        "image": image,
        "command": ["python", "-m", "llama_operator.stage"],
        "args": [literal(word) for word in _arguments(source)],
        "volumeMounts": [mount(read_only=source.volume is not None)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    hub = source.hugging_face
    if hub and hub.token_secret_ref:
        ref = {"name": hub.token_secret_ref.name, "key": hub.token_secret_ref.key}
        built["env"] = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": ref}}]
    return built


def _arguments(source: Source) -> list[str]:
    path = model_path(source)
    if source.url:
        args = ["url", "--url", source.url.url, "--root", ROOT, "--link", path]
        sha256 = source.url.sha256
    elif source.hugging_face:
        hub = source.hugging_face
        args = ["hugging-face", "--endpoint", hub.endpoint, "--repo", hub.repo, "--file", hub.file or ""]
        args += ["--revision", hub.revision, "--root", ROOT, "--link", path]
        sha256 = hub.sha256
    else:
        args = ["volume", "--file", path]
        sha256 = source.volume.sha256 if source.volume else None
    return args + (["--sha256", sha256] if sha256 else [])


def mount(*, read_only: bool) -> dict[str, Any]:
    built: dict[str, Any] = {"name": "models", "mountPath": ROOT}
    return built | ({"readOnly": True} if read_only else {})


def volume(model: LlamaModel) -> dict[str, Any]:
    source = model.spec.source
    if source.volume:
        return {
            "name": "models",
            "persistentVolumeClaim": {"claimName": source.volume.claim_name, "readOnly": True},
        }
    cache = model.spec.storage.cache if model.spec.storage else None
    if cache and cache.claim_name:
        return {"name": "models", "persistentVolumeClaim": {"claimName": cache.claim_name}}
    if cache:
        return {"name": "models", "hostPath": {"path": cache.node_path, "type": "DirectoryOrCreate"}}
    if model.spec.storage:
        return {"name": "models", "persistentVolumeClaim": {"claimName": claim_name(model)}}
    return {"name": "models", "emptyDir": {}}
