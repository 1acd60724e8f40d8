"""`images/llama-server/check_server.py`, run where a server can be reached, and the demand that it passes there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from demo import cluster
from ground.kindconfig import Ports
from ground.paths import BIN, REPO

SCRIPT = REPO / "images" / "llama-server" / "check_server.py"
PATIENCE = ("--wait", "60")
"""Proxies learn about a new endpoint, or a certificate, a moment after the API server does."""

MODES = {"/v1/rerank", "/v1/embeddings"}
"""Steps that a server does not do unless it is started for them."""


def here(url: str, *options: str, near: Sequence[str | Path] = (), modes: set[str] | None = None) -> None:
    """Every step passes from this machine, `near` being a prefix of the command; of MODES, those in `modes`."""
    command: list[str | Path] = [*near, sys.executable, SCRIPT, url, *PATIENCE, *options]
    _passes(command, "", modes or set())


def in_pod(url: str, namespace: str, pod: str) -> None:
    """Every step passes from a pod that has Python."""
    command: list[str | Path] = [
        BIN / "kubectl",
        "exec",
        "-i",
        "-n",
        namespace,
        pod,
        "--",
        "python",
        "-",
        url,
        *PATIENCE,
    ]
    _passes(command, SCRIPT.read_text(), set())


def through_ingress(url: str, *options: str) -> None:
    """Every step passes through the ingress controller's port on this machine, for an address out of a status."""
    address = public(url)
    here(address, "--connect-to", f"127.0.0.1:{urlsplit(address).port}", *options)


def public(url: str) -> str:
    """An address out of a status with the port that the ingress controller has on this machine."""
    address, ports = urlsplit(url), Ports.from_environment()
    port = ports.https if address.scheme == "https" else ports.http
    return address._replace(netloc=f"{address.hostname}:{port}").geturl()


def _passes(command: Sequence[str | Path], stdin: str, modes: set[str]) -> None:
    done = subprocess.run(command, input=stdin, env=cluster.environment(), capture_output=True, text=True, timeout=300)
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    assert {line.split()[1] for line in done.stdout.splitlines() if line.startswith("skipped")} == MODES - modes, said
