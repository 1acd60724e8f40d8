"""Look into a file that is on the disk: its structure, its digest."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf import header as gguf
from llama_operator.stage.transfer.digest import BLOCK


def structure(path: Path) -> tuple[gguf.Header, int]:
    """Header and size in bytes. Raises `Failure` if this is no complete GGUF file."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for ever.
        raise Failure(Reason.INVALID_SOURCE, f"{path} is not a regular file")
    with path.open("rb", buffering=BLOCK) as file:
        return gguf.read(file, status.st_size), status.st_size


def digest(path: Path, context: Context) -> str:
    """SHA-256, in lower-case hexadecimal, of what is on the disk."""
    running, done = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        context.gauge.begin("checking", total=os.fstat(file.fileno()).st_size)
        while data := file.read(BLOCK):
            running.update(data)
            done += len(data)
            context.gauge.at(done)
    return running.hexdigest()


def mismatch(expected: str, found: str, where: str) -> Failure:
    return Failure(
        Reason.DIGEST_MISMATCH,
        f"{where} has sha256 {found}, but {expected} was expected; "
        "if the new file is the right one, put its digest into sha256",
    )
