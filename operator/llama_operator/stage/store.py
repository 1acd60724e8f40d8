"""The volume: verified files under their digest, and links to them.

<root>/sha256/<digest>/<name>            verified, read-only; appears by rename, so whole or not at all
<root>/sha256/<digest>/.<name>.verified  the file's size and times when its digest was last computed
<root>/<link>                            relative symbolic link, replaced by rename
<root>/.stage/                           lock, unfinished downloads, notes; may be lost at any time
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llama_operator.stage import verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import read_note, sync_folder, write_note
from llama_operator.stage.gguf import Header
from llama_operator.stage.partial import Partial

PUBLISHED, WORK = "sha256", ".stage"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
_LONGEST_NAME = 128


class Marker(msgspec.Struct, frozen=True):
    """Written after the digest was computed. Every later write to the file changes its ctime, which nobody can set
    back; the marker then no longer fits, and the file is read again."""

    size: int
    mtime_ns: int
    ctime_ns: int


class LinkNote(msgspec.Struct, frozen=True):
    """Which revision of its source the link was made from."""

    sha256: str
    revision: str


@dataclass(frozen=True)
class Published:
    """A verified file on the volume; `size` in bytes."""

    path: Path
    sha256: str
    size: int
    header: Header


class Store:
    """Everything under `root`, seen by the stager that serves `link`."""

    def __init__(self, root: Path, link: Path, context: Context) -> None:
        self.root = root.resolve()
        self.link = _inside(self.root, root, link)
        self.work = self.root / WORK
        self.published = self.root / PUBLISHED
        self._context = context

    def prepare(self) -> None:
        for folder in (self.work, self.published, self.link.parent):
            folder.mkdir(parents=True, exist_ok=True)

    def current(self, sha256: str | None, *, reread: bool) -> Published | None:
        """The verified file that the link points at, if it is the wanted one."""
        if not self.link.is_symlink():
            return None
        target = Path(os.path.normpath(self.link.parent / self.link.readlink()))
        if target.parent.parent != self.published or not _DIGEST.fullmatch(target.parent.name):
            return None
        if sha256 not in (None, target.parent.name):
            return None
        return self._check(target, target.parent.name, reread=reread)

    def find(self, sha256: str) -> Published | None:
        """A verified file with this digest, whatever its name and whoever staged it."""
        for path in sorted((self.published / sha256).glob("[!.]*")):
            found = self._check(path, sha256, reread=True)
            if found:
                return found
        return None

    def publish(self, part: Partial, header: Header, name: str) -> Published:
        """Give a checked download its final name. Only here does a file get into the published folder."""
        part.finish()
        sha256 = part.hexdigest()
        folder = self.published / sha256
        folder.mkdir(exist_ok=True)
        path = folder / safe_name(name)
        part.path.rename(path)
        part.protect()
        for changed in (folder, self.published, self.root):
            sync_folder(changed)
        self._mark(path)
        part.forget_notes()
        return Published(path, sha256, part.offset, header)

    def point(self, found: Published, revision: str) -> None:
        """Let the link lead to the file."""
        if os.path.lexists(self.link) and not self.link.is_symlink():
            raise Failure(Reason.INVALID_SOURCE, f"{self.link} exists and was not made by the stager; move it away")
        write_note(self._link_note(), LinkNote(found.sha256, revision))
        temporary = self.work / f"{uuid.uuid4().hex}.link"
        temporary.symlink_to(os.path.relpath(found.path, self.link.parent))
        temporary.replace(self.link)
        sync_folder(self.link.parent)

    def revision(self, found: Published) -> str:
        note = read_note(self._link_note(), LinkNote)
        return note.revision if note and note.sha256 == found.sha256 else ""

    def _check(self, path: Path, sha256: str, *, reread: bool) -> Published | None:
        """The file, if its content is known to be right; with `reread` it is read to know, and removed if wrong."""
        if path.is_symlink() or not path.is_file():
            return None
        if read_note(_marker_path(path), Marker) != _marker(path):
            if not reread:
                return None
            self._context.log(f"{path} has no valid mark; reading it")
            found = verify.digest(path, self._context)
            if found != sha256:
                self._context.log(f"{path} is damaged (sha256 {found}); removing it")
                path.unlink()
                return None
            self._mark(path)
        header, size = verify.structure(path)
        return Published(path, sha256, size, header)

    def _mark(self, path: Path) -> None:
        write_note(_marker_path(path), _marker(path))

    def _link_note(self) -> Path:
        return self.work / f"{self.link.name}.note"


def safe_name(name: str) -> str:
    """The last part of a path or address as a plain file name: it cannot leave its folder, hide, or be an option."""
    plain = _UNSAFE.sub("_", name.rsplit("/", 1)[-1]).lstrip(".-")
    return plain[-_LONGEST_NAME:].lstrip(".-") or "model.gguf"


def _marker(path: Path) -> Marker:
    status = path.stat()
    return Marker(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _marker_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _inside(resolved: Path, root: Path, link: Path) -> Path:
    """Where `link` really is; it must be below the root, and not among the stager's own files."""
    parent = (root / link.parent).resolve()
    inside = (
        link.is_absolute()
        and ".." not in link.parts
        and link.name
        and parent.is_relative_to(resolved)
        and (parent / link.name).relative_to(resolved).parts[0] not in (PUBLISHED, WORK)
    )
    if not inside:
        raise Failure(Reason.INVALID_SOURCE, f"--link {link} is not a file below --root {root}")
    return parent / link.name
