"""One llama-server with one model: what it says that it takes, and what the kernel counts."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 600
"""Seconds to load a model."""
_BUFFER = re.compile(r"(\S+) (model|KV|RS|compute) buffer size = +([\d.]+) MiB")


@dataclass(frozen=True)
class Taken:
    """In MiB. `resident` is what the kernel counts once the model is loaded and nobody has asked anything; `repacked`
    is a second copy of weights in another layout, the first of which stays mapped and may be dropped."""

    weights: float
    cache: float
    compute: float
    repacked: float
    resident: float

    @property
    def total(self) -> float:
        """The buffers of a batch have been reserved, and none has been written to."""
        return self.resident - self.repacked + self.compute


def taken(server: Path, model: Path, flags: Sequence[str]) -> Taken:
    """Raises `RuntimeError` with the end of the log if it does not come to answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(server), "--model", str(model), "--port", str(port), "--threads", "1", "--cache-ram", "0"]
    words += ["--no-warmup", "-lv", "4", "--log-colors", "off", *flags]
    log = model.with_suffix(".log")
    with log.open("w") as output, subprocess.Popen(words, stdout=output, stderr=output) as process:
        try:
            _wait(process, port)
            status = Path(f"/proc/{process.pid}/status").read_text()
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {log.read_text()[-1000:]}") from error
        finally:
            process.terminate()
    return _read(log.read_text(), status)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("llama-server did not get ready")


def _read(log: str, status: str) -> Taken:
    """Some versions load the model twice, to see whether it fits: what counts is said last."""
    log = log[log.rindex("load_tensors: loading model tensors") :]
    sums = dict.fromkeys(("model", "KV", "RS", "compute", "repacked"), 0.0)
    for place, kind, size in _BUFFER.findall(log):
        sums[kind] += float(size)
        sums["repacked"] += float(size) if place == "CPU_REPACK" else 0
    resident = sum(int(size) for size in re.findall(r"Rss(?:Anon|File|Shmem):\s+(\d+) kB", status)) / 1024
    return Taken(sums["model"], sums["KV"] + sums["RS"], sums["compute"], sums["repacked"], resident)
