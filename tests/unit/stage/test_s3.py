"""S3: signed addresses, whose credentials they are signed with, and what refusals mean.

The server here does not check signatures; tests/integration/staging does, with a real one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llama_operator.api.staging import S3, Staged
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.source import s3, s3_errors
from llama_operator.stage.source.secrets import Secrets
from tests.gguf_files import gguf_file, gguf_parts
from tests.unit.stage.support import MIB, Fault, Server, Stager, model, sha256

if TYPE_CHECKING:
    from obstore.store import S3Credential

MODEL = gguf_file(MIB // 4)
KEY_ID, KEY, TOKEN = "AKIDEXAMPLE", "very/secret+key", "session/token+1"
PATH = "/bucket/dir/my model.gguf"


def run(
    stager: Stager, server: Server, *, signed: bool = True, uri: str = "s3://bucket/dir/my model.gguf", link: str = ""
) -> Staged:
    folder = stager.secret(accessKeyID=KEY_ID, secretAccessKey=KEY + "\n", sessionToken=TOKEN) if signed else ""
    source = S3(uri, server.url("/minio/"), "eu-central-1", str(folder))
    return stager.run(model(link or str(stager.link), source)).files[0]


def query(path: str) -> Mapping[str, list[str]]:
    return parse_qs(urlsplit(path).query)


def failure(stager: Stager, server: Server, *, signed: bool = True) -> Failure:
    with pytest.raises(Failure) as caught:
        run(stager, server, signed=signed)
    said = caught.value.message + "".join(stager.log) + repr(stager)
    assert not any(secret in said for secret in (KEY, TOKEN, "Signature="))
    return caught.value


def test_every_request_is_signed_by_the_mounted_credentials(stager: Stager, server: Server) -> None:
    """Also when the environment has others: they are not this source's."""
    server.add("/minio" + PATH, MODEL).faults.append(Fault(cut=MIB // 2))
    assert run(stager, server).sha256 == sha256(MODEL)
    assert len(server.requests) == 2
    assert server.requests[1].headers["Range"] == f"bytes={MIB // 2}-"
    for request in server.requests:
        assert request.method == "GET"
        assert request.path.startswith("/minio/bucket/dir/my%20model.gguf?")
        values = query(request.path)
        assert values["X-Amz-Credential"][0].split("/")[::2] == [KEY_ID, "eu-central-1", "aws4_request"]
        assert values["X-Amz-Security-Token"] == [TOKEN]
        assert values["X-Amz-Signature"]
        assert values["X-Amz-SignedHeaders"] == ["host"]
    assert not any(secret in "".join(stager.log) for secret in (KEY, TOKEN, "Signature"))
    assert stager.published()[0].name == "my_model.gguf"


def test_the_environment_does_not_get_into_mounted_credentials(
    stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://example.invalid")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.setenv(name, "from-the-environment")
    server.add("/minio" + PATH, MODEL)
    run(stager, server)
    assert "from-the-environment" not in server.requests[0].path


def test_a_resigned_address_is_still_the_same_source(stager: Stager, server: Server) -> None:
    """The note beside the part is about the address without its signature: another process goes on."""
    server.add("/minio" + PATH, MODEL).faults.extend([Fault(cut=MIB // 2), Fault(status=403)])
    failure(stager, server)
    assert run(Stager(stager.root, secrets=stager.secrets), server, signed=False).sha256 == sha256(MODEL)
    assert server.requests[-1].headers["Range"] == f"bytes={MIB // 2}-"


def test_without_credentials_the_address_is_plain(stager: Stager, server: Server) -> None:
    server.add("/minio" + PATH, MODEL)
    assert run(stager, server, signed=False).sha256 == sha256(MODEL)
    assert server.requests[0].path == "/minio/bucket/dir/my%20model.gguf"


def test_all_parts_of_a_split_object(stager: Stager, server: Server) -> None:
    for number, data in enumerate(gguf_parts(2), 1):
        server.add(f"/minio/bucket/m-{number:05}-of-00002.gguf", data)
    name = "m-00001-of-00002.gguf"
    found = run(stager, server, uri=f"s3://bucket/{name}", link=str(stager.root / name))
    assert found.parts == 2
    assert all("X-Amz-Signature" in request.path for request in server.requests)


@pytest.mark.parametrize(
    ("status", "code", "reason", "hint"),
    [
        (404, "NoSuchKey", Reason.NOT_FOUND, "no such object"),
        (404, "NoSuchBucket", Reason.NOT_FOUND, "no such bucket"),
        (403, "AccessDenied", Reason.UNAUTHORIZED, "s3:GetObject"),
        (403, "InvalidAccessKeyId", Reason.UNAUTHORIZED, "the access key does not exist"),
        (403, "SignatureDoesNotMatch", Reason.UNAUTHORIZED, "the secret key is another one"),
        (400, "ExpiredToken", Reason.UNAUTHORIZED, "has expired"),
        (403, "RequestTimeTooSkewed", Reason.SOURCE_ERROR, "clock"),
        (301, "PermanentRedirect", Reason.INVALID_SOURCE, "set s3.region to eu-west-1"),
        (400, "AuthorizationHeaderMalformed", Reason.INVALID_SOURCE, "set s3.region to eu-west-1"),
        (403, "InvalidObjectState", Reason.SOURCE_ERROR, "restore"),
        (400, "NewWord", Reason.SOURCE_ERROR, "400 (NewWord)"),
        (403, "hid-den!", Reason.UNAUTHORIZED, "s3:GetObject"),
        (404, "", Reason.NOT_FOUND, "404"),
        (503, "SlowDown", Reason.SOURCE_ERROR, "503"),
    ],
)
def test_refusals(stager: Stager, server: Server, status: int, code: str, reason: Reason, hint: str) -> None:
    body = f"<?xml?><Error><Code>{code}</Code><StringToSign>hidden {KEY}</StringToSign></Error>".encode()
    headers = {"x-amz-bucket-region": "eu-west-1", "x-amz-id-2": "hidden"}
    server.add("/minio" + PATH, b"").always = Fault(status=status, headers=headers, body=body)
    found = failure(stager, server)
    assert found.reason is reason
    assert hint in found.message
    assert "StringToSign" not in found.message
    assert "hid" not in found.message


def test_a_private_object_asks_for_credentials(stager: Stager, server: Server) -> None:
    server.add("/minio" + PATH, b"").always = Fault(status=403, body=b"<Code>AccessDenied</Code>")
    found = failure(stager, server, signed=False)
    assert found.reason is Reason.UNAUTHORIZED
    assert "s3.credentialsSecretRef" in found.message


def test_a_refusal_that_breaks_off_is_judged_by_its_status(stager: Stager, server: Server) -> None:
    server.add("/minio" + PATH, b"").always = Fault(status=403, body=b"<Error>" * 10_000, cut=7)
    assert failure(stager, server).reason is Reason.UNAUTHORIZED


@pytest.mark.parametrize(
    ("uri", "region", "environment", "address"),
    [
        ("s3://bucket/a+b", "", {}, "https://bucket.s3.us-east-1.amazonaws.com/a%2Bb"),
        ("s3://bucket/a?b#c%20", "", {"AWS_REGION": "r-1"}, "https://bucket.s3.r-1.amazonaws.com/a%3Fb%23c%2520"),
        ("s3://bucket/a", "", {"AWS_DEFAULT_REGION": "r-2"}, "https://bucket.s3.r-2.amazonaws.com/a"),
        ("s3://bucket/a", "r-3", {"AWS_REGION": "r-1"}, "https://bucket.s3.r-3.amazonaws.com/a"),
        ("s3://my.bucket/a", "", {}, "https://s3.us-east-1.amazonaws.com/my.bucket/a"),
        ("s3://bucket/a", "cn-north-1", {}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a"),
    ],
)
def test_addresses_at_amazon(uri: str, region: str, environment: dict[str, str], address: str) -> None:
    source = S3(uri, region=region)
    assert s3.bucket(source, Secrets(), environment).url(s3.split_uri(uri)[1]) == address


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/", categories=["L", "N", "P", "S", "Zs"]), min_size=1), min_size=1
    )
)
def test_signed_addresses_are_the_plain_ones(parts: list[str]) -> None:
    """What is signed, noted and shown is one address, whatever the key; the check in `sign` holds it to that."""
    assume(not {".", ".."} & set(parts))
    key = "/".join(parts)
    credential: S3Credential = {"access_key_id": "a", "secret_access_key": "secret", "token": None, "expires_at": None}
    bucket = s3.Bucket("bucket", "http://example.com", "r-1", False, credential)
    assert s3.split_uri(f"s3://bucket/{key}") == ("bucket", key)
    signed = bucket.sign(key)
    assert signed.startswith(bucket.url(key) + "?X-Amz-")
    assert str(httpx.URL(signed)) == signed
    assert "secret" not in repr(bucket)


def test_what_the_signer_says_is_not_repeated() -> None:
    for said in ("status code: 403 Forbidden: hidden", "status: 500 hidden", "hidden", "token file 'hidden'"):
        assert "hidden" not in s3_errors.unsigned(said).message
    assert isinstance(s3_errors.unsigned("status code: 500"), Transient)
    assert s3_errors.unsigned("No CA certificates were loaded from the system").reason is Reason.STAGING_FAILED


def test_secrets_of_the_environment_are_cut_out() -> None:
    secrets = Secrets()
    s3.bucket(S3("s3://bucket/a"), secrets, {"AWS_SECRET_ACCESS_KEY": KEY, "AWS_SESSION_TOKEN": TOKEN})
    assert secrets.cut(f"{KEY} {TOKEN}") == "… …"


def test_the_signer_is_loaded_only_for_s3() -> None:
    code = "import sys, llama_operator.stage.cli; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_success_is_not_explained() -> None:
    for status in (200, 206, 416, 500, 503, 429):
        assert (
            s3_errors.explain(httpx.Response(status, content=b"<Code>NoSuchKey</Code>"), "s3://b/k", signs=True) is None
        )


def test_credentials_that_are_none(stager: Stager, tmp_path: Path) -> None:
    for keys, named, reason in (
        ({}, "no key accessKeyID", Reason.UNAUTHORIZED),
        ({"accessKeyID": "a"}, "no key secretAccessKey", Reason.UNAUTHORIZED),
        ({"accessKeyID": "", "secretAccessKey": "b"}, "accessKeyID", Reason.INVALID_SOURCE),
    ):
        with pytest.raises(Failure, match=named) as caught:
            s3.bucket(S3("s3://bucket/a", credentials=str(stager.secret(**keys))), Secrets(), {})
        assert caught.value.reason is reason
