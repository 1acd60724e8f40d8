"""What llama-server says of itself, for the operator: /props and the first of /v1/models. Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from llama_operator.api.sidecar import Facts
from llama_operator.sidecar.client import Reply

T = TypeVar("T")


class _Settings(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Props(msgspec.Struct, frozen=True):
    default_generation_settings: _Settings = _Settings()
    total_slots: int = 0
    model_path: str = ""
    build_info: str = ""


class _Meta(msgspec.Struct, frozen=True):
    n_ctx_train: int = 0
    n_params: int = 0
    size: int = 0
    ftype: str = ""


class _Model(msgspec.Struct, frozen=True):
    meta: _Meta | None = None


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model] = []


def facts(props: Reply | None, models: Reply | None) -> Facts:
    """What cannot be read is left out."""
    said, known = _decoded(props, _Props), _decoded(models, _Models)
    said = said or _Props()
    meta = (known.data[0].meta if known and known.data else None) or _Meta()
    return Facts(
        build=said.build_info,
        model=said.model_path,
        context_size=said.default_generation_settings.n_ctx,
        slots=said.total_slots,
        context_trained=meta.n_ctx_train,
        parameters=meta.n_params,
        bytes=meta.size,
        quantization=meta.ftype,
    )


def _decoded(reply: Reply | None, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(reply.body, type=type_) if reply and reply.status == 200 else None
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
