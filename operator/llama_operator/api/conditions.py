"""The vocabulary of `status.conditions`: types, reasons, and how one condition follows another.

The lists are closed and documented in `docs/api.md`; a test fails when a reason is missing there. Conditions follow
the Kubernetes API conventions and kstatus: `Ready` summarises, `Reconciling`, `Stalled` and `Degraded` are present only
while they are true.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Type(StrEnum):
    READY = "Ready"
    STAGED = "Staged"
    AVAILABLE = "Available"
    EXPOSED = "Exposed"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    # Staged
    STAGED = "Staged"
    FILES_DIFFER = "FilesDiffer"
    STAGING = "Staging"
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
    IMAGE_VOLUME_UNSUPPORTED = "ImageVolumeUnsupported"
    INVALID_SOURCE = "InvalidSource"
    NO_API_KEY = "NoAPIKey"
    STAGING_FAILED = "StagingFailed"
    # Available
    AVAILABLE = "Available"
    SCALED_TO_ZERO = "ScaledToZero"
    PENDING = "Pending"
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_PENDING = "VolumePending"
    POD_BLOCKED = "PodBlocked"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid"
    STARTING = "Starting"
    SERVER_CRASHED = "ServerCrashed"
    OUT_OF_MEMORY = "OutOfMemory"
    NO_COMPLETION = "NoCompletion"
    SIDECAR_FAILED = "SidecarFailed"
    UNRESPONSIVE = "Unresponsive"
    POD_FAILED = "PodFailed"
    PODS_REFUSED = "PodsRefused"
    ROLLING_OUT = "RollingOut"
    # Exposed
    EXPOSED = "Exposed"
    SERVICE_MISSING = "ServiceMissing"
    LOAD_BALANCER_PENDING = "LoadBalancerPending"
    INGRESS_PENDING = "IngressPending"
    # Ready
    READY = "Ready"
    # Stalled: the operator cannot go on until somebody changes something
    INVALID = "Invalid"
    NAME_CONFLICT = "NameConflict"
    ROLLED_BACK = "RolledBack"
    FORBIDDEN = "Forbidden"
    CONTESTED = "Contested"
    API_ERROR = "APIError"
    # Degraded: what is served is not what was asked, or may not stay
    CONTEXT_SMALLER = "ContextSmaller"
    SLOTS_DIFFER = "SlotsDiffer"
    OTHER_MODEL = "OtherModel"
    ACCELERATOR_UNUSED = "AcceleratorUnused"
    MEMORY_NOT_GRANTED = "MemoryNotGranted"


STAGING_FAILURES = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.UNAUTHORIZED,
        Reason.DIGEST_MISMATCH,
        Reason.TRUNCATED,
        Reason.NOT_GGUF,
        Reason.SOURCE_UNREACHABLE,
        Reason.SOURCE_ERROR,
        Reason.DISK_FULL,
        Reason.QUOTA_EXCEEDED,
        Reason.MEMORY_TOO_SMALL,
        Reason.INVALID_SOURCE,
        Reason.NO_API_KEY,
        Reason.STAGING_FAILED,
    }
)
"""What the stager reports in its termination message (`llama_operator.stage.failures`), and the catch-all."""

PERMANENT = STAGING_FAILURES - {
    Reason.SOURCE_UNREACHABLE,
    Reason.SOURCE_ERROR,
    Reason.STAGING_FAILED,
    Reason.DISK_FULL,
    Reason.QUOTA_EXCEEDED,
} | {Reason.IMAGE_VOLUME_UNSUPPORTED}
"""Staging failures that trying again will not mend; a want of room it may, for unused files are being collected. (The
kubelet does try again, with growing pauses.)"""

SERVING_FAILURES = frozenset(
    {
        Reason.UNSCHEDULABLE,
        Reason.VOLUME_PENDING,
        Reason.POD_BLOCKED,
        Reason.IMAGE_PULL_FAILED,
        Reason.CONTAINER_CONFIG_INVALID,
        Reason.SERVER_CRASHED,
        Reason.OUT_OF_MEMORY,
        Reason.NO_COMPLETION,
        Reason.SIDECAR_FAILED,
        Reason.UNRESPONSIVE,
        Reason.POD_FAILED,
        Reason.PODS_REFUSED,
    }
)
"""Why a pod does not come to answer, other than that it takes its time."""

DEVIATIONS = frozenset({Reason.CONTEXT_SMALLER, Reason.SLOTS_DIFFER, Reason.OTHER_MODEL, Reason.ACCELERATOR_UNUSED})
"""What is served is not what was asked. Another model is not Ready; with less of the right one a user can work."""

MESSAGE_LIMIT = 2048
"""Characters of a message that are kept; the API allows 32768, a terminal far less."""


def condition(type_: Type, status: bool, reason: str, message: str) -> dict[str, Any]:
    """A condition without its times."""
    return {"type": str(type_), "status": str(status), "reason": str(reason), "message": message[:MESSAGE_LIMIT]}


def merge(old: list[dict[str, Any]], new: list[dict[str, Any]], *, generation: int, now: str) -> list[dict[str, Any]]:
    """Give the new conditions their times.

    `lastTransitionTime` (RFC 3339) moves only when `status` flips, so an unchanged condition stays equal to the byte
    and nothing is written.
    """
    before = {c["type"]: c for c in old}
    merged = []
    for c in new:
        previous = before.get(c["type"])
        same = previous is not None and previous.get("status") == c["status"]
        since = previous.get("lastTransitionTime", now) if same and previous else now
        merged.append({**c, "observedGeneration": generation, "lastTransitionTime": since})
    return merged
