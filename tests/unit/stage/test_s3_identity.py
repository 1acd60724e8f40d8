"""S3 with the credentials of the pod's service account: web identity, and a container's credentials service."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from llama_operator.api.staging import S3, Staged
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source import s3
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, model, sha256

MODEL = gguf_file(MIB // 4)
TOKEN = "jwt-of-the-account"
STS_ANSWER = (
    b"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
    b"<SessionToken>role-session</SessionToken><SecretAccessKey>role-secret</SecretAccessKey>"
    b"<AccessKeyId>ROLEKEYID</AccessKeyId><Expiration>2100-01-01T00:00:00Z</Expiration>"
    b"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, and its key: the signer gives a service account's token to HTTPS only."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-nodes", "-days", "2", "-subj", "/CN=test"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def sts(certificate: tuple[Path, Path], stager: Stager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as running:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(stager.secret(token=TOKEN) / "token"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"https://127.0.0.1:{running.server_port}/sts")
        monkeypatch.setattr(s3, "RETRY", {"max_retries": 0, "retry_timeout": timedelta(seconds=5)})
        running.add("/sts", STS_ANSWER)
        yield running
        running.shutdown()
        thread.join()


def run(stager: Stager, server: Server) -> Staged:
    server.add("/bucket/m.gguf", MODEL)
    source = S3("s3://bucket/m.gguf", server.url(""), "eu-central-1")
    return stager.run(model(str(stager.link), source)).files[0]


def query(path: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(path).query)


def test_the_role_of_the_service_account_signs(stager: Stager, server: Server, sts: Server) -> None:
    """Its credentials are asked for once for all requests."""
    server.add("/bucket/m.gguf", MODEL).faults.append(Fault(cut=MIB // 2))
    source = S3("s3://bucket/m.gguf", server.url(""), "eu-central-1")
    assert stager.run(model(str(stager.link), source)).files[0].sha256 == sha256(MODEL)
    assert [query(request.path)["WebIdentityToken"] for request in sts.requests] == [[TOKEN]]
    assert len(server.requests) == 2
    for request in server.requests:
        values = query(request.path)
        assert values["X-Amz-Credential"][0].startswith("ROLEKEYID/")
        assert values["X-Amz-Security-Token"] == ["role-session"]
    assert "role-session" not in "".join(stager.log)


@pytest.mark.parametrize(
    ("status", "body", "reason", "hint"),
    [
        (403, b"<Code>AccessDenied</Code><Message>hidden-secret</Message>", Reason.UNAUTHORIZED, "403 AccessDenied"),
        (400, b"hidden-secret", Reason.UNAUTHORIZED, "(400)"),
        (503, b"hidden-secret", Reason.SOURCE_UNREACHABLE, "does not answer"),
        (200, b"hidden-secret", Reason.SOURCE_UNREACHABLE, "does not answer"),
    ],
)
def test_a_role_that_is_refused(
    stager: Stager, server: Server, sts: Server, status: int, body: bytes, reason: Reason, hint: str
) -> None:
    sts.add("/sts", b"").always = Fault(status=status, body=body)
    with pytest.raises(Failure) as caught:
        run(stager, server)
    assert caught.value.reason is reason
    assert hint in caught.value.message
    assert not any(secret in caught.value.message + "".join(stager.log) for secret in ("hidden-secret", TOKEN))
    assert server.requests == []


def test_an_unknown_certificate_is_told(
    stager: Stager, server: Server, sts: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Failure, match="certificate is not trusted") as caught:
        run(stager, server)
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert sts.requests == []


def test_a_token_that_cannot_be_read(
    stager: Stager, server: Server, sts: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/does/not/exist")
    with pytest.raises(Failure, match="cannot be read") as caught:
        run(stager, server)
    assert caught.value.reason is Reason.UNAUTHORIZED


def test_a_container_service_gives_credentials(stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As EKS Pod Identity does."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/credentials"))
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(stager.secret(token=TOKEN) / "token"))
    answer = b'{"AccessKeyId":"PODKEYID","SecretAccessKey":"x","Token":"y","Expiration":"2100-01-01T00:00:00Z"}'
    server.add("/credentials", answer)
    run(stager, server)
    assert server.requests[0].headers["Authorization"] == TOKEN
    assert query(server.requests[1].path)["X-Amz-Credential"][0].startswith("PODKEYID/")


def test_the_nodes_own_role_is_not_used(stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metadata service that answers is not even asked."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", server.url(""))
    run(stager, server)
    assert [request.path for request in server.requests] == ["/bucket/m.gguf"]
