"""How far a stager is, as the status tells it: rounded, so that a status is not written for the sake of a few bytes."""

from __future__ import annotations

from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.api.staging import Progress

STEPS = 100
"""Parts of a file that are told apart."""


def staging(progress: Progress) -> dict[str, Any]:
    """`status.staging`: bytes of one file, bytes per second, and seconds that are left at that rate."""
    told: dict[str, Any] = {"role": progress.role, "bytes": _down(progress), "rate": _significant(progress.rate)}
    if progress.total:
        told["total"] = progress.total
    if progress.total and told["rate"]:
        told["eta"] = _significant((progress.total - told["bytes"]) // told["rate"])
    return told


def percent(progress: Progress) -> int | None:
    """How much of the file is there; None if nobody knows how long it is."""
    return progress.bytes * 100 // progress.total if progress.total else None


def state(ready: str, progress: Progress | None, *, stalled: bool, degraded: str = "") -> str:
    """`status.state`: how it is, in a word or two, for a column. `degraded`: the reason, if it is."""
    if stalled:
        return f"Stalled: {ready}"
    if degraded and ready == Reason.READY:
        return f"Degraded: {degraded}"
    share = percent(progress) if progress and ready == Reason.STAGING else None
    return str(ready) if share is None else f"{ready} {share}%"


def _down(progress: Progress) -> int:
    if not progress.total:
        return _significant(progress.bytes)
    step = max(1, progress.total // STEPS)
    return progress.bytes if progress.bytes == progress.total else progress.bytes // step * step


def _significant(number: int) -> int:
    """The number with two digits that count."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return number // unit * unit
