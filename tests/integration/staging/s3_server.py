"""A real S3 server: versitygw over a folder. It checks signatures, regions and ranges as S3 does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from ground import binaries, processes, shell

ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key-not-to-be-shown"
REGION = "eu-test-1"


@dataclass(frozen=True)
class S3Server:
    """`endpoint` is an http:// address; all buckets belong to the one pair of keys."""

    endpoint: str
    home: Path
    process: processes.Process

    def put(self, bucket: str, key: str, data: bytes, *, part_size: int = 64 << 20) -> None:
        """Make the bucket if need be, and put one object; in several parts if it is larger than `part_size` bytes."""
        (self.home / "buckets" / bucket).mkdir(exist_ok=True)
        obstore.put(self.store(bucket), key, data, chunk_size=part_size)

    def store(self, bucket: str) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True},
        )

    def credentials(self, folder: Path, secret: str = SECRET_KEY) -> Path:
        """The folder, written as a mounted Secret is (`api.staging.S3.credentials`)."""
        folder.mkdir()
        (folder / "accessKeyID").write_text(ACCESS_KEY)
        (folder / "secretAccessKey").write_text(secret)
        return folder


@contextmanager
def running(home: Path) -> Iterator[S3Server]:
    """Raises GroundError if it does not start. Building it takes two minutes, once per machine."""
    program = binaries.ensure("versitygw")["versitygw"]
    (home / "buckets").mkdir(parents=True)
    (home / "metadata").mkdir()
    (port,) = processes.free_ports(1)
    flags = [f"--port={processes.LOOPBACK}:{port}", f"--access={ACCESS_KEY}", f"--secret={SECRET_KEY}"]
    # Not every temporary file system has extended attributes.
    flags += [f"--region={REGION}", "--quiet", "posix", f"--sidecar={home / 'metadata'}", str(home / "buckets")]
    with processes.started(program, "versitygw", flags, home) as process:
        _wait(process, port)
        yield S3Server(f"http://{processes.LOOPBACK}:{port}", home, process)


def _wait(process: processes.Process, port: int) -> None:
    end = time.monotonic() + processes.READY_SECONDS
    while process.handle.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((processes.LOOPBACK, port), timeout=1).close()
            return
        except OSError:
            time.sleep(processes.POLL_SECONDS)
    raise shell.GroundError(f"{process.name} does not listen:\n{shell.tail(process.log)}")
