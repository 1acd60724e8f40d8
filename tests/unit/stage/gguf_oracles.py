"""What others say of a GGUF file: ggml itself, by its shared library, and the `gguf` package."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

Verdict = Literal["accepts", "refuses", "crashes"]
_ACCEPTS, _REFUSES = b"a", b"r"


class _Parameters(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.POINTER(ctypes.c_void_p)))


class Ggml:
    """`libggml-base.so` in a process of its own, for it may abort. Use `running`."""

    def __init__(self, library: Path) -> None:
        self._command = [sys.executable, "-m", __name__, str(library)]
        self._process = self._start()

    def judge(self, data: bytes) -> Verdict:
        """Whether llama.cpp would take the file, its tensors included."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("<Q", len(data)) + data)
        self._process.stdin.flush()
        answer = self._process.stdout.read(1)
        if not answer:
            self.stop()
            self._process = self._start()
            return "crashes"
        return "accepts" if answer == _ACCEPTS else "refuses"

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        # Without the variable it has a debugger print to our pipe before it aborts.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )


@contextmanager
def running(library: Path) -> Iterator[Ggml]:
    ggml = Ggml(library)
    try:
        yield ggml
    finally:
        ggml.stop()


def _serve(library: ctypes.CDLL, questions: BinaryIO, answers: BinaryIO) -> None:
    library.gguf_init_from_buffer.restype = ctypes.c_void_p
    library.gguf_init_from_buffer.argtypes = (ctypes.c_char_p, ctypes.c_size_t, _Parameters)
    library.gguf_get_n_tensors.restype = ctypes.c_int64
    for name in ("gguf_get_data_offset", "gguf_get_tensor_offset", "gguf_get_tensor_size"):
        getattr(library, name).restype = ctypes.c_size_t
    while head := questions.read(8):
        data = questions.read(struct.unpack("<Q", head)[0])
        answers.write(_ACCEPTS if _accepts(library, data) else _REFUSES)
        answers.flush()


def _accepts(library: ctypes.CDLL, data: bytes) -> bool:
    """As llama.cpp reads it: the header first, then each tensor against the end of the file."""
    tensors = ctypes.c_void_p()
    found = library.gguf_init_from_buffer(data, len(data), _Parameters(True, ctypes.pointer(tensors)))
    if not found:
        return False
    header = ctypes.c_void_p(found)
    start = library.gguf_get_data_offset(header)
    ends = [
        start + library.gguf_get_tensor_offset(header, at) + library.gguf_get_tensor_size(header, at)
        for at in map(ctypes.c_int64, range(library.gguf_get_n_tensors(header)))
    ]
    library.gguf_free(header)
    library.ggml_free(tensors)
    return all(end <= len(data) for end in ends)


if __name__ == "__main__":
    _serve(ctypes.CDLL(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
