"""Where the ground keeps things, and the key under which it keeps what is expensive to make."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
"""Root of the checkout."""

STATE = (REPO / ".ground").resolve()
"""What belongs to this checkout's cluster: kubeconfig, bin/, logs/, the engine's socket. Git-ignored.

Checkouts that share a cluster, as worktrees may, have a link to the folder of one of them, and call it the same.
"""

KUBECONFIG = STATE / "kubeconfig"
BIN = STATE / "bin"
LOGS = STATE / "logs"


def cache_root() -> Path:
    """Folder for what can be made again but takes minutes; shared by all checkouts of one user."""
    chosen = os.environ.get("LLAMA_GROUND_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "llama-operator-ground"


CACHE = cache_root()


def content_key(*paths: Path, extra: Iterable[str] = ()) -> str:
    """Name what is built from these files: 16 hex digits of a SHA-256.

    A folder stands for every file in it. The names relative to the given path, the execute bit and the bytes
    count; time stamps and the place of the checkout do not, so two machines agree. `extra` adds what no file
    says: a version, a flag. A path that does not exist raises FileNotFoundError.
    """
    digest = hashlib.sha256()
    for path in paths:
        for name, file in _files(path):
            executable = b"x" if os.access(file, os.X_OK) else b"-"
            _add(digest, name.encode(), executable, _content(file))
    for text in extra:
        _add(digest, text.encode())
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield path.name, path
        return
    for file in sorted(path.rglob("*")):
        if "__pycache__" not in file.parts and (file.is_symlink() or file.is_file()):
            yield file.relative_to(path).as_posix(), file


def _content(file: Path) -> bytes:
    if file.is_symlink():
        return b"->" + os.readlink(file).encode()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _add(digest: "hashlib._Hash", *parts: bytes) -> None:
    """Feed the parts with their lengths, so that no two lists of parts look alike."""
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
