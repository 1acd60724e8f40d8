"""Locks by file, between processes and, where the file system carries them (NFSv4, CephFS), between nodes.

The death of its holder releases a lock. A lock file may be deleted by whoever holds it: who waited for it finds out,
because the name then stands for another file, or for none.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Unsupported(Exception):
    """The file system has no locks."""


@contextmanager
def hold(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock. `wait` is called before every further try: polling lets the waiter say what it waits for, and
    NFS clients poll in any case, less and less often. Raises `Unsupported`."""
    fd = _take(path)
    while fd is None:
        wait()
        fd = _take(path)
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def attempt(path: Path) -> Iterator[int | None]:
    """Hold the lock if nobody else does: the open lock file, or None. Raises `Unsupported`."""
    fd = _take(path)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _take(path: Path) -> int | None:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        kept = False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kept = _is(path, fd)
            if kept:
                return fd
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                raise Unsupported(str(path)) from error
            raise
        finally:
            if not kept:
                os.close(fd)


def _is(path: Path, fd: int) -> bool:
    """Whether the name still stands for the file that was locked."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
