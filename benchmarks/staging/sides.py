"""Who stages: each side is a command that brings the file into a folder, measured as a process from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

OURS, CURL, PIPE, HUB = "llama-operator", "curl", "curl, tee, sha256sum", "huggingface_hub"
SIDES = (OURS, CURL, PIPE, HUB)
_HUB = "import sys, huggingface_hub as h; h.hf_hub_download('org/repo', 'file.gguf', local_dir=sys.argv[1])"


@dataclass(frozen=True)
class Cost:
    """Of one process with its children: seconds until its end, seconds of CPU, and the most memory of any, in MiB.

    `work`: seconds without the start of the interpreter, where the side tells it.
    """

    seconds: float
    cpu: float
    rss: float
    work: float


@dataclass(frozen=True)
class Target:
    """The file on the server; `certificate` is the one to trust."""

    origin: str
    sha256: str
    certificate: Path


def command(side: str, target: Target, folder: Path) -> list[str]:
    url = f"{target.origin}/org/repo/resolve/main/file.gguf"
    fetch = f"curl --silent --show-error --fail --cacert {target.certificate} {url}"
    return {
        OURS: [sys.executable, "-m", "benchmarks.staging.ours", url, target.sha256, str(folder)],
        CURL: [*fetch.split(), "--output", str(folder / "file")],
        PIPE: ["sh", "-c", f"{fetch} | tee {folder / 'file'} | sha256sum"],
        HUB: [sys.executable, "-c", _HUB, str(folder)],
    }[side]


def start(side: str, target: Target, folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "SSL_CERT_FILE": str(target.certificate),
        "HF_ENDPOINT": target.origin,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    words = command(side, target, folder)
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def measure(side: str, target: Target, folder: Path) -> Cost:
    """Raises `RuntimeError` with what the process said if it fails."""
    begun = time.monotonic()
    process = start(side, target, folder)
    # What it says fits into a pipe.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    said, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{side}: {errors or said}")
    work = float(said.split()[-1]) if side == OURS else seconds
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, work)


def available(side: str) -> bool:
    """The library of the hub is in the dependency group `bench`."""
    tried = subprocess.run([sys.executable, "-c", "import huggingface_hub"], capture_output=True)
    return side != HUB or tried.returncode == 0
