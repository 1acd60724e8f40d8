"""Where the API server is, and how to prove who we are: the same for kopf's watches and for our own calls."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

import kopf

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_SECONDS = 60.0
"""How long a token is used before the file is read again. The kubelet renews it long before it expires."""


class LoginError(Exception):
    """Neither a service account nor a kubeconfig."""


def login(account: Path = _ACCOUNT) -> kopf.ConnectionInfo:
    """Credentials of the pod's service account, else of the kubeconfig. Raises `LoginError`.

    The server's address comes from the pod's environment, as in client-go: kopf's own login uses the DNS name, and
    an operator should start while the cluster's DNS is down.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = account / "token"
    if host and token.exists():
        return kopf.ConnectionInfo(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_path=str(account / "ca.crt"),
            token=token.read_text().strip(),
        )
    info = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
    if info is None:
        raise LoginError("found neither a service account in this pod nor a kubeconfig (KUBECONFIG)")
    return info


class Credentials(Protocol):
    """How our own calls authenticate."""

    def headers(self, *, fresh: bool = False) -> dict[str, str]:
        """Headers of a request; `fresh` after the ones before were refused."""
        ...


def credentials(info: kopf.ConnectionInfo, account: Path = _ACCOUNT) -> Credentials:
    """Those of the same identity as `info`."""
    token = account / "token"
    if info.ca_path == str(account / "ca.crt") and token.exists():
        return TokenFile(token)
    return Header(info.as_http_headers())


class Header:
    """Headers that never change: a kubeconfig's token or password, or none beside a client certificate."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def headers(self, *, fresh: bool = False) -> dict[str, str]:
        return self._headers


class TokenFile:
    """A token in a file that somebody else renews."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    def headers(self, *, fresh: bool = False) -> dict[str, str]:
        """Raises `OSError` if the file cannot be read."""
        now = time.monotonic()
        if fresh or now - self._read_at > _TOKEN_SECONDS:
            self._token, self._read_at = self._path.read_text().strip(), now
        return {"Authorization": f"Bearer {self._token}"}
