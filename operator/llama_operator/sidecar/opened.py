"""What the kernel tells of llama-server's process: which accelerators it has open, and which model file it has mapped.

llama-server says neither. A process of the same user and process namespace may see both, whatever image it is of:
paths are those that the process itself has.

https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from llama_operator.api.sidecar import MOST_DEVICES
from llama_operator.sidecar.judge import Process

_DEVICE = re.compile(r"/dev/(nvidia\d+|kfd|dri/renderD\d+|dxg|nvmap|nvhost-[-\w]+|nvgpu/[-\w/]+)")
"""NVIDIA's, AMD's, any GPU with a driver of the kernel's own, one behind WSL, and those of Tegra. /dev/nvidiactl is no
device: who opens that may only ask whether there is one."""

_PUBLISHED = re.compile(r"sha256/([0-9a-f]{64})/[^/]+")
"""Where the stager's links lead (`stage.store`): to verified files below their digest, which are never written to."""
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


def devices(process: Process, proc: Path = Path("/proc")) -> tuple[str, ...] | None:
    """Device nodes of accelerators that it has open, the first ones by name; None if that cannot be seen."""
    found = set()
    try:
        for handle in (proc / str(process.pid) / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just been closed
                found.add(os.readlink(handle))
    except OSError:  # who may list them need not be allowed to see where they lead
        return None
    return tuple(sorted(path for path in found if _DEVICE.fullmatch(path)))[:MOST_DEVICES]


def digest(process: Process, model: str, proc: Path = Path("/proc")) -> str:
    """SHA-256 of the model, whose path is `model`, by the name that the stager has given the file.

    Empty if it cannot be known: it was not staged, is one of several parts, or is not mapped. Where the link leads now
    is not enough: it may have led elsewhere when the process opened it.
    """
    folder = proc / str(process.pid)
    try:
        target = os.readlink(folder / "root" / model.lstrip("/"))
        mapped = (folder / "maps").read_bytes().decode(errors="replace").splitlines()
    except OSError:
        return ""
    published = _PUBLISHED.fullmatch(target)
    if published is None or _PART.search(model):
        return ""
    path = os.path.join(os.path.dirname(model), target)
    return published[1] if any(line.split(maxsplit=5)[5:] == [path] for line in mapped) else ""
