"""The container that puts verified files in place, and what it is asked for.

It is the init container of every server, and the container of the Job that stages ahead (`job`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.api import staging as api
from llama_operator.api.types import LlamaModel
from llama_operator.constants import PROGRESS_PORT
from llama_operator.resources import auth, memory, storage
from llama_operator.resources.files import ROOT, File, downloads, files
from llama_operator.resources.security import CONTAINER
from llama_operator.resources.volumes import for_stager, secrets_folder

CONTAINER_NAME = "stage"
RESOURCES: dict[str, Any] = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


def literal(text: str) -> str:
    """Keep Kubernetes from expanding `$(VARIABLE)` in what a user wrote: `$$` stands for one `$`."""
    return text.replace("$", "$$")


def container(model: LlamaModel, image: str, *, ahead: bool = False) -> dict[str, Any]:
    """`ahead`: in a Job, which is made anew for other arguments. So it is told how llama-server will be started only
    where that decides something: where there is a limit. It sees to the API keys only where a server starts after it.
    """
    asked = request(model)
    if not ahead:
        asked = msgspec.structs.replace(asked, keys=auth.keys(model))
    elif asked.engine and not asked.engine.limit:
        asked = msgspec.structs.replace(asked, engine=None)
    return {
        "name": CONTAINER_NAME,
        "image": image,
        "command": ["python", "-m", "llama_operator.stage"],
        "args": [literal(msgspec.json.encode(asked).decode())],
        "ports": [{"name": "progress", "containerPort": PROGRESS_PORT, "protocol": "TCP"}],
        "volumeMounts": [*for_stager(model), *([] if ahead else auth.for_stager(model))],
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def request(model: LlamaModel) -> api.Request:
    """All files of the model; those on volumes and in images are only checked."""
    wanted = tuple(api.File(file.role, file.field, file.path, _source(file), _sha256(file)) for file in files(model))
    engine = memory.settings(model)
    if not downloads(model):
        return api.Request(wanted, port=PROGRESS_PORT, engine=engine)
    cache = model.spec.storage.cache if model.spec.storage else None
    quota = storage.quota(cache) if cache else 0
    return api.Request(wanted, root=ROOT, quota=quota, port=PROGRESS_PORT, engine=engine)


def links(model: LlamaModel) -> str:
    """Names of the links that the model's pods use, with blanks between them: the annotation `constants.FILES`."""
    return " ".join(sorted({link for file in files(model) for link in file.links}))


def _source(file: File) -> api.Url | api.HuggingFace | api.S3 | api.InPlace:
    source, folder = file.source, secrets_folder(file)
    if source.url:
        return api.Url(source.url.url, folder if source.url.headers_secret_ref else "")
    if source.hugging_face:
        hub = source.hugging_face
        token = f"{folder}/{hub.token_secret_ref.key}" if hub.token_secret_ref else ""
        return api.HuggingFace(hub.endpoint, hub.repo, hub.revision, hub.file or "", hub.quantization or "", token)
    if source.s3:
        s3 = source.s3
        credentials = folder if s3.credentials_secret_ref else ""
        return api.S3(s3.uri, s3.endpoint or "", s3.region or "", credentials)
    return api.InPlace()


def _sha256(file: File) -> str:
    source = file.source
    member = source.url or source.hugging_face or source.s3 or source.oci or source.volume
    return member.sha256 or "" if member else ""
