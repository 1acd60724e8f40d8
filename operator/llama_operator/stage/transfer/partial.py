"""A file on its way: its bytes so far, where the gaps are, its digest, and notes that let another process go on.

    <key>.part    the bytes, with holes where none have come yet
    <key>.map     per chunk, how many of its bytes are there
    <key>.json    what they are bytes of, and up to where they have been flushed to the disk

Writers write anywhere; the digest follows the bytes that are there without a gap, read back from the page cache. A new
process trusts only what cannot have been lost: all that the map says while the machine is the same and up (the page
cache survives a killed process), else the beginning that had been flushed. A flush that fails takes the rest from the
map: the kernel may have dropped what it could not write, and the page cache would not show it (fsync(2)).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Self

import msgspec

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import read_note, write_note
from llama_operator.stage.transfer.chunks import Chunks, Claim
from llama_operator.stage.transfer.digest import Digest
from llama_operator.stage.transfer.fillmap import FillMap
from llama_operator.stage.transfer.flush import Flush
from llama_operator.stage.transfer.follow import Follower
from llama_operator.stage.transfer.rejection import Rejections, strong

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Note(msgspec.Struct, frozen=True):
    """What the bytes belong to. `source` is a hash of the address, which may hold secrets.

    `validator` (a strong ETag, or Last-Modified) goes into If-Range; `total` is the whole length in bytes, if known.
    `whole` asks for one response for all: an earlier file of several was wrong.
    """

    source: str
    validator: str
    total: int | None
    whole: bool = False
    chunk: int = 0
    synced: int = 0
    boot: str = ""


class Partial:
    """The unfinished file. Hold its lock while it is open. `write` and the claims may be used by several threads."""

    def __init__(self, path: Path, context: Context) -> None:
        self.path = path
        self._note_path, self._map_path = path.with_suffix(".json"), path.with_suffix(".map")
        self._context, self._size = context, context.policy.chunk_bytes
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._map = FillMap(self._map_path)
        self.note = read_note(self._note_path, Note)
        self.responses = 0
        """How many responses the bytes came from; more than one is a seam that can be wrong."""
        self.changed = threading.Condition()
        """Guards the chunks; notified when bytes or claims have changed."""
        self._error: BaseException | None = None
        self._chunks = Chunks(self._size)
        self._rejections = Rejections(path.with_suffix(".rejected"))
        self._digest = Digest(self._fd, path, lambda: self.offset)
        self._flush = Flush(self._fd, context.policy.sync_bytes, self.changed, self.check, self._distrust)
        self._noting = threading.Lock()
        self._followers = (
            Follower("digest", self._hash_some, self.fail),
            Follower("flush", self._flush_some, self.fail),
        )

    def __enter__(self) -> Self:
        for follower in self._followers:
            follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._digest.close()
        for follower in self._followers:
            follower.stop()
        self._map.close()
        os.close(self._fd)

    @property
    def offset(self) -> int:
        """Bytes that are here without a gap, from the beginning."""
        return self._chunks.prefix

    @property
    def present(self) -> int:
        """All bytes that are here, those behind gaps too."""
        return self._chunks.present

    @property
    def total(self) -> int | None:
        return self.note.total if self.note else None

    @property
    def again(self) -> bool:
        """Whether an earlier download was discarded: this one is the last."""
        return self.note is not None and self.note.whole

    @property
    def complete(self) -> bool:
        return self.offset == self.total

    def resume(self) -> None:
        """Take over what an earlier process left."""
        if self.note is None:
            return
        self._chunks = Chunks(self._size, self.note.total, self._trusted(self.note))
        # What nobody vouches for goes from the map before the note gets the name of this boot.
        self._map.reset(self._chunks.here)
        os.ftruncate(self._fd, self._chunks.end)
        self._remember(self.note)
        self.responses = 1 if self.present else 0
        self._followers[0].wake()

    def _trusted(self, note: Note) -> list[int]:
        length = os.fstat(self._fd).st_size
        if note.boot and note.boot == _boot() and note.chunk == self._size:
            here = self._map.read()
        else:
            here = self._flushed(note)
        return [max(0, min(count, self._size, length - at * self._size)) for at, count in enumerate(here)]

    def start_over(self, note: Note) -> None:
        """Drop the bytes; the next ones belong to `note`. Nobody may be writing."""
        with self._noting:
            self._chunks, self.responses = Chunks(self._size, note.total), 0
            self._digest.start_over()
            # The map first: after a kill in between there are bytes that nothing vouches for.
            self._map.reset()
            os.ftruncate(self._fd, 0)
            whole = self.note is not None and self.note.whole
            self._remember(msgspec.structs.replace(note, whole=whole))

    def claim(self) -> Claim | None:
        with self.changed:
            return self._chunks.claim()

    def go_on(self, claim: Claim) -> Claim | None:
        with self.changed:
            return self._chunks.go_on(claim)

    def stretch(self, claim: Claim) -> int | None:
        with self.changed:
            return self._chunks.stretch(claim)

    def joined(self) -> None:
        """One more response has brought bytes."""
        with self.changed:
            self.responses += 1

    def release(self, claim: Claim) -> None:
        with self.changed:
            self._chunks.release(claim)
            self.changed.notify_all()

    def write(self, offset: int, data: memoryview) -> None:
        """Bytes within one chunk, next to those that it has; waits for the disk if too much is unflushed.

        Raises what went wrong in any thread.
        """
        while data:
            self.check()
            self._flush.keep_up()
            written = os.pwrite(self._fd, data, offset)
            with self.changed:
                self.check()  # what has been taken from the map must not come back
                # The bytes first, then the number that says so: a kill in between loses some, and invents none.
                number = self._chunks.add(offset, written)
                self._map.put(number, self._chunks.here[number])
                self._flush.written += written
            offset, data = offset + written, data[written:]
        for follower in self._followers:
            follower.wake()

    def fail(self, error: BaseException) -> None:
        """A thread cannot go on, so nobody shall."""
        with self.changed:
            self._error = self._error or error
            self.changed.notify_all()

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def _hash_some(self) -> bool:
        more = self._digest.step()
        if not more:
            with self.changed:
                self.changed.notify_all()
        return more

    def _flush_some(self) -> bool:
        note, step = self.note, self._context.policy.sync_bytes
        upto = self.offset // step * step
        if note is None or not self._flush.due():
            return False

        def noted() -> None:
            with self._noting:
                if self.note is note and upto > note.synced:
                    self._remember(msgspec.structs.replace(note, synced=upto))

        self._flush.run(noted)
        return True

    def finish(self) -> None:
        """All bytes are here: flush them."""
        if os.fstat(self._fd).st_size != self.offset:
            raise Failure(Reason.STAGING_FAILED, f"another pod writes to {self.path}: the volume's locks do not hold")
        self._flush.finish()

    def _distrust(self, error: OSError) -> None:
        """Of what is here only the beginning that was flushed before is sure to be on the disk."""
        self.fail(error)
        with self.changed:
            self._map.reset(self._flushed(self.note) if self.note else ())

    def _flushed(self, note: Note) -> list[int]:
        chunks, rest = divmod(note.synced, self._size)
        return [self._size] * chunks + [rest]

    def protect(self) -> None:
        """Against writers. Only once it has its final name: a `.part` must stay writable for the next process."""
        os.fchmod(self._fd, 0o444)

    def hexdigest(self) -> str:
        """Of the bytes without a gap; waits until all of them are in it."""
        if self._digest.done < self.offset:
            self._context.gauge.begin("checking", total=self.offset, done=self._digest.done)
        with self.changed:
            while self._digest.done < self.offset:
                self.check()
                self._followers[0].wake()
                self.changed.wait(1.0)
                self._context.gauge.at(self._digest.done)
        return self._digest.hexdigest()

    def settle(self) -> None:
        """The source says that these are all the bytes."""
        with self._noting:
            if self.note:
                self._remember(msgspec.structs.replace(self.note, total=self.offset))

    def allocated(self) -> int:
        """Bytes that the file takes on the disk."""
        return os.fstat(self._fd).st_blocks * 512

    def forget_notes(self) -> None:
        for path in (self._note_path, self._map_path):
            path.unlink(missing_ok=True)
        self._rejections.forget()

    def discard(self, failure: Failure) -> None:
        """Perhaps its pieces do not fit together: the next download is to come as a whole, and if that brings the same
        bytes, they fitted."""
        self._reject(failure)
        self.drop()
        write_note(self._note_path, Note(source="", validator="", total=None, whole=True))

    def drop(self) -> None:
        """It is of no use any more."""
        for path in (self.path, self._map_path, self._note_path):
            path.unlink(missing_ok=True)

    def reject(self, failure: Failure) -> None:
        """The whole file is bad: drop it, and remember so."""
        self._reject(failure)
        self.drop()

    def _reject(self, failure: Failure) -> None:
        note = self.note
        if note and note.total is not None and strong(note.validator):
            self._rejections.add(note.source, note.validator, note.total, self.hexdigest(), failure)

    def check_rejected(self, note: Note) -> None:
        self._rejections.check(note.source, note.validator, note.total)

    def _remember(self, note: Note) -> None:
        self.note = msgspec.structs.replace(note, boot=_boot(), chunk=self._size)
        write_note(self._note_path, self.note)


def _boot() -> str:
    """Identity of the running kernel; empty where it cannot be known, and then nothing unflushed is trusted."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
