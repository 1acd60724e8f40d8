"""Files that were downloaded as a whole and found bad, so that they are not downloaded again and again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from llama_operator import __version__
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.files import read_note, write_note


class Rejection(msgspec.Struct, frozen=True):
    """Once a second download has brought the very same bytes, the fault is not on the way: while the server offers
    that file (same strong ETag and length), a restarted container repeats the verdict and not the download. Only that
    of its own version: the next one may be able to read the file."""

    source: str
    validator: str
    total: int
    found: str
    confirmed: bool
    reason: Reason
    message: str
    version: str = ""


class Rejections:
    """The last one, in a note beside the unfinished file. `found` is a digest, `total` bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, source: str, validator: str, total: int, found: str, failure: Failure) -> None:
        known = self._known(source, validator, total)
        confirmed = known is not None and known.found == found
        write_note(
            self._path,
            Rejection(source, validator, total, found, confirmed, failure.reason, failure.message, __version__),
        )

    def check(self, source: str, validator: str, total: int | None) -> None:
        """Raises `Failure` for a file that was found bad twice."""
        known = self._known(source, validator, total)
        if known and known.confirmed:
            raise Failure(known.reason, f"{known.message} (downloaded twice; the source still offers the same file)")

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def _known(self, source: str, validator: str, total: int | None) -> Rejection | None:
        known = read_note(self._path, Rejection)
        asked = source, validator, total, __version__
        return known if known and (known.source, known.validator, known.total, known.version) == asked else None


def strong(validator: str) -> bool:
    """Whether it stands for exactly these bytes (RFC 9110, 8.8.3); a time stamp or a weak ETag does not."""
    return validator.startswith('"')
