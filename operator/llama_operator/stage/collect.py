"""Take from a cache what nobody uses: links of models and pods that are gone, files without a link, old downloads.

Run as `python -m llama_operator.stage.collect JSON`, a `Collect` request (in several arguments if it is long: the
kernel takes 128 KiB in one). The result is a `Collected` or a `Failed` as the container's termination message.

What is in use wins against any order of events:
- A link is removed under the volume's lock, if it is not in the list and was not staged since the list was made. Every
  staging renews the time of its link under the same lock, also when there is nothing to do.
- A file is removed under the volume's lock and its own, if no link leads to it, and nobody has asked for it since that
  was found out. Every stager leaves a time, under the volume's lock, before it looks at a file or links it.
- Every step leaves what another run, or a stager, understands.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llama_operator.api.staging import MARGIN_SECONDS, Collect, Collected
from llama_operator.stage import report
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import TEMPORARY, read_note
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.store.layout import is_digest, links
from llama_operator.stage.store.room import Ledger, drop_idle, survey
from llama_operator.stage.store.store import LinkNote, Store
from llama_operator.stage.store.work import LOCK, VOLUME
from llama_operator.stage.text import say, size

ABANDONED_SECONDS = 86400.0
"""An unfinished download is of use to its pod's next try; after a day without a byte there is none."""


@dataclass(frozen=True)
class _Unused:
    """A folder of published files without a link, and when they were last asked for."""

    folder: Path
    asked_ns: int
    bytes: int


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if what could be removed was, else 1."""
    secrets = Secrets()  # it has none
    try:
        message, code = msgspec.json.encode(collect(parse(arguments), Context())), 0
    except Exception as error:
        message, code = report.failed(report.explained(error, "collector", secrets), secrets), 1
    report.write(message)
    say(message.decode())
    return code


def parse(arguments: Sequence[str]) -> Collect:
    try:
        return msgspec.json.decode("".join(arguments), type=Collect)
    except msgspec.DecodeError as error:
        raise Failure(Reason.STAGING_FAILED, f"bad arguments for the collector: {error}") from error


def collect(request: Collect, context: Context) -> Collected:
    """Raises `Failure`, or `OSError` for trouble with the volume. May be killed and repeated at any time."""
    store = Store(Path(request.root), context, request.quota)
    store.prepare()
    work = store.work
    with work.volume() as locked:
        if not locked:
            raise Failure(
                Reason.STAGING_FAILED,
                "this volume has no locks that all nodes see: nothing can be removed while pods may stage; mount it "
                "with locks, or delete its folder sha256 when no model uses the cache",
            )
        now = _file_server_time(store)
        horizon = min(float(request.as_of), now) - MARGIN_SECONDS
        removed = _remove_links(store, frozenset(request.live), horizon, context)
        unused = _unused(store, horizon)
        _tidy(store, now - ABANDONED_SECONDS)
        ledger = survey(work, store.published)
        abandoned = [key for key in ledger.idle if _last_use(store, key) < now - ABANDONED_SECONDS]
        short = _short(ledger, request)
        downloads, freed = drop_idle(work, tuple(abandoned), context.log)
    short = max(short - freed, 0)
    files = 0
    for candidate in unused:
        if request.when_unused == "Keep" and not short:
            break
        if _remove(store, candidate, context):
            files, freed, short = files + 1, freed + candidate.bytes, max(short - candidate.bytes, 0)
    return Collected(links=removed, files=files, downloads=downloads, bytes=freed, missing=short)


def _short(ledger: Ledger, request: Collect) -> int:
    return max(ledger.lacking(request.need), ledger.over(request.need, request.quota))


def _file_server_time(store: Store) -> float:
    """Its clock sets the times of links and files, so it has to be asked what time it is."""
    lock = store.work.folder / VOLUME
    os.utime(lock)
    return lock.stat().st_mtime


def _remove_links(store: Store, live: frozenset[str], horizon: float, context: Context) -> int:
    count = 0
    for link, _ in list(links(store.root)):
        name = link.relative_to(store.root).as_posix()
        if name not in live and _staged_at(store, link) < horizon:
            context.log(f"removing the link {name}: no model and no pod uses it")
            link.unlink()
            count += 1
    return count


def _staged_at(store: Store, link: Path) -> float:
    """Unix seconds by the file server's clock. The link's own time serves where its note was lost."""
    try:
        with store.link_note(link).open("rb") as note:
            return max(os.fstat(note.fileno()).st_mtime, link.lstat().st_mtime)
    except FileNotFoundError:
        return link.lstat().st_mtime


def _unused(store: Store, horizon: float) -> list[_Unused]:
    """The one that nobody asked for longest comes first. Leftovers of a kill, without a file, are among them."""
    linked = {target.parent for _, target in links(store.root)}
    found = []
    for folder in store.published.iterdir():
        if not is_digest(folder.name) or folder in linked:
            continue
        with store.work.idle(folder.name) as asked_ns:
            if asked_ns is not None and asked_ns < horizon * 1e9:
                found.append(_Unused(folder, asked_ns, sum(path.stat().st_size for path in folder.glob("[!.]*"))))
    return sorted(found, key=lambda unused: unused.asked_ns)


def _remove(store: Store, unused: _Unused, context: Context) -> bool:
    """False if somebody wants the file after all. The file goes before its mark: a mark alone is harmless."""
    with store.work.volume(), store.work.idle(unused.folder.name) as asked_ns:
        if asked_ns != unused.asked_ns:
            context.log(f"{unused.folder.name} is wanted again")
            return False
        context.log(f"removing {unused.folder.name}: {size(unused.bytes)} without a link")
        paths = [path for path in unused.folder.iterdir() if not path.name.startswith(".nfs")]
        for path in sorted(paths, key=lambda p: p.name.startswith(".")):
            path.unlink(missing_ok=True)
        try:
            unused.folder.rmdir()
        except OSError as error:
            # NFS keeps a file that is still open as .nfsXXXX; the next run finds the folder empty.
            if error.errno not in (errno.ENOTEMPTY, errno.EBUSY):
                raise
        return True


def _tidy(store: Store, before: float) -> None:
    """Small things that nobody misses: notes and locks of files that are gone, what a kill left half written."""
    work = store.work
    for path in work.folder.glob(f".*{TEMPORARY}"):
        if path.lstat().st_mtime < before:
            path.unlink()
    for path in work.folder.glob("*.link"):
        note = read_note(path, LinkNote)
        if path.stat().st_mtime < before and not (note and (store.root / note.link).is_symlink()):
            path.unlink()
    for key in work.known():
        with work.idle(key) as asked_ns:
            needed = work.path(key, ".part").exists() or (store.published / key).exists()
            if asked_ns is not None and not needed and _last_use(store, key) < before:
                # The lock goes last: without it a stager could begin anew among the rest.
                for path in sorted(work.folder.glob(f"{key}.*"), key=lambda p: p.suffix == LOCK):
                    path.unlink()


def _last_use(store: Store, key: str) -> float:
    """Looking whether a lock is free does not change its time; taking it for work does."""
    return max((path.stat().st_mtime for path in store.work.folder.glob(f"{key}.*")), default=0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
