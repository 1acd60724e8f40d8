"""The header parser: what it finds, what it refuses, and that no file can make it eat memory."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from pathlib import Path

import gguf as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.stage import gguf, verify
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf_types import FILE_TYPES, TENSOR_BLOCKS
from tests.unit.stage.support import F32, MIB, Q8_0, entry, gguf_file, tensor, text

SMALL = gguf_file(256)


def read(data: bytes) -> gguf.Header:
    return gguf.read(io.BytesIO(data), len(data))


def build(
    *, version: int = 3, entries: tuple[bytes, ...] = (), tensors: tuple[bytes, ...] = (), data: int = 0
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join((*entries, *tensors))
    return head + bytes(-len(head) % 32) + bytes(data)


def array(key: str, kind: int, count: int, body: bytes) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, kind, count) + body


def test_what_the_header_says() -> None:
    header = read(
        build(
            entries=(
                entry("general.architecture", "qwen3"),
                array("tokenizer.ggml.tokens", 8, 2, text("a") + text("bc")),
                array("tokenizer.ggml.scores", 6, 3, bytes(12)),
                entry("general.file_type", 15),
                entry("general.name", "A model"),
                entry("split.count", 4),
            ),
            tensors=(tensor("a", (32, 2), Q8_0, 0), tensor("b", (5,), F32, 96)),
            data=96 + 20,
        )
    )
    assert header == gguf.Header(
        version=3, architecture="qwen3", name="A model", file_type="Q4_K_M", parameters=69, tensors=2, parts=4
    )


@pytest.mark.parametrize("missing", [1, 2, 1024, 1025, len(SMALL) - 4])
def test_a_missing_end_is_truncated(missing: int) -> None:
    with pytest.raises(Failure) as caught:
        read(SMALL[:-missing])
    assert caught.value.reason is Reason.TRUNCATED


def test_sizes_of_tensors_are_exact() -> None:
    """The last byte of the last tensor is the last of the file: one less is refused, for each type."""
    for kind, (values, size) in TENSOR_BLOCKS.items():
        one = (tensor("a", (values, 3), kind, 32),)
        assert read(build(tensors=one, data=32 + 3 * size)).parameters == 3 * values
        with pytest.raises(Failure, match="end of the file is missing"):
            read(build(tensors=one, data=32 + 3 * size - 1))


def test_alignment_moves_the_tensors() -> None:
    aligned = build(entries=(entry("general.alignment", 4096),), tensors=(tensor("a", (1,), F32, 0),))
    assert read(aligned + bytes(4096 + 4 - len(aligned))).tensors == 1
    with pytest.raises(Failure, match="tensors end at byte 4100"):
        read(aligned + bytes(4096 + 3 - len(aligned)))


def test_a_type_newer_than_the_table_is_not_refused() -> None:
    assert read(build(tensors=(tensor("a", (7,), 999, 0),), data=32)).parameters == 7


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
        build(tensors=(tensor("a", (1, 1, 1, 1, 1), F32, 0),), data=32),
        build(tensors=(tensor("a", (33,), Q8_0, 0),), data=320),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 63),
    ],
)
def test_broken_headers_are_no_gguf(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read(data)
    assert caught.value.reason is Reason.NOT_GGUF


@pytest.mark.parametrize(
    "data",
    [
        build(entries=(text("k") + struct.pack("<IQ", 8, 1 << 63),)),
        build(entries=(array("k", 8, 1 << 62, b""),)),
        build(entries=(array("k", 12, 1 << 62, b""),)),
        build(tensors=(tensor("a", (1 << 63, 1 << 63, 1 << 63, 1 << 63), F32, 1 << 63),), data=32),
    ],
)
def test_huge_numbers_are_truncation_and_cost_nothing(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read(data)
    assert caught.value.reason is Reason.TRUNCATED


def test_a_header_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "MAX_HEADER", 1 << 16)
    with pytest.raises(Failure, match="header of more than"):
        read(build(entries=(array("k", 8, 1 << 20, bytes(1 << 17)),)))


@given(st.data())
def test_no_bytes_break_the_parser(data: st.DataObject) -> None:
    """Any damage ends in a header or in one of two reasons, and in little memory."""
    damaged = bytearray(SMALL[: data.draw(st.integers(0, len(SMALL)))])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, 200))
        damaged[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    file = io.BytesIO(bytes(damaged))
    reason = None
    tracemalloc.start()
    try:
        gguf.read(file, len(damaged))
    except Failure as failure:
        reason = failure.reason
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert reason in (None, Reason.NOT_GGUF, Reason.TRUNCATED)
    assert peak < 1 << 20


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    data = build(entries=(array("tokenizer.ggml.tokens", 8, 100_000, text("token") * 100_000),))
    file = io.BytesIO(data)
    tracemalloc.start()
    gguf.read(file, len(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 18


@pytest.mark.parametrize("kind", [struct.pack("<I", 8), struct.pack("<II", 9, 0)])
def test_values_that_nobody_asks_for_are_not_read(tmp_path: Path, kind: bytes) -> None:
    """A string and an array of 64 MiB each, of which the disk holds nothing."""
    path, length = tmp_path / "m.gguf", 64 * MIB
    path.write_bytes(build(entries=(text("k") + kind + struct.pack("<Q", length),)))
    os.truncate(path, path.stat().st_size + length)
    tracemalloc.start()
    verify.structure(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_the_tables_are_those_of_the_reference() -> None:
    assert {int(k): v for k, v in reference.GGML_QUANT_SIZES.items()} == TENSOR_BLOCKS
    names = {int(t): t.name.removeprefix("MOSTLY_").removeprefix("ALL_") for t in reference.LlamaFileType}
    assert {k: v for k, v in names.items() if v != "GUESSED"} == FILE_TYPES
