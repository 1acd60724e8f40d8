"""The stager's own folder on a volume: who works on what, and how much room they were promised.

<root>/.stage/lock          the volume's lock: accounting, publishing, linking, collecting; never held while bytes
                            are fetched or read
<root>/.stage/<key>.lock    one file's lock, held from before its download until it is linked; its time is when
                            somebody last asked for the file
<root>/.stage/<key>.part    its bytes so far; .json, .map and .rejected beside it are notes of the transfer
<root>/.stage/<key>.promise how large it will be
<root>/.stage/<key>.done    which digest a download without a known one had, until it is linked
<root>/.stage/<hash>.link   which revision a link was made from; its time is when the link was last staged

The order of locks: a file's by its address, a file's by its digest, the volume's. Who holds one waits only for later
ones; with the volume's lock held, a file's is only tried.

Times are those of plain files, which are opened to be asked for them: an NFS client may show names, links and times of
folders as they were a minute ago, but what it opens it looks at anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec

from llama_operator.stage.context import Context
from llama_operator.stage.files import read_note
from llama_operator.stage.store import lock
from llama_operator.stage.store.mounts import locks_are_shared
from llama_operator.stage.text import size

_POLL_SECONDS = 1.0
_SHORT_POLL_SECONDS = 0.05
VOLUME, LOCK = "lock", ".lock"
_KEPT = (LOCK, ".rejected")


class Promise(msgspec.Struct, frozen=True):
    """`bytes` is the size of the download when it will be finished, 0 if nobody knows."""

    bytes: int


class Done(msgspec.Struct, frozen=True):
    """Survives a kill between publishing and linking: without it, nothing leads from the source to the file."""

    sha256: str


class Work:
    """`folder` is `.stage` of a volume."""

    def __init__(self, folder: Path, context: Context) -> None:
        self.folder = folder
        self._context = context
        self._shared: bool | None = None

    def path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}{suffix}"

    @contextmanager
    def volume(self) -> Iterator[bool]:
        """Hold the volume's lock, for moments only. Yields False where the file system has no locks."""
        with ExitStack() as stack:
            yield self._enter(stack, lock.hold(self.folder / VOLUME, lambda: self._context.sleep(_SHORT_POLL_SECONDS)))

    @contextmanager
    def file(self, key: str) -> Iterator[bool]:
        """Hold the lock of one file; others are worked on meanwhile. Yields False where there are no locks."""
        waiting = _Waiting(self, key, self._context)
        with ExitStack() as stack:
            locked = self._enter(stack, lock.hold(self.path(key, LOCK), waiting.wait))
            if locked:
                touch(self.path(key, LOCK))
            yield locked

    @contextmanager
    def idle(self, key: str) -> Iterator[int | None]:
        """When somebody last asked for this file (nanoseconds), None if somebody works on it. Nobody can begin to until
        the block ends."""
        with lock.attempt(self.path(key, LOCK)) as fd:
            yield None if fd is None else os.fstat(fd).st_mtime_ns

    def asked(self, key: str) -> None:
        """Somebody asks for this file now."""
        touch(self.path(key, LOCK))

    def known(self) -> list[str]:
        """Of all files that anybody works on or has worked on."""
        return sorted({p.stem for p in self.folder.glob("[!.]*.*") if p.suffix != ".link"})

    def allocated(self, key: str) -> int:
        """Bytes of an unfinished download on the disk; it has holes. It may vanish while it is looked at."""
        try:
            return self.path(key, ".part").stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def promised(self, key: str) -> int:
        promise = read_note(self.path(key, ".promise"), Promise)
        return promise.bytes if promise else 0

    def drop(self, key: str) -> None:
        """Give up an unfinished download; its lock is held. What is known about a bad source stays."""
        for path in self.folder.glob(f"{key}.*"):
            if path.suffix not in _KEPT:
                path.unlink()

    def _enter(self, stack: ExitStack, held: AbstractContextManager[None]) -> bool:
        if self._shared is None:
            self._say_if(not locks_are_shared(self.folder), "whose locks other nodes see")
        if self._shared is not False:
            try:
                stack.enter_context(held)
            except lock.Unsupported:
                self._say_if(True, "at all")
        return self._shared is not False

    def _say_if(self, missing: bool, what: str) -> None:
        self._shared = not missing
        if missing:
            self._context.log(f"this volume has no locks {what}; pods that share it may download the same file at once")


def touch(path: Path) -> None:
    """Give it the present time of the file system, and make it if need be."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.utime(fd)
    finally:
        os.close(fd)


class _Waiting:
    """Waits for another pod's download, and shows how far it is."""

    def __init__(self, work: Work, key: str, context: Context) -> None:
        self._work, self._key, self._context = work, key, context
        self._begun = False

    def wait(self) -> None:
        done, gauge = self._work.allocated(self._key), self._context.gauge
        if not self._begun:
            self._begun = True
            self._context.log(f"another pod is staging this file ({size(done)} so far); waiting for it")
            gauge.begin("waiting", total=self._work.promised(self._key), done=done)
        gauge.at(done)
        self._context.sleep(_POLL_SECONDS)
