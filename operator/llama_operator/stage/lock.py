"""One stager at a time works on a volume; the others wait, and then find its work."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llama_operator.stage.context import Context
from llama_operator.stage.text import size

POLL_SECONDS = 1.0
SAY_SECONDS = 15.0
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def hold(path: Path, context: Context) -> Iterator[bool]:
    """Hold the lock; its holder's death releases it. Yields False where the file system has no locks.

    It is polled rather than waited for, so that the log says what is being waited for.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _acquire(fd, path, context)
    finally:
        os.close(fd)


def _acquire(fd: int, path: Path, context: Context) -> bool:
    said_at = None
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if said_at is None or context.monotonic() - said_at >= SAY_SECONDS:
                said_at = context.monotonic()
                context.log(f"another pod is staging on this volume ({_unfinished(path.parent)}); waiting for it")
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            context.log("this volume does not support locks; pods that share it may download the same file at once")
            return False
        context.sleep(POLL_SECONDS)


def _unfinished(folder: Path) -> str:
    """How far the others are. Files may vanish while they are looked at."""
    total = 0
    for part in folder.glob("*.part"):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue
    return f"{size(total)} so far"
