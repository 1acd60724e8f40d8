"""A file given for what it is not, and parts that do not belong together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llama_operator.stage.gguf.header import Header
from llama_operator.stage.gguf.role import kind, role_mismatch, split_mismatch

MODEL = Header(version=3, architecture="llama", name="", file_type="F16", parameters=9, tensors=2)
LORA = replace(MODEL, type="adapter", adapter="lora")
MMPROJ = replace(MODEL, architecture="clip", type="mmproj", encoder=True)
IMATRIX = replace(MODEL, architecture="", type="imatrix")
VOCABULARY = replace(MODEL, tensors=0)


@pytest.mark.parametrize("header", [MODEL, replace(MODEL, type="model"), replace(VOCABULARY, parts=3)])
@pytest.mark.parametrize("role", ["model", "draft"])
def test_models_are_models(role: str, header: Header) -> None:
    assert kind(header) == "model"
    assert role_mismatch(role, header) is None


@pytest.mark.parametrize(
    ("role", "header", "message"),
    [
        ("model", LORA, "holds a LoRA adapter, not a model; put it under spec.adapters"),
        ("draft", MMPROJ, "holds a multimodal projector (mmproj), not a model; put it under spec.projector"),
        (
            "model",
            IMATRIX,
            "holds an importance matrix (imatrix), which only quantising needs, not a model; "
            "name the model file itself",
        ),
        ("model", VOCABULARY, "holds a vocabulary without tensors, not a model; name the model file itself"),
        ("projector", MODEL, "holds a model, not a multimodal projector (mmproj); put it under spec.source"),
        (
            "projector",
            replace(MMPROJ, encoder=False),
            "holds a multimodal projector (mmproj) that llama.cpp cannot use; "
            "convert it anew with llama.cpp's own script",
        ),
        ("adapter/a", MODEL, "holds a model, not a LoRA adapter in GGUF; put it under spec.source"),
        (
            "adapter/a",
            replace(LORA, adapter="other"),
            "holds a LoRA adapter that llama.cpp cannot use; convert it anew with llama.cpp's own script",
        ),
    ],
)
def test_another_role_is_told_with_the_way_out(role: str, header: Header, message: str) -> None:
    assert role_mismatch(role, header) == message


@pytest.mark.parametrize(
    ("role", "header"),
    [
        ("adapter/a", LORA),
        ("projector", MMPROJ),
        ("projector", replace(MMPROJ, architecture="", type="")),  # old ones have only the encoder's keys
        ("model", replace(MODEL, encoder=True)),  # a model with its encoder in one file
        ("model", replace(MODEL, type="adapter")),  # llama.cpp does not look at the type of a model
        ("model", replace(MODEL, architecture="")),  # --override-kv can name one
        ("model", replace(IMATRIX, architecture="llama")),
        ("model", replace(VOCABULARY, architecture="", parts=3, part=1)),
        ("projector", replace(MODEL, architecture="", parts=3, part=1)),
    ],
)
def test_nothing_is_refused_that_may_work(role: str, header: Header) -> None:
    assert role_mismatch(role, header) is None


def parts(count: int) -> list[Header]:
    return [replace(MODEL, parts=count, part=n, tensors_of_all_parts=2 * count) for n in range(count)]


def test_parts_that_belong_together() -> None:
    assert split_mismatch(parts(3)) is None
    assert split_mismatch([MODEL]) is None
    assert split_mismatch([replace(one, tensors_of_all_parts=0) for one in parts(2)]) is None


def test_parts_that_do_not() -> None:
    one, two, three = parts(3)
    assert "has 3 parts, but its name says 2" in (split_mismatch([one, two]) or "")
    assert "file 2 of 3 says that it is part 3" in (split_mismatch([one, three, two]) or "")
    assert "5 tensors together, but should have 6" in (split_mismatch([one, two, replace(three, tensors=1)]) or "")
