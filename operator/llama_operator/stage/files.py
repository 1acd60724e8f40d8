"""Small durable files: notes in JSON, replaced as a whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TypeVar

import msgspec

TEMPORARY = ".tmp"
"""Suffix of files that a kill may leave; their names begin with a dot."""
T = TypeVar("T", bound=msgspec.Struct)


def read_note(path: Path, kind: type[T]) -> T | None:
    """The note, or None if there is none that can be read: a note only saves work, nothing depends on it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_note(path: Path, note: msgspec.Struct) -> None:
    """Several processes may write the same note at once; one of them wins."""
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(note))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync_folder(path: Path) -> None:
    """Make renames in this folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
