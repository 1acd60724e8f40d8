"""A file on its way: its bytes so far, their running hash, and a note that lets another process go on.

Bytes are hashed as they are written. A new process hashes once what it finds, and trusts only what cannot have been
lost: all of it while the machine is the same and up (the page cache survives a killed process), else what had been
flushed to the disk.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

import msgspec

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import read_note, write_note

CHUNK = 1 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Note(msgspec.Struct, frozen=True):
    """What the bytes are the beginning of. `source` is a hash of the address, which may hold secrets.

    `validator` (a strong ETag, or Last-Modified) goes into If-Range; `total` is the whole length in bytes, if known.
    """

    source: str
    validator: str
    total: int | None
    synced: int = 0
    boot: str = ""


class Rejection(msgspec.Struct, frozen=True):
    """A file that was downloaded as a whole and found bad. Once a second download has brought the very same bytes,
    the fault is not on the way: while the server offers that file (same strong ETag and length), a restarted
    container repeats the verdict and not the download."""

    source: str
    validator: str
    total: int
    found: str
    confirmed: bool
    reason: Reason
    message: str


class Partial:
    """The `.part` file, opened for appending. Hold the lock of the root while it is open."""

    def __init__(self, path: Path, context: Context) -> None:
        self.path = path
        self._note_path = path.with_suffix(".json")
        self._rejection_path = path.with_suffix(".rejected")
        self._context = context
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._hash = hashlib.sha256()
        self.note = read_note(self._note_path, Note)
        self.offset = 0
        self.responses = 0
        """How many responses the bytes came from; more than one is a seam that can be wrong."""
        self._end = 0
        if self.note is None:
            os.ftruncate(self._fd, 0)
        else:
            self._end = self._trusted(self.note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def complete(self) -> bool:
        return self.note is not None and self.note.total is not None and self.offset == self.note.total

    def _trusted(self, note: Note) -> int:
        length = os.fstat(self._fd).st_size
        return length if note.boot and note.boot == _boot() else min(length, note.synced)

    def resume(self) -> None:
        """Take over what an earlier process left: hash it, once."""
        os.ftruncate(self._fd, self._end)
        total = self._end
        self._context.gauge.begin("checking", total=total)
        while self.offset < total:
            data = os.pread(self._fd, min(CHUNK, total - self.offset), self.offset)
            if not data:
                raise Failure(Reason.STAGING_FAILED, f"{self.path} became shorter while it was read")
            self._hash.update(data)
            self.offset += len(data)
            self._context.gauge.at(self.offset)
        self.responses = 1 if total else 0

    def start_over(self, note: Note) -> None:
        """Drop the bytes; the next ones belong to `note`."""
        # Truncate first: a kill in between leaves an empty file, which fits any note.
        os.ftruncate(self._fd, 0)
        self._hash, self.offset, self.responses = hashlib.sha256(), 0, 0
        self.note = note
        self._remember()

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self.offset)
            self._hash.update(view[:written])
            self.offset += written
            view = view[written:]
        if self.note and self.offset - self.note.synced >= self._context.policy.sync_bytes:
            self.sync()

    def sync(self) -> None:
        """Flush to the disk, and note how far."""
        os.fdatasync(self._fd)
        if self.note:
            self.note = msgspec.structs.replace(self.note, synced=self.offset)
            self._remember()

    def finish(self) -> None:
        """All bytes are here: flush them."""
        if os.fstat(self._fd).st_size != self.offset:
            raise Failure(Reason.STAGING_FAILED, f"another pod writes to {self.path}: the volume's locks do not hold")
        os.fsync(self._fd)

    def protect(self) -> None:
        """Against writers. Only once it has its final name: a `.part` must stay writable for the next process."""
        os.fchmod(self._fd, 0o444)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def settle(self) -> None:
        """The source says that these are all the bytes."""
        if self.note:
            self.note = msgspec.structs.replace(self.note, total=self.offset)
            self._remember()

    def allocated(self) -> int:
        """Bytes on the disk that starting over would free."""
        return os.fstat(self._fd).st_blocks * 512

    def forget_notes(self) -> None:
        self._note_path.unlink(missing_ok=True)
        self._rejection_path.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def reject(self, failure: Failure) -> None:
        """The whole file is bad: drop it, and remember so."""
        note = self.note
        if note and note.total is not None and note.validator.startswith('"'):
            known, found = self._rejection(note), self.hexdigest()
            rejection = Rejection(
                source=note.source,
                validator=note.validator,
                total=note.total,
                found=found,
                confirmed=known is not None and known.found == found,
                reason=failure.reason,
                message=failure.message,
            )
            write_note(self._rejection_path, rejection)
        self.discard()

    def check_rejected(self, note: Note) -> None:
        known = self._rejection(note)
        if known and known.confirmed:
            raise Failure(known.reason, f"{known.message} (downloaded twice; the source still offers the same file)")

    def _rejection(self, note: Note) -> Rejection | None:
        known = read_note(self._rejection_path, Rejection)
        same = known and (known.source, known.validator, known.total) == (note.source, note.validator, note.total)
        return known if same else None

    def _remember(self) -> None:
        if self.note:
            self.note = msgspec.structs.replace(self.note, boot=_boot())
            write_note(self._note_path, self.note)


def _boot() -> str:
    """Identity of the running kernel; empty where it cannot be known, and then nothing unflushed is trusted."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
