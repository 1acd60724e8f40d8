"""Read the numbers and strings of a GGUF header, with bounds on everything that a file can claim."""

from __future__ import annotations

import struct
from typing import BinaryIO

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf.types import BYTES

MAX_HEADER = 256 << 20
"""Bytes of a header we are willing to walk through; large vocabularies take a tenth of it."""
MAX_STRINGS = 1 << 22
"""Strings in arrays, all together: each costs a step. The largest vocabularies have a million with their merges."""
MAX_LENGTH = 1 << 30
"""Of one string in bytes, of one array in elements: llama.cpp's own bounds (gguf.cpp)."""


class Cursor:
    """Reads from the start of a file of `end` bytes, and never beyond."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self._strings = 0
        self.position = 0

    def take(self, count: int) -> bytes:
        self._reserve(count)
        data = self._file.read(count)
        if len(data) != count:
            raise truncated("it became shorter while it was read")
        return data

    def number(self, code: str) -> int:
        value: int = struct.unpack(f"<{code}", self.take(BYTES[code]))[0]
        return value

    def text(self, longest: int, what: str) -> bytes:
        return self.take(self._length(longest, what))

    def skip_scalars(self, code: str, count: int = 1) -> None:
        self._skip(count * BYTES[code])

    def skip_string(self) -> None:
        self._skip(self._length(MAX_LENGTH, "a string"))

    def count(self) -> int:
        """How many elements an array has."""
        count = self.number("Q")
        if count > MAX_LENGTH:
            raise malformed(f"an array of {count} elements")
        return count

    def skip_strings(self, count: int) -> None:
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise malformed(f"arrays of {self._strings} strings")
        # Before the first step: the lengths alone take 8 bytes each.
        self._fits(8 * count)
        for _ in range(count):
            self.skip_string()

    def _length(self, longest: int, what: str) -> int:
        length = self.number("Q")
        if length > longest:
            raise malformed(f"{what} of {length} bytes")
        return length

    def _skip(self, count: int) -> None:
        self._reserve(count)
        self._file.seek(self.position)

    def _reserve(self, count: int) -> None:
        self._fits(count)
        self.position += count

    def _fits(self, count: int) -> None:
        if count > self._end - self.position:
            raise truncated(f"its header goes on beyond byte {self._end}")
        if self.position + count > MAX_HEADER:
            raise malformed(f"a header of more than {MAX_HEADER} bytes")


def malformed(what: str) -> Failure:
    return Failure(Reason.NOT_GGUF, f"the file starts like GGUF, but its header is broken or unsupported: {what}")


def truncated(what: str) -> Failure:
    return Failure(Reason.TRUNCATED, f"the end of the file is missing: {what}; publish the complete file")
