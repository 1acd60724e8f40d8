"""`start-cuda`: what the CUDA image says before llama-server where CUDA's libraries cannot be loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ground.paths import REPO

SCRIPT = REPO / "images" / "llama-server" / "start-cuda"
LOADED = "\tlibcudart.so.13 => /app/libcudart.so.13 (0x00007f3c)"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The folder of the image, with a server that repeats its words."""
    shutil.copy(SCRIPT, tmp_path)
    _script(tmp_path / "llama-server", r"""printf '<%s>' "$0" "$@" """)
    return tmp_path


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def start(app: Path, ldd: str) -> subprocess.CompletedProcess[str]:
    tools = app / "tools"
    tools.mkdir()
    _script(tools / "ldd", f"cat <<'END'\n{ldd}\nEND")
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    words: list[str | Path] = [app / "start-cuda", "--port", "8000", "--alias", "two words"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)


def test_with_the_driver_it_is_silent(app: Path) -> None:
    done = start(app, f"{LOADED}\n\tlibcuda.so.1 => /lib/x86_64-linux-gnu/libcuda.so.1 (0x00007f3d)")
    assert done.stdout == f"<{app}/llama-server><--port><8000><--alias><two words>"
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_driver_it_says_what_is_missing_and_serves(app: Path) -> None:
    done = start(app, f"{LOADED}\n\tlibcuda.so.1 => not found")
    assert done.stderr.startswith("no CUDA device: libcuda.so.1 is missing, ")
    assert "--gpus all" in done.stderr
    assert "nvidia.com/gpu" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == f"<{app}/llama-server><--port><8000><--alias><two words>"


def test_a_server_that_cannot_be_started_is_a_failure(app: Path) -> None:
    (app / "llama-server").unlink()
    assert start(app, LOADED).returncode != 0
