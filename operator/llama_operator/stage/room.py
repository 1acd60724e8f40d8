"""Room on the volume: known before the first byte, and regained from downloads that were given up."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.text import size


class Room:
    """`parts` is the folder of unfinished downloads, `published` that of the finished ones. Hold the lock."""

    def __init__(self, parts: Path, published: Path, log: Callable[[str], None]) -> None:
        self._parts, self._published, self._log = parts, published, log

    RESERVE = 1 << 20
    """For the notes beside the file; without them a verified file could not be put to use."""

    def require(self, needed: int, *, keep: Path, reusable: int = 0) -> None:
        """Raise DiskFull unless `needed` bytes fit, counting `reusable` ones that are about to be freed.

        Unfinished downloads other than `keep` are only a saving, and go first.
        """
        needed += self.RESERVE if needed else 0
        if needed > self._free() + reusable:
            self._drop_other_parts(keep)
        free = self._free() + reusable
        if needed > free:
            taken = sum(p.stat().st_size for p in self._published.glob("*/*") if p.is_file())
            others = f"; {size(taken)} hold other staged files" if taken else ""
            raise Failure(
                Reason.DISK_FULL,
                f"the file needs {size(needed)} more, the volume has {size(free)} free{others}; "
                "give spec.storage.claim a larger size, or free space on the volume or node",
            )

    def _free(self) -> int:
        stat = os.statvfs(self._parts)
        return stat.f_bavail * stat.f_frsize

    def _drop_other_parts(self, keep: Path) -> None:
        for part in self._parts.glob("*.part"):
            if part != keep:
                self._log(f"dropping an unfinished download of {size(part.stat().st_size)} to make room")
                part.unlink()
                part.with_suffix(".json").unlink(missing_ok=True)
