"""One llama-server with one model: what it says that it takes, and what the kernel counts."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 600
"""Seconds to load a model."""
_BUFFER = re.compile(r"(\S+) (model|KV|RS|compute) buffer size = +([\d.]+) MiB")


_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)\n(?:.*\n)*?Rss: +(\d+) kB", re.MULTILINE)
"""Of /proc/PID/smaps: what is mapped, and how much of it is resident."""


@dataclass(frozen=True)
class Taken:
    """In MiB. `mapped` are the weights that stay in the file's mapping, the others are repacked into another layout.
    `resident` is what the kernel counts beside that mapping, once the model is loaded and nobody has asked anything."""

    weights: float
    mapped: float
    cache: float
    compute: float
    resident: float

    @property
    def total(self) -> float:
        """The buffers of a batch have been reserved, and none has been written to."""
        return self.mapped + self.resident + self.compute


@dataclass(frozen=True)
class Server:
    """One that has loaded `model` and answers at `url`."""

    url: str
    model: Path
    log: Path
    pid: int

    @property
    def resident(self) -> float:
        """What the kernel counts beside the mapping of the model's file, in MiB."""
        mappings = _MAPPING.findall(Path(f"/proc/{self.pid}/smaps").read_text())
        return sum(int(pages) for place, pages in mappings if not place.endswith(f"/{self.model.name}")) / 1024


def taken(server: Path, model: Path, flags: Sequence[str]) -> Taken:
    with running(server, model, flags) as one:
        resident = one.resident
    return read(one.log.read_text(), resident, model.stat().st_size / (1 << 20))


@contextmanager
def running(server: Path, model: Path, flags: Sequence[str]) -> Iterator[Server]:
    """Raises `RuntimeError` with the end of the log if it does not come to answer, or ends too early."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(server), "--model", str(model), "--port", str(port), "--threads", "1", "--cache-ram", "0"]
    words += ["--no-warmup", "-lv", "4", "--log-colors", "off", *flags]
    log = model.with_suffix(".log")
    with log.open("w") as output, subprocess.Popen(words, stdout=output, stderr=output) as process:
        try:
            _wait(process, port)
            yield Server(f"http://127.0.0.1:{port}", model, log, process.pid)
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{error}: {log.read_text()[-1000:]}") from error
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("llama-server did not get ready")


def read(log: str, resident: float, file: float) -> Taken:
    """Some versions load the model twice, to see whether it fits: what counts is said last.

    Some tell of the mapping each part that is in use, others from where to where, repacked weights between included. No
    weight is in both places, so what is in use then is at most the rest of the `file` (MiB).
    """
    log = log[log.rindex("load_tensors: loading model tensors") :]
    sums = dict.fromkeys(("model", "KV", "RS", "compute"), 0.0)
    parts = []
    for place, kind, size in _BUFFER.findall(log):
        if place == "CPU_Mapped":
            parts.append(float(size))
        else:
            sums[kind] += float(size)
    mapped = min(parts[0], file - sums["model"]) if len(parts) == 1 else sum(parts)
    return Taken(mapped + sums["model"], mapped, sums["KV"] + sums["RS"], sums["compute"], resident)
