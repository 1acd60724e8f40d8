from __future__ import annotations

import json
from pathlib import Path

import kopf
import pytest

from llama_operator.kube.connection import Header, LoginError, TokenFile, credentials, login


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """What the kubelet mounts into a pod."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text("-")
    return tmp_path


@pytest.fixture
def in_pod(monkeypatch: pytest.MonkeyPatch, account: Path) -> Path:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return account


def test_in_a_pod_the_address_comes_from_the_environment(in_pod: Path) -> None:
    info = login(in_pod)
    assert info.server == "https://10.0.0.1:443"
    assert info.token == "first"
    assert info.ca_path == str(in_pod / "ca.crt")
    assert isinstance(credentials(info, in_pod), TokenFile)


def test_an_ipv6_address_is_bracketed(in_pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert login(in_pod).server == "https://[fd00::1]:443"


def test_outside_the_kubeconfig_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": "https://api:6443"}}],
                "users": [{"name": "x", "user": {"token": "secret"}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    info = login(tmp_path / "no-account")
    assert info.server == "https://api:6443"
    auth = credentials(info, tmp_path / "no-account")
    assert isinstance(auth, Header)
    assert auth.headers() == auth.headers(fresh=True) == {"Authorization": "Bearer secret"}


def test_without_either_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(LoginError, match=r"service account.*KUBECONFIG"):
        login(tmp_path)


class TestTokenFile:
    def test_the_file_is_read_once_for_many_requests(self, account: Path) -> None:
        auth = TokenFile(account / "token")
        first = auth.headers()
        (account / "token").write_text("second")
        assert first == auth.headers() == {"Authorization": "Bearer first"}

    def test_the_file_is_read_again_after_a_refusal_and_the_new_token_kept(self, account: Path) -> None:
        auth = TokenFile(account / "token")
        auth.headers()
        (account / "token").write_text("second")
        assert auth.headers(fresh=True) == auth.headers() == {"Authorization": "Bearer second"}

    def test_the_file_is_read_again_now_and_then(self, account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("llama_operator.kube.connection._TOKEN_SECONDS", -1.0)
        auth = TokenFile(account / "token")
        auth.headers()
        (account / "token").write_text("second")
        assert auth.headers() == {"Authorization": "Bearer second"}


def test_kopf_and_our_client_share_one_identity(in_pod: Path) -> None:
    info = login(in_pod)
    assert isinstance(info, kopf.ConnectionInfo)
    assert credentials(info, in_pod).headers() == info.as_http_headers()
