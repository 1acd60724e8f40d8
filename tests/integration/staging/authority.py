"""A certificate authority for one test run, made by the openssl command: certificates that are right, or wrong."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EXTENSIONS = "subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"


@dataclass(frozen=True)
class Authority:
    """`bundle` is what a client has to trust (SSL_CERT_FILE)."""

    home: Path

    @property
    def bundle(self) -> Path:
        return self.home / "ca.pem"

    def issue(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1", *, expired: bool = False) -> Path:
        """A folder with cert.pem and key.pem for these subject alternative names."""
        folder = self.home / name
        folder.mkdir()
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", folder / "key.pem", "-out", folder / "request.pem")  # fmt: skip
        (folder / "extensions").write_text(_EXTENSIONS.format(names=names))
        # A validity that ended, without a clock to set: x509 only counts days from now, ca takes dates.
        (folder / "index").touch()
        (folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca=one\n[one]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
            "default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )
        dates = ("20200101000000Z", "20200201000000Z") if expired else ("20200101000000Z", "20991231000000Z")
        _openssl("ca", "-batch", "-config", folder / "ca.conf", "-cert", self.bundle, "-keyfile", self.home / "ca.key",
                 "-in", folder / "request.pem", "-out", folder / "cert.pem", "-notext", "-extfile",
                 folder / "extensions", "-startdate", dates[0], "-enddate", dates[1])  # fmt: skip
        return folder


def create(home: Path) -> Authority:
    home.mkdir(parents=True)
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
             "-subj", "/CN=throw-away authority", "-keyout", home / "ca.key", "-out", home / "ca.pem",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    return Authority(home)


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
