"""What a GGUF file is, beside what it is asked to be: told before llama-server ends with a stranger message.

Only what llama.cpp is certain to refuse is refused here; it decides by these keys itself: `general.type` and
`adapter.type` (llama-adapter.cpp), the architecture clip (llama.cpp), `clip.has_*_encoder` (clip.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llama_operator.stage.gguf.header import Header

Kind = Literal["model", "adapter", "projector", "imatrix", "vocabulary"]

_NAMES: dict[Kind, str] = {
    "model": "a model",
    "adapter": "a LoRA adapter",
    "projector": "a multimodal projector (mmproj)",
    "imatrix": "an importance matrix (imatrix), which only quantising needs",
    "vocabulary": "a vocabulary without tensors",
}
_PLACES: dict[Kind, str] = {
    "model": "put it under spec.source",
    "adapter": "put it under spec.adapters",
    "projector": "put it under spec.projector",
    "imatrix": "name the model file itself",
    "vocabulary": "name the model file itself",
}


def kind(header: Header) -> Kind:
    if header.type == "adapter" and header.adapter:
        return "adapter"
    if header.type == "imatrix" and not header.architecture:
        return "imatrix"
    if header.architecture == "clip":
        return "projector"
    return "model" if header.tensors or header.parts > 1 else "vocabulary"


def role_mismatch(role: str, header: Header) -> str | None:
    """Why this file cannot be `role` (model, projector, draft, adapter/NAME), to follow the field's name; or None.

    Of a split model only the first part says what it is.
    """
    if header.part:
        return None
    found = kind(header)
    if role == "projector":
        return None if header.encoder else _wrong(found, "a multimodal projector (mmproj)")
    if role.startswith("adapter/"):
        fits = header.type == "adapter" and header.adapter == "lora"
        return None if fits else _wrong(found, "a LoRA adapter in GGUF")
    return None if found == "model" else _wrong(found, "a model")


def _wrong(found: Kind, wanted: str) -> str:
    if wanted.startswith(_NAMES[found]):
        return f"holds {_NAMES[found]} that llama.cpp cannot use; convert it anew with llama.cpp's own script"
    return f"holds {_NAMES[found]}, not {wanted}; {_PLACES[found]}"


def split_mismatch(headers: Sequence[Header]) -> str | None:
    """Why these files, in the order of their names, are not the parts of one model; or None.

    llama.cpp checks the same: as many files as the first says, each with its own number, all tensors there.
    """
    count = headers[0].parts
    if len(headers) != count:
        return f"the first file says that the model has {count} parts, but its name says {len(headers)}"
    for place, header in enumerate(headers):
        if header.part != place:
            return f"file {place + 1} of {count} says that it is part {header.part + 1}; its name is wrong"
    tensors, expected = sum(header.tensors for header in headers), headers[0].tensors_of_all_parts
    if expected and tensors != expected:
        return f"the parts have {tensors} tensors together, but should have {expected}: they belong to several models"
    return None
