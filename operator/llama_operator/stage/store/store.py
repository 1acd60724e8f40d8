"""The volume: verified files under their digest, and links to them.

<root>/sha256/<digest>/<name>            verified, read-only; appears by rename, so whole or not at all
<root>/sha256/<digest>/.<name>.verified  the file's size and times when its digest was last computed
<root>/<link>                            relative symbolic link, replaced by rename
<root>/.stage/                           see `work`; may be lost at any time

A file is safe from a collector while a link that is in use leads to it, and for a while after somebody asked for it:
every stager leaves a time for link and file, under the volume's lock, before it looks at them.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llama_operator.stage import verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import TEMPORARY, read_note, sync_folder, write_note
from llama_operator.stage.gguf.header import Header
from llama_operator.stage.store.layout import PUBLISHED, WORK, safe_name, target_of, validated
from llama_operator.stage.store.work import Work, touch
from llama_operator.stage.transfer.partial import Partial


class Marker(msgspec.Struct, frozen=True):
    """Written after the digest was computed. Every later write to the file changes its ctime, which nobody can set
    back; the marker then no longer fits, and the file is read again."""

    size: int
    mtime_ns: int
    ctime_ns: int


class LinkNote(msgspec.Struct, frozen=True):
    """Which revision of its source the link was made from."""

    link: str
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
    """Everything under `root`, for any number of links. `quota` in bytes, 0 for none.

    Links are absolute paths below the root; `Failure` (InvalidSource) is raised for others.
    """

    def __init__(self, root: Path, context: Context, quota: int = 0) -> None:
        self.given, self.root, self.quota = root, root.resolve(), quota
        self.published = self.root / PUBLISHED
        self.work = Work(self.root / WORK, context)
        self._context = context

    def prepare(self) -> None:
        for folder in (self.work.folder, self.published):
            folder.mkdir(parents=True, exist_ok=True)

    def linked(self, link: Path) -> str | None:
        """Digest of the file that the link leads to, whether that is there or not."""
        target = target_of(self.root, validated(self.given, link))
        return target.parent.name if target else None

    def current(self, link: Path, sha256: str | None, *, reread: bool) -> Published | None:
        """The verified file that the link leads to, if it is the wanted one.

        With `reread` a file without a valid mark is read to know; hold its lock then.
        """
        place = validated(self.given, link)
        with self.work.volume():
            target = target_of(self.root, place)
            if target is None or sha256 not in (None, target.parent.name) or not target.is_file():
                return None
            self.work.asked(target.parent.name)
            touch(self.link_note(place))
        return self._check(target, target.parent.name, reread=reread)

    def find(self, sha256: str) -> Published | None:
        """A verified file with this digest, whatever its name and whoever staged it. Hold its lock."""
        for path in sorted((self.published / sha256).glob("[!.]*")):
            found = self._check(path, sha256, reread=True)
            if found:
                return found
        return None

    def publish(self, part: Partial, header: Header, name: str) -> Published:
        """Give a checked download its final name. Only here does a file get into the published folder."""
        part.finish()
        sha256, size = part.hexdigest(), part.path.stat().st_size
        folder = self.published / sha256
        with self.work.volume():
            self.work.asked(sha256)
            folder.mkdir(exist_ok=True)
            path = next((p for p in sorted(folder.glob("[!.]*")) if _marked(p)), None)
            if path:
                part.drop()
            else:
                path = folder / safe_name(name)
                part.path.rename(path)
                part.protect()
                for changed in (folder, self.published, self.root):
                    sync_folder(changed)
                _mark(path)
            self.work.path(part.path.stem, ".promise").unlink(missing_ok=True)
        part.forget_notes()
        return Published(path, sha256, size, header)

    def point(self, link: Path, found: Published, revision: str) -> bool:
        """Let the link lead to the file. False if the file is gone, because nobody else wanted it."""
        place = validated(self.given, link)
        place.parent.mkdir(parents=True, exist_ok=True)
        with self.work.volume():
            if os.path.lexists(place) and not place.is_symlink():
                raise Failure(Reason.INVALID_SOURCE, f"{place} exists and was not made by the stager; move it away")
            if not found.path.is_file():
                return False
            self.work.asked(found.sha256)
            write_note(self.link_note(place), LinkNote(self._name(place), found.sha256, revision))
            temporary = self.work.folder / f".{uuid.uuid4().hex}{TEMPORARY}"
            temporary.symlink_to(os.path.relpath(found.path, place.parent))
            temporary.replace(place)
            sync_folder(place.parent)
        return True

    def revision(self, link: Path, found: Published) -> str:
        note = read_note(self.link_note(validated(self.given, link)), LinkNote)
        return note.revision if note and note.sha256 == found.sha256 else ""

    def _check(self, path: Path, sha256: str, *, reread: bool) -> Published | None:
        """The file, if its content is known to be right; with `reread` it is read to know, and removed if wrong."""
        if path.is_symlink() or not path.is_file():
            return None
        if not _marked(path):
            if not reread:
                return None
            self._context.log(f"{path} has no valid mark; reading it")
            found = verify.digest(path, self._context)
            if found != sha256:
                self._context.log(f"{path} is damaged (sha256 {found}); removing it")
                with self.work.volume():
                    path.unlink(missing_ok=True)
                return None
            _mark(path)
        header, size = verify.structure(path)
        return Published(path, sha256, size, header)

    def _name(self, place: Path) -> str:
        return place.relative_to(self.root).as_posix()

    def link_note(self, place: Path) -> Path:
        """`place` is a validated link."""
        return self.work.path(hashlib.sha256(self._name(place).encode()).hexdigest(), ".link")


def _mark(path: Path) -> None:
    write_note(_marker_path(path), _marker(path))


def _marked(path: Path) -> bool:
    return read_note(_marker_path(path), Marker) == _marker(path)


def _marker(path: Path) -> Marker:
    status = path.stat()
    return Marker(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _marker_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")
