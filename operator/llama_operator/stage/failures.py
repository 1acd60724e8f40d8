"""Why staging can fail: a closed list, which the operator repeats word for word in the model's conditions."""

from __future__ import annotations

import errno
from enum import StrEnum


class Reason(StrEnum):
    """`StagingFailed` is for trouble with the volume itself (no permission, read-only, an I/O error) and for bugs;
    all others name what is wrong with the source, with the space for it, on the disk or in memory, or with the server's
    API keys."""

    NOT_FOUND = "NotFound"
    UNAUTHORIZED = "Unauthorized"
    DIGEST_MISMATCH = "DigestMismatch"
    TRUNCATED = "Truncated"
    NOT_GGUF = "NotGGUF"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_ERROR = "SourceError"
    DISK_FULL = "DiskFull"
    QUOTA_EXCEEDED = "QuotaExceeded"
    MEMORY_TOO_SMALL = "MemoryTooSmall"
    INVALID_SOURCE = "InvalidSource"
    NO_API_KEY = "NoAPIKey"
    STAGING_FAILED = "StagingFailed"


class Failure(Exception):
    """Staging cannot go on in this process. The message tells a person what to do next.

    `need` is how many bytes were asked for in vain (DiskFull, QuotaExceeded): what a collection has to make room for.
    """

    def __init__(self, reason: Reason, message: str, need: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.need = need


class Transient(Exception):
    """One try failed and the next may not; after the last try it becomes a `Failure` with this reason.

    `retry_after` is how long the server asked us to wait, in seconds.
    """

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


def of_volume(error: OSError) -> Failure:
    """Trouble with the volume, told apart by what helps against it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            Reason.DISK_FULL,
            "the volume is full; give spec.storage.claim a larger size, or free space on the volume or node",
        )
    what = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    hint = {
        errno.EACCES: "; it must be accessible to user and group 65532 (some storage classes ignore fsGroup)",
        errno.EROFS: "; it must be writable, or be used as source.volume",
        errno.EPERM: "; it must allow symbolic links and changes of mode",
    }.get(error.errno or 0, "")
    return Failure(Reason.STAGING_FAILED, f"the volume refuses: {what}{hint}")
