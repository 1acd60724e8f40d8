"""Room on the volume: promised before the first byte, never twice, and regained from downloads that were given up."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import write_note
from llama_operator.stage.store.work import Promise, Work
from llama_operator.stage.text import size

RESERVE = 1 << 20
"""Bytes for the notes beside a file; without them a verified file could not be put to use."""


@dataclass(frozen=True)
class Ledger:
    """Who has how many bytes of the volume, at one moment under its lock.

    `published` by `files` finished ones; `active` downloads will have `promised`, and have `outstanding` of it still
    to write; `idle` are keys of unfinished downloads that nobody works on, which have `abandoned`, the oldest first.
    `free` is what the file system has left.
    """

    files: int
    published: int
    active: int
    promised: int
    outstanding: int
    idle: tuple[str, ...]
    abandoned: int
    free: int

    def lacking(self, needed: int, regained: int = 0) -> int:
        """Bytes that would have to be freed, if `regained` are."""
        return max(needed - max(self.free + regained - self.outstanding, 0), 0) if needed else 0

    def over(self, own: int, quota: int) -> int:
        """Bytes by which the quota would be exceeded with a download of `own` bytes more."""
        return max(self.published + self.promised + self.abandoned + own - quota, 0) if quota else 0


def survey(work: Work, published: Path, *, but: str = "", locked: bool = True) -> Ledger:
    """Look at the volume; hold its lock, or say that there is none. `but` is the key of one's own download.

    Without locks nobody knows which downloads are alive: all are counted with what they have, and none is idle.
    """
    sizes = [path.stat().st_size for path in published.glob("*/[!.]*")]
    promised = outstanding = abandoned = active = 0
    idle: list[tuple[int, str]] = []
    for key in work.known():
        if key == but:
            continue
        with work.idle(key) if locked else nullcontext(None) as idle_since:
            has = work.allocated(key)
            if idle_since is None:
                will_have = max(work.promised(key), has) if locked else has
                active += 1 if will_have else 0
                promised += will_have
                outstanding += will_have - has
            elif work.path(key, ".part").exists():
                abandoned += has
                idle.append((idle_since, key))
    free = os.statvfs(work.folder)
    keys = tuple(key for _, key in sorted(idle))
    return Ledger(len(sizes), sum(sizes), active, promised, outstanding, keys, abandoned, free.f_bavail * free.f_frsize)


def drop_idle(work: Work, keys: tuple[str, ...], log: Callable[[str], None]) -> tuple[int, int]:
    """Delete unfinished downloads, but none that somebody has taken up meanwhile: how many, and their bytes."""
    count = freed = 0
    for key in keys:
        with work.idle(key) as idle_since:
            if idle_since is not None:
                has = work.allocated(key)
                log(f"dropping an unfinished download of {size(has)}")
                work.drop(key)
                count, freed = count + 1, freed + has
    return count, freed


class Room:
    """Grants room to this process's downloads on one volume; `quota` in bytes, 0 for none."""

    def __init__(self, work: Work, published: Path, quota: int, log: Callable[[str], None]) -> None:
        self._work, self._published, self._quota, self._log = work, published, quota, log

    def require(self, needed: int, *, keep: Path, reusable: int = 0) -> None:
        """Raise DiskFull or QuotaExceeded unless `needed` bytes more fit for the part `keep`, of whose bytes on the
        disk `reusable` are about to be freed. What is granted is promised to nobody else while this download's lock
        is held. Unfinished downloads of nobody are only a saving, and go first.
        """
        key = keep.stem
        with self._work.volume() as locked:
            own = needed + max(self._work.allocated(key) - reusable, 0)
            wanted = needed + RESERVE if needed > reusable else 0
            ledger = survey(self._work, self._published, but=key, locked=locked)
            for oldest in ledger.idle:
                if not ledger.lacking(wanted, reusable) and not ledger.over(own, self._quota):
                    break
                drop_idle(self._work, (oldest,), self._log)
                ledger = survey(self._work, self._published, but=key, locked=locked)
            self._refuse(ledger, wanted, own, reusable, self._work.allocated(key))
            write_note(self._work.path(key, ".promise"), Promise(own))

    def settle(self, part: Path) -> None:
        """The download is finished; if its size was not known before, it has to be accounted for now."""
        length = part.stat().st_size
        if length > self._work.promised(part.stem):
            self.require(length, keep=part, reusable=max(self._work.allocated(part.stem), length))

    def _refuse(self, ledger: Ledger, wanted: int, own: int, reusable: int, has: int) -> None:
        others = f"; {size(ledger.published)} hold {ledger.files} other staged files" if ledger.files else ""
        downloads = f", {size(ledger.promised)} are promised to {ledger.active} downloads" if ledger.active else ""
        if ledger.over(own, self._quota):
            raise Failure(
                Reason.QUOTA_EXCEEDED,
                f"the file needs {size(own)}, but of the cache's {size(self._quota)} {size(ledger.published)} are used "
                f"by {ledger.files} files{downloads}; raise spec.storage.cache.quota, or delete models that use the "
                "cache",
                max(own - has, 0),
            )
        if ledger.lacking(wanted, reusable):
            raise Failure(
                Reason.DISK_FULL,
                f"the file needs {size(wanted)} more, the volume has {size(ledger.free + reusable)} free"
                f"{others}{downloads}; give spec.storage.claim a larger size, or free space on the volume or node",
                wanted,
            )
