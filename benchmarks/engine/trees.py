"""Where the engines are: unpacked root file systems, where llama-server has the libraries it was built with."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ground import images, rootfs

SUITE = "forky"
"""The release of Debian that has llama.cpp: 13 has none. In the way it is bootstrapped, lists that are older than they
should be do not matter (ground.debian)."""
PACKAGE = "llama.cpp-tools"
OURS, DEBIANS = "our image", f"Debian's {PACKAGE}"


@dataclass(frozen=True)
class Engine:
    """A root file system with a llama-server: `program` is its path in there, `files` are globs of the engine alone."""

    name: str
    root: Path
    program: str
    files: tuple[str, ...]


def ours(folder: Path) -> Engine:
    """The image that the operator uses, built if need be (a quarter of an hour)."""
    _, archive = images.build("llama-server")
    root = folder / "ours"
    root.mkdir()
    for layer in layers(archive, folder / "layers"):
        # What a later layer takes out of an earlier one may stay: nothing of it is used.
        _unpack(layer, root, "--exclude=.wh.*")
    return Engine(OURS, root, "/app/llama-server", ("app/*",))


def debians(folder: Path) -> Engine:
    """A minimal Debian with its package of llama.cpp (three minutes the first time). Needs root."""
    root = folder / "debian"
    root.mkdir()
    _unpack(debian_root(), root)
    libraries = "usr/lib/*-linux-gnu"
    names = ("libllama*.so.*", "libggml*.so.*", "libmtmd*.so.*", "ggml/**/*.so*", "llama/**/*.so*")
    return Engine(
        DEBIANS, root, "/usr/bin/llama-server", ("usr/bin/llama-server", *(f"{libraries}/{n}" for n in names))
    )


def debian_root() -> Path:
    """The tar of a minimal Debian with the package and what it needs."""
    return rootfs.archive(SUITE, [PACKAGE])


def layers(archive: Path, folder: Path) -> list[Path]:
    """The layers of a docker-archive as tars, from the base upwards; unpacked into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _unpack(archive, folder)
    (manifest,) = json.loads((folder / "manifest.json").read_text())
    return [folder / name for name in manifest["Layers"]]


def _unpack(tar: Path, folder: Path, *options: str) -> None:
    """Without devices: nothing here needs them, and not every machine lets them be made."""
    command = ["tar", "-C", str(folder), "--exclude=./dev/*", "--exclude=dev/*", *options, "-xpf", str(tar)]
    subprocess.run(command, check=True)
