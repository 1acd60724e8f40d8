"""The header parser: what it finds, and what it refuses. Its bounds are in test_gguf_bounds.py."""

from __future__ import annotations

import io
import struct

import gguf as reference
import pytest

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf import header as gguf
from llama_operator.stage.gguf.facts import Facts
from llama_operator.stage.gguf.types import FILE_TYPES, NEWEST_TENSOR_TYPE, TENSOR_BLOCKS
from tests.gguf_files import F32, Q8_0, array, entry, gguf_file, head, tensor, text

SMALL = gguf_file(256)


def read(data: bytes) -> gguf.Header:
    return gguf.read(io.BytesIO(data), len(data))


def build(
    *, version: int = 3, entries: tuple[bytes, ...] = (), tensors: tuple[bytes, ...] = (), data: int = 0
) -> bytes:
    listed = head(len(entries), len(tensors), version) + b"".join((*entries, *tensors))
    return listed + bytes(-len(listed) % 32) + bytes(data)


def test_what_the_header_says() -> None:
    header = read(
        build(
            entries=(
                entry("general.architecture", "qwen3"),
                entry("qwen3.block_count", 2),
                array("qwen3.attention.head_count_kv", 5, 2, struct.pack("<ii", 4, 0)),
                entry("other.block_count", 9),
                array("tokenizer.ggml.tokens", 8, 2, text("a") + text("bc")),
                array("tokenizer.ggml.scores", 6, 3, bytes(12)),
                entry("general.file_type", 15),
                entry("general.name", "A model"),
                entry("split.count", 4),
                entry("split.no", 3),
                entry("split.tensors.count", 99),
                entry("general.type", "adapter"),
                entry("adapter.type", "lora"),
                text("clip.has_vision_encoder") + struct.pack("<I?", 7, True),
            ),
            tensors=(tensor("a", (32, 2), Q8_0, 0), tensor("b", (5,), F32, 96)),
            data=96 + 20,
        )
    )
    assert header == gguf.Header(
        version=3,
        architecture="qwen3",
        name="A model",
        file_type="Q4_K_M",
        parameters=69,
        tensors=2,
        parts=4,
        part=3,
        tensors_of_all_parts=99,
        type="adapter",
        adapter="lora",
        encoder=True,
        weights=116,
        facts=Facts({"block_count": 2}, {"attention.head_count_kv": (4, 0)}, words=2),
    )


@pytest.mark.parametrize("missing", [1, 2, 1024, 1025, len(SMALL) - 4])
def test_a_missing_end_is_truncated(missing: int) -> None:
    with pytest.raises(Failure) as caught:
        read(SMALL[:-missing])
    assert caught.value.reason is Reason.TRUNCATED


def test_sizes_of_tensors_are_exact() -> None:
    """The last byte of the last tensor is the last of the file: one less is refused, for each type."""
    for kind, (values, size) in TENSOR_BLOCKS.items():
        one = (tensor("a", (values, 3), kind, 0),)
        assert read(build(tensors=one, data=3 * size)).parameters == 3 * values
        with pytest.raises(Failure, match="end of the file is missing"):
            read(build(tensors=one, data=3 * size - 1))


def test_alignment_moves_the_tensors() -> None:
    aligned = build(entries=(entry("general.alignment", 4096),), tensors=(tensor("a", (1,), F32, 0),))
    assert read(aligned + bytes(4096 + 4 - len(aligned))).tensors == 1
    with pytest.raises(Failure, match="tensors end at byte 4100"):
        read(aligned + bytes(4096 + 3 - len(aligned)))


def test_a_type_newer_than_the_table_is_not_refused() -> None:
    """Its size is unknown: what follows it must only be aligned and behind it."""
    new = NEWEST_TENSOR_TYPE + 1
    tensors = (tensor("a", (7,), new, 0), tensor("b", (1,), F32, 64), tensor("c", (1,), F32, 96))
    assert read(build(tensors=tensors, data=100)).parameters == 9
    for wrong in (64, 97):
        with pytest.raises(Failure, match="overlaps another one or leaves a gap"):
            read(build(tensors=(*tensors[:2], tensor("c", (1,), new, 96), tensor("d", (1,), F32, wrong)), data=200))


def test_what_follows_the_tensors_does_not_matter() -> None:
    assert read(SMALL + b"anything") == read(SMALL)


def test_a_file_of_metadata_alone_is_whole() -> None:
    """The first part of a split model may be one."""
    assert read(build(entries=(entry("split.count", 2),))).tensors == 0


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        ((tensor("a", (1,), F32, 0), tensor("a", (1,), F32, 32)), "of one name"),
        ((tensor("a", (1,), F32, 32),), "overlaps another one or leaves a gap"),
        ((tensor("a", (1,), F32, 0), tensor("b", (1,), F32, 64)), "leaves a gap"),
        ((tensor("a", (16,), F32, 0), tensor("b", (1,), F32, 32)), "overlaps"),
        ((tensor("a", (1,), F32, 0), tensor("b", (1,), F32, 4)), "overlaps"),
        ((tensor("n" * 64, (1,), F32, 0),), "name of 64 bytes"),
        ((tensor("a", (1, 1, 1, 1, 1), F32, 0),), "5 dimensions"),
        ((tensor("a", (16, 2), Q8_0, 0),), "rows of 16"),
        ((tensor("a", (1 << 61,), Q8_0, 0),), "rows of 2305843009213693952, which overflows"),
        ((tensor("a", (1 << 63,), F32, 0),), "shape"),
        ((tensor("a", (1 << 32, 1 << 31), F32, 0),), "shape"),
        ((tensor("a", ((1 << 62) - 1, 2), 24, 0),), "shape"),  # llama.cpp takes one less
        ((tensor("a", (256, 0, 1 << 62, 2), F32, 0),), "shape"),
        *((((tensor("a", (256,), kind, 0),)), "given up") for kind in (4, 5, 31, 32, 33, 36, 37, 38)),
        ((tensor("a", (1,), NEWEST_TENSOR_TYPE + 5000, 0),), "does not exist"),
    ],
)
def test_tensors_that_llama_cpp_refuses(tensors: tuple[bytes, ...], what: str) -> None:
    with pytest.raises(Failure, match=what) as caught:
        read(build(tensors=tensors, data=4096))
    assert caught.value.reason is Reason.NOT_GGUF


@pytest.mark.parametrize(
    ("shape", "values"), [((), 1), ((0,), 0), ((3, 0, 5), 0), ((4, 2, 2, 2), 32), ((1, 1, 1, 1), 1)]
)
def test_shapes(shape: tuple[int, ...], values: int) -> None:
    assert read(build(tensors=(tensor("a", shape, F32, 0),), data=128)).parameters == values


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGU",
        b"PK\x03\x04" + bytes(64),
        b"GGUF" + struct.pack(">I", 3) + bytes(64),
        build(version=1),
        build(version=9),
        build(entries=(text("k") + struct.pack("<I", 77),)),
        build(entries=(array("k", 9, 1, bytes(12)),)),
        build(entries=(entry("general.alignment", 0),)),
        build(entries=(entry("general.alignment", 24),)),
        build(entries=(entry("general.alignment", "32"),)),
        build(entries=(text("x" * 70_000) + struct.pack("<II", 4, 1),)),
        build(entries=(entry("k", 1), entry("k", 2))),
        build(entries=(entry("k" * 100, 1), entry("k" * 100, 1))),
        build(entries=(entry("", 1),)),
        build(entries=(entry("general.alignment\0", 1),)),
        build(entries=(entry("general.architecture", 1),)),
        build(entries=(entry("general.name", 1),)),
        build(entries=(text("k") + struct.pack("<IQ", 8, 1 << 63),)),
        build(entries=(array("k", 8, 1 << 62, b""),)),
        build(entries=(array("k", 12, 1 << 62, b""),)),
        build(entries=(array("k", 7, (1 << 64) - 1, b""),)),
        head(0, 1 << 63),
        head(1 << 63, 0),
    ],
)
def test_broken_headers_are_no_gguf(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read(data)
    assert caught.value.reason is Reason.NOT_GGUF


@pytest.mark.parametrize(
    "data",
    [
        build(entries=(text("k") + struct.pack("<IQ", 8, 1 << 20),)),
        build(entries=(array("k", 8, 1 << 20, b""),)),
        build(entries=(array("k", 12, 1 << 20, b""),)),
        build(tensors=(tensor("a", (1 << 60,), F32, 0),), data=32),
    ],
)
def test_what_could_be_is_called_truncated(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read(data)
    assert caught.value.reason is Reason.TRUNCATED


def test_long_keys_that_begin_alike_are_two() -> None:
    assert read(build(entries=(entry("k" * 99 + "a", 1), entry("k" * 99 + "b", 1)))).version == 3


def test_old_and_foreign_versions_are_told_apart() -> None:
    for version, what in ((struct.pack("<I", 1), "version 1"), (struct.pack(">I", 3), "big-endian")):
        with pytest.raises(Failure, match=what):
            read(b"GGUF" + version + bytes(64))


def test_keys_that_llama_cpp_does_not_read_may_have_any_type() -> None:
    odd = (entry("general.type", 5), entry("split.count", "2"), entry("adapter.type", 1), entry("split.no", "x"))
    header = read(build(entries=odd))
    assert (header.type, header.adapter, header.parts, header.part) == ("", "", 1, 0)


def test_the_tables_are_those_of_the_reference() -> None:
    """Fails when a release of the package knows a type that we do not. We may be ahead of it, as ggml is."""
    sizes = {int(k): v for k, v in reference.GGML_QUANT_SIZES.items()}
    # ggml-common.h asserts 2 * sizeof(ggml_half) + 32 bytes for Q8_1, whatever the package says. No file has it.
    sizes[9] = (32, 36)
    assert {k: v for k, v in TENSOR_BLOCKS.items() if k <= max(sizes)} == sizes
    names = {int(t): t.name.removeprefix("MOSTLY_").removeprefix("ALL_") for t in reference.LlamaFileType}
    known = {k: v for k, v in names.items() if v != "GUESSED"}
    assert {k: v for k, v in FILE_TYPES.items() if k <= max(known)} == known
