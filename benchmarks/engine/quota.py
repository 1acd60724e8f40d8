"""A control group with a CPU quota, as a container's limit makes one. Needs root."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
"""The kubelet's default (--cpu-cfs-quota-period)."""


@contextmanager
def cores(limit: float) -> Iterator[Path]:
    """The file into which a process writes 0 to be held to so many cores; it has to end before the block does."""
    second = (ROOT / "cgroup.controllers").exists()
    group = ROOT / ("" if second else "cpu") / f"bench-engine-{secrets.token_hex(3)}"
    group.mkdir()
    try:
        microseconds = round(limit * PERIOD_US)
        if second:
            (group / "cpu.max").write_text(f"{microseconds} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(microseconds))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
