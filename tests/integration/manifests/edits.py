"""Edits of a good spec into another one that would be good, too: some are forbidden, others must stay possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SPEC: dict[str, Any] = {"source": {"url": {"url": "http://files/m.gguf"}}}


@dataclass(frozen=True)
class Edit:
    """`words` are in the refusal."""

    id: str
    before: dict[str, Any]
    after: dict[str, Any]
    words: str = ""


def _claim(**fields: Any) -> dict[str, Any]:
    return {**SPEC, "storage": {"claim": {"size": "10Gi", "accessModes": ["ReadWriteOnce"], **fields}}}


def _cache(**fields: Any) -> dict[str, Any]:
    return {**SPEC, "storage": {"cache": {"claimName": "cache", **fields}}}


_VOLUME = {"source": {"volume": {"claimName": "models", "path": "m.gguf"}}}
_CLAIM = "spec.storage.claim"

FORBIDDEN = [
    Edit("other-class", _claim(storageClassName="fast"), _claim(storageClassName="slow"), f"{_CLAIM}: Invalid value"),
    Edit("class-added", _claim(), _claim(storageClassName="fast"), f"{_CLAIM}: Invalid value"),
    Edit("class-taken-away", _claim(storageClassName="fast"), _claim(), f"{_CLAIM}: Invalid value"),
    Edit("other-mode", _claim(), _claim(accessModes=["ReadWriteMany"]), f"{_CLAIM}: Invalid value"),
    Edit("mode-added", _claim(), _claim(accessModes=["ReadWriteOnce", "ReadWriteMany"]), f"{_CLAIM}: Invalid value"),
    Edit("storage-taken-away", _claim(), SPEC, "spec.storage.claim cannot be taken away"),
    Edit("to-a-volume", _claim(), _VOLUME, "spec.storage.claim cannot be taken away"),
    Edit("claim-to-cache", _claim(), _cache(), "spec.storage.claim cannot be taken away"),
    Edit("claim-taken-away", _claim(), {**SPEC, "storage": {}}, "spec.storage"),  # applied, {} arrives as null
]

ALLOWED = [
    Edit("larger", _claim(), _claim(size="11Gi")),
    Edit("smaller", _claim(), _claim(size="9Gi")),  # back to what it was, where it could not grow
    Edit("same-size-in-another-unit", _claim(size="1Gi"), _claim(size="1024Mi")),
    Edit("storage-added", SPEC, _claim()),
    Edit("other-source", _claim(), {**_claim(), "source": {"url": {"url": "http://files/other.gguf"}}}),
    Edit("cache-to-claim", _cache(), {**SPEC, "storage": {"claim": {"size": "1Gi"}}}),
    Edit("cache-taken-away", _cache(), SPEC),
    Edit("other-cache", _cache(), _cache(claimName="other")),
    Edit("smaller-quota", _cache(quota="2Gi"), _cache(quota="1Gi")),
    Edit("cache-to-a-volume", _cache(), _VOLUME),
    Edit("projector-added", SPEC, {**SPEC, "projector": SPEC}),
    Edit("adapter-taken-away", {**SPEC, "adapters": [{"name": "a", **SPEC}]}, SPEC),
]
