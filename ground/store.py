"""The cache's rules: what is in it is whole, and only one process makes a thing at a time."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground import paths, shell

KEPT_VERSIONS = 2
"""How many versions of one thing stay: the one in use, and the one before, for a step back."""


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the cache's lock `name`; wait for a process that has it. It ends with the process, however that ends."""
    folder = paths.CACHE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            shell.say(f"waiting for another process that has the lock {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A folder beside the cache's things, on their file system, that is gone at the end."""
    folder = paths.CACHE / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield the path to write to; what is there at the end gets the name `target` in one step, or nothing does."""
    with scratch(target.name) as folder:
        partial = folder / target.name
        yield partial
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)


def forget_old(folder: Path, pattern: str, keep: int = KEPT_VERSIONS) -> None:
    """Remove all but the `keep` newest things in `folder` whose name matches."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[keep:]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
