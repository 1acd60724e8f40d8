"""Who may ask the model: the Secret with its API keys, how llama-server gets them, and whose web pages may ask.

The operator cannot read Secrets: it makes the one that it generates, and the pods mount it. llama-server reads the
keys whenever it starts, and is open to everybody if there are none. So the stager, which finds out, hands them on: they
are the same for as long as the pod lives, whatever becomes of the Secret.
"""

from __future__ import annotations

from typing import Any

from llama_operator.api.staging import Keys
from llama_operator.api.types import LlamaModel, SecretKeyRef
from llama_operator.resources.metadata import child

Object = dict[str, Any]

KEY = "key"
"""Of the Secret that the operator makes."""
FILE = "/api-keys/keys"
"""In a server's pod: its keys, one in a line."""
_GIVEN, _SERVED = "secret-api-keys", "api-keys"
_GIVEN_FOLDER, _SERVED_FOLDER = "/secrets/api-keys", "/api-keys"


def secret(model: LlamaModel) -> Object | None:
    """The Secret that the operator has to make, once, if it does; the key is put in by whoever makes it."""
    auth = model.spec.auth
    if auth and not auth.generate:
        return None
    return child(model, api_version="v1", kind="Secret", name=f"{model.name}-api-key", spec=None)


def keys(model: LlamaModel) -> Keys | None:
    """For the stager; None if everybody may ask."""
    ref = _ref(model)
    return Keys(given=f"{_GIVEN_FOLDER}/{ref.key}", served=FILE) if ref else None


def volumes(model: LlamaModel) -> list[Object]:
    """The Secret is not optional: the kubelet waits for it, and tells."""
    ref = _ref(model)
    if ref is None:
        return []
    items = [{"key": ref.key, "path": ref.key}]
    return [
        {"name": _GIVEN, "secret": {"secretName": ref.name, "items": items, "defaultMode": 0o440}},
        {"name": _SERVED, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def for_stager(model: LlamaModel) -> list[Object]:
    if _ref(model) is None:
        return []
    given = {"name": _GIVEN, "mountPath": _GIVEN_FOLDER, "readOnly": True}
    return [given, {"name": _SERVED, "mountPath": _SERVED_FOLDER}]


def for_server(model: LlamaModel) -> list[Object]:
    """Mounts of whoever needs `FILE`."""
    return [{"name": _SERVED, "mountPath": _SERVED_FOLDER, "readOnly": True}] if _ref(model) else []


def flags(model: LlamaModel) -> list[str]:
    """Of llama-server.

    Pages of other origins get nothing: its default is to let all of them ask, with a browser's credentials. An empty
    origin is none at all (tools/server/server-http.cpp puts the value into the header as it is).
    """
    keys = ["--api-key-file", FILE] if _ref(model) else []
    return [*keys, "--cors-origins", "", "--no-cors-credentials"]


def mounted(template: Object) -> str | None:
    """The Secret with the keys that pods of this template mount; None for none."""
    volumes = template.get("spec", {}).get("volumes") or []
    return next((v.get("secret", {}).get("secretName") for v in volumes if v.get("name") == _GIVEN), None)


def _ref(model: LlamaModel) -> SecretKeyRef | None:
    auth = model.spec.auth
    if auth and auth.none:
        return None
    own = secret(model)
    return SecretKeyRef(own["metadata"]["name"], KEY) if own else auth.api_key_secret_ref if auth else None
