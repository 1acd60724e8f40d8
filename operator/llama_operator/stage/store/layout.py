"""Names on the volume: what belongs to the stager, and what a link may be called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from llama_operator.stage.failures import Failure, Reason

PUBLISHED, WORK = "sha256", ".stage"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
_LONGEST_NAME = 128


def safe_name(name: str) -> str:
    """The last part of a path or address as a plain file name: it cannot leave its folder, hide, or be an option."""
    plain = _UNSAFE.sub("_", name.rsplit("/", 1)[-1]).lstrip(".-")
    return plain[-_LONGEST_NAME:].lstrip(".-") or "model.gguf"


def is_digest(name: str) -> bool:
    return _DIGEST.fullmatch(name) is not None


def target_of(root: Path, place: Path) -> Path | None:
    """Where a link leads, if it is one of the stager's: to a published file of this volume, there or not."""
    if not place.is_symlink():
        return None
    target = Path(os.path.normpath(place.parent / place.readlink()))
    if target.parent.parent != root / PUBLISHED or not is_digest(target.parent.name):
        return None
    return target


def links(root: Path) -> Iterator[tuple[Path, Path]]:
    """All links of the stager below `root` (resolved), with what they lead to."""
    for folder, folders, names in os.walk(root, onerror=_unless_foreign):
        here = Path(folder)
        if here == root:
            folders[:] = [name for name in folders if name not in (PUBLISHED, WORK)]
        for name in names:
            target = target_of(root, here / name)
            if target:
                yield here / name, target


def validated(root: Path, link: Path) -> Path:
    """Where `link` really is; it must be below the root, and not among the stager's own files."""
    resolved, parent = root.resolve(), (root / link.parent).resolve()
    inside = (
        link.is_absolute()
        and ".." not in link.parts
        and link.name
        and parent.is_relative_to(resolved)
        and (parent / link.name).relative_to(resolved).parts[0] not in (PUBLISHED, WORK)
    )
    if not inside:
        raise Failure(Reason.INVALID_SOURCE, f"the link {link} is not a file below the volume {root}")
    return parent / link.name


def _unless_foreign(error: OSError) -> None:
    """A folder that may not be read (lost+found) has none of our links. Any other error might hide some."""
    if not isinstance(error, PermissionError):
        raise error
