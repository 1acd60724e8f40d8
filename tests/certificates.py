"""A certificate of one's own for tests of TLS, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files; who trusts the certificate as an authority trusts the server that has it."""

    crt: Path
    key: Path


def make(folder: Path, name: str, subject: str) -> Certificate:
    """Make one for a subject alternative name (`DNS:a.example`, `IP:127.0.0.1`), valid for two days."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"]
    files = ["-keyout", str(made.key), "-out", str(made.crt)]
    subprocess.run(["openssl", "req", "-x509", *kind, *usage, *names, *files], check=True, capture_output=True)
    return made
