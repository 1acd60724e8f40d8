"""No file makes the header parser fail in another way, eat memory, or work longer than the file is."""

from __future__ import annotations

import io
import os
import random
import re
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.stage import verify
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf import cursor as gguf_cursor
from llama_operator.stage.gguf import header as gguf
from llama_operator.stage.gguf.tensors import MAX_TENSORS
from llama_operator.stage.gguf.types import TENSOR_BLOCKS
from tests.gguf_files import F32, array, entry, gguf_file, head, tensor, text
from tests.unit.stage.gguf_mutants import mutant
from tests.unit.stage.gguf_oracles import running

MIB = 1 << 20
CASES = int(os.environ.get("GGUF_FUZZ_CASES", "3000"))
"""Of each of the tests that count through random files."""
GGML = os.environ.get("GGML_LIBRARY", "")
"""A libggml-base.so of llama.cpp, to be asked what it thinks of the same files."""


class Counted(io.BytesIO):
    """Counts what is done to it, which must not exceed what it holds."""

    calls, walked = 0, 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.calls, self.walked = self.calls + 1, self.walked + len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.calls += 1
        return super().seek(offset, whence)


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Bytes that the block had at its worst, beside what was there before."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


def judge(data: bytes) -> gguf.Header | Failure:
    """Fails for any exception of another kind, and for work beyond one step for each byte."""
    file = Counted(data)
    try:
        found: gguf.Header | Failure = gguf.read(file, len(data))
    except Failure as failure:
        found = failure
    assert not isinstance(found, Failure) or found.reason in (Reason.NOT_GGUF, Reason.TRUNCATED)
    assert file.calls <= len(data) + 8
    assert file.walked <= len(data)
    return found


@given(st.randoms())
def test_any_damage_ends_in_a_reason(rng: random.Random) -> None:
    data = mutant(rng)
    with memory_below(MIB):
        judge(data)


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_reason(data: bytes) -> None:
    judge(b"GGUF" + struct.pack("<I", 3) + data)
    judge(data)


def test_every_cut_is_a_truncation() -> None:
    whole = gguf_file(256, extra=[entry("split.no", 1)])
    assert isinstance(judge(whole), gguf.Header)
    for end in range(4, len(whole)):
        failure = judge(whole[:end])
        assert isinstance(failure, Failure)
        assert failure.reason is Reason.TRUNCATED


def test_the_same_is_found_as_by_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we accept the gguf package reads alike, but for what it cannot read (`_NOT_READ`)."""
    monkeypatch.setitem(reference.GGML_QUANT_SIZES, reference.GGMLQuantizationType.Q8_1, TENSOR_BLOCKS[9])
    alike, path = 0, tmp_path / "mutant.gguf"
    for seed in range(CASES):
        data = mutant(random.Random(seed))
        header = judge(data)
        if isinstance(header, Failure):
            continue
        path.write_bytes(data)
        read = by_reference(path)
        if isinstance(read, str):
            assert any(known in read for known in _NOT_READ), f"case {seed}: {read}"
            continue
        assert (header.tensors, header.parameters, header.part) == read, f"case {seed}"
        alike += 1
    assert alike > CASES // 10


_NOT_READ = (
    "is not a valid GGMLQuantizationType",  # a type newer than the package
    "codec can't decode",  # names that are not UTF-8, which llama.cpp does not care about
    "cannot reshape array of size 0",  # numpy, for an empty tensor with other dimensions that are large
    "array is too big",
    "tuple index out of range",  # a tensor without dimensions, of a type that numpy does not have
)


def by_reference(path: Path) -> tuple[int, int, int] | str:
    """Tensors, parameters, split.no (0 unless it is a number); or why it was not read."""
    try:
        found = reference.GGUFReader(path)
    except (ValueError, KeyError, IndexError) as error:
        return str(error)
    part = found.get_field("split.no")
    number = part.contents() if part else 0
    values = sum(int(one.n_elements) for one in found.tensors)
    return len(found.tensors), values, int(number) if isinstance(number, int | bool) else 0


@pytest.mark.skipif(not GGML, reason="GGML_LIBRARY names no libggml-base.so")
def test_llama_cpp_comes_to_the_same_verdict() -> None:
    """But for types newer than the library; and for `_LATER`, which it refuses or misreads after the header."""
    with running(Path(GGML)) as ggml:
        for seed in range(CASES):
            data = mutant(random.Random(seed))
            ours, theirs = judge(data), ggml.judge(data)
            if isinstance(ours, Failure):
                assert theirs != "accepts" or _LATER.search(ours.message), f"case {seed}: {ours}"
            else:
                assert theirs == "accepts" or newer_types(data), f"case {seed}: {theirs}"


_LATER = re.compile(
    r"general\.(name|architecture) of value type|key with a zero byte"
    r"|rows of [0-9]+, which overflows"  # see gguf_tensors
)


def newer_types(data: bytes) -> bool:
    """Whether the file is only accepted because it may hold a type we do not know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llama_operator.stage.gguf.tensors.MAX_NEW_TYPES", 0)
        return isinstance(judge(data), Failure)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(0, 1 << 63), id="tensors"),
        pytest.param(head(1 << 63, 0), id="entries"),
        pytest.param(head(1, 0) + array("k", 8, 1 << 29, bytes(1 << 16)), id="strings"),
        pytest.param(head(1, 0) + array("k", 8, 1 << 21, bytes(1 << 16)), id="cut strings"),
    ],
)
def test_absurd_counts_cost_nothing(data: bytes) -> None:
    file = Counted(data)
    with pytest.raises(Failure):
        gguf.read(file, len(data))
    assert file.calls < 16


def test_strings_are_counted_over_all_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_cursor, "MAX_STRINGS", 10)
    arrays = b"".join(array(f"k{n}", 8, 6, text("") * 6) for n in range(2))
    failure = judge(head(2, 0) + arrays)
    assert isinstance(failure, Failure)
    assert "arrays of 12 strings" in failure.message


def test_a_header_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_cursor, "MAX_HEADER", 1 << 16)
    failure = judge(head(1, 0) + array("k", 8, 1 << 20, bytes(1 << 23)))
    assert isinstance(failure, Failure)
    assert "header of more than" in failure.message


def test_the_largest_lists_fit_in_memory() -> None:
    """As many tensors and keys as are allowed, with the longest names: 32 MiB hold what is remembered of them."""
    keys = b"".join(entry(f"{n:05}" + "k" * 59, 1) for n in range(gguf.MAX_ENTRIES))
    tensors = b"".join(tensor(f"{n:06}" + "t" * 57, (8,), F32, 32 * n) for n in range(MAX_TENSORS))
    listed = head(gguf.MAX_ENTRIES, MAX_TENSORS) + keys + tensors
    size = len(listed) + -len(listed) % 32 + 32 * MAX_TENSORS
    file = io.BytesIO(listed)
    with memory_below(32 * MIB):
        assert gguf.read(file, size).tensors == MAX_TENSORS


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    data = head(1, 0) + array("k", 8, 100_000, text("token") * 100_000)
    file = io.BytesIO(data)
    with memory_below(1 << 18):
        gguf.read(file, len(data))


@pytest.mark.parametrize("kind", [struct.pack("<I", 8), struct.pack("<II", 9, 0)])
def test_values_that_nobody_asks_for_are_not_read(tmp_path: Path, kind: bytes) -> None:
    """A string and an array of 64 MiB each, of which the disk holds nothing."""
    path, length = tmp_path / "m.gguf", 64 * MIB
    path.write_bytes(head(1, 0) + text("k") + kind + struct.pack("<Q", length))
    os.truncate(path, path.stat().st_size + length)
    with memory_below(4 * MIB):
        verify.structure(path)
