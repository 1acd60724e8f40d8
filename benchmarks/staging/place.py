"""Where it is measured: the file, a server in a process of its own, and a line with delay to it."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.staging import line
from benchmarks.staging.sides import Target

NAMESPACE = "staging"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Place:
    """What can be measured at: a target, and the count of what its server has sent."""

    target: Target
    counter: Path

    def sent(self) -> int:
        (count,) = struct.unpack("<Q", self.counter.read_bytes())
        return int(count)


def make_file(path: Path, mib: int) -> str:
    """A file of noise that begins like a model. Returns its digest."""
    running = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(mib):
            block = os.urandom(_BLOCK) if number else b"GGUF" + os.urandom(_BLOCK - 4)
            running.update(block)
            file.write(block)
    return running.hexdigest()


def make_certificate(folder: Path) -> None:
    names = f"subjectAltName=IP:127.0.0.1,IP:{line.FAR}"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=benchmark"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"), "-addext", names]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)


@contextmanager
def served(folder: Path, sha256: str, *, tls: bool, delay_ms: int = 0) -> Iterator[Place]:
    """The server of `folder`/file. With a delay (each way) it is behind a line, which needs root."""
    counter, certificate = folder / "sent", folder / "certificate.pem"
    with ExitStack() as stack:
        prefix: list[str] = []
        if delay_ms:
            stack.enter_context(_process([sys.executable, "-m", "benchmarks.staging.line", NAMESPACE, str(delay_ms)]))
            prefix = ["ip", "netns", "exec", NAMESPACE]
        address = line.FAR if delay_ms else "127.0.0.1"
        words = [sys.executable, "-m", "benchmarks.staging.server", str(folder / "file"), str(counter), address, "0"]
        words += [str(certificate), str(folder / "key.pem")] if tls else []
        port = stack.enter_context(_process(prefix + words))
        target = Target(f"{'https' if tls else 'http'}://{address}:{port}", sha256, certificate)
        yield Place(target, counter)


@contextmanager
def _process(words: list[str]) -> Iterator[str]:
    """Runs until the block ends; yields its first line."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    try:
        first = process.stdout.readline().strip()
        if not first:
            raise RuntimeError(f"{' '.join(words)} did not start")
        yield first
    finally:
        process.stdin.close()
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
