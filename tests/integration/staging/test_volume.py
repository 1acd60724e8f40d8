"""Trouble at home: a volume that is full, small or not to be written, a clock that jumps, a process that is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.gguf_files import gguf_file
from tests.integration.staging import faults
from tests.integration.staging.origin import Exchange, Origin
from tests.integration.staging.process import Stager

DATA = gguf_file(1 << 20)
"""4 MiB."""
DIGEST = hashlib.sha256(DATA).hexdigest()
MIB = 1 << 20

mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,
    reason="mounting needs root (unshare --mount)",
)


def mounted(stager: Stager, options: str) -> None:
    """Have the stager find a file system of its own as its volume; it is gone with the process."""
    script = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec "$@"'
    words = ["unshare", "--mount", "--propagation=private", "sh", "-euc", script, "sh"]
    stager.wrapper = [*words, options, str(stager.root)]


@mounts
def test_a_volume_that_is_too_small_is_full(origin: Origin, stager: Stager) -> None:
    """The length is known, so nothing is fetched but what the buffers of the connection take by themselves."""
    large = gguf_file(16 << 20)
    origin.serve("/m.gguf", large)
    mounted(stager, "size=1m")
    done = stager.url(origin.url("/m.gguf"), hashlib.sha256(large).hexdigest())
    assert done.reason == "DiskFull", done.log
    assert origin.sent < len(large) // 4


@mounts
def test_a_disk_that_fills_in_the_middle(origin: Origin, stager: Stager) -> None:
    """No length was said, so only the write can tell."""
    origin.serve("/m.gguf", DATA)
    origin.always("/m.gguf", faults.chunked())
    mounted(stager, "size=1m")
    done = stager.url(origin.url("/m.gguf"), DIGEST)
    assert done.reason == "DiskFull", done.log
    assert "Traceback" not in done.log


@mounts
def test_a_volume_without_inodes(origin: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA)
    mounted(stager, "size=64m,nr_inodes=3")
    assert stager.url(origin.url("/m.gguf"), DIGEST).reason == "DiskFull"


@mounts
def test_a_volume_that_cannot_be_written(origin: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA)
    mounted(stager, "ro")
    done = stager.url(origin.url("/m.gguf"), DIGEST)
    assert done.reason == "StagingFailed"
    assert "writable" in done.message
    assert origin.requests() == []


def test_a_clock_that_jumps_does_no_harm(origin: Origin, stager: Stager) -> None:
    """An hour forth and back at each look; also while a date is waited for."""
    origin.serve("/m.gguf", DATA)
    origin.script("/m.gguf", faults.busy(until=4e9), faults.cut(MIB), faults.busy(until=0.0), faults.reset(MIB))
    done = stager.run_with_clock(origin.url("/m.gguf"), DIGEST)
    assert (done.reason, done.bytes) == ("", DATA), done.log


def test_a_kill_in_the_middle_costs_little(origin: Origin, stager: Stager) -> None:
    """SIGKILL with all but 64 KiB sent: the next stager fetches the rest, and at most what was under way."""
    origin.serve("/m.gguf", DATA)
    arrived = threading.Event()

    def hold(exchange: Exchange) -> None:
        arrived.set()
        faults.stall(len(DATA) - 65536)(exchange)

    origin.script("/m.gguf", hold)
    command = stager.command(stager.request_of(origin.url("/m.gguf"), DIGEST))
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=stager.environment(), stdout=quiet, stderr=quiet) as process:
        try:
            arrived.wait(60)
            wait_for_bytes(stager, len(DATA) - 65536, process)
        finally:
            process.send_signal(signal.SIGKILL)
    assert stager.published() == []
    before = origin.sent
    done = stager.url(origin.url("/m.gguf"), DIGEST)
    assert (done.reason, done.bytes) == ("", DATA), done.log
    assert origin.sent - before < 2 * MIB


def wait_for_bytes(stager: Stager, expected: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many bytes have blocks on the disk."""
    for _ in range(3000):
        if any(part.stat().st_blocks * 512 >= expected // 4096 * 4096 for part in stager.parts()):
            return
        assert process.poll() is None
        threading.Event().wait(0.02)
    raise AssertionError("the bytes do not arrive")


def test_what_is_served_cannot_be_written(origin: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA)
    assert stager.url(origin.url("/m.gguf"), DIGEST).bytes == DATA
    (published,) = stager.published()
    assert published.stat().st_mode & 0o222 == 0
    assert Path(os.path.realpath(stager.path)) == published.resolve()


def test_a_second_start_asks_nobody(origin: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA)
    stager.url(origin.url("/m.gguf"), DIGEST)
    asked = len(origin.requests())
    assert stager.url(origin.url("/m.gguf"), DIGEST).bytes == DATA
    assert len(origin.requests()) == asked
