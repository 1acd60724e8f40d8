"""Mounted Secrets: what is read of them, where it goes, and that it is never said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.stage import report
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source.secrets import Secrets
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, sha256

MODEL = gguf_file(MIB // 4)
SECRET = "Bearer s3cr3t/and+more"


def test_every_key_is_a_header_of_the_first_host_only(stager: Stager, server: Server) -> None:
    folder = stager.secret(**{"Authorization": SECRET + "\n", "X-Tenant": "7"})
    server.add("/m.gguf", b"").always = Fault(status=302, headers={"Location": "/near.gguf"})
    server.add("/near.gguf", b"").always = Fault(
        status=302, headers={"Location": server.url("/far.gguf", host="localhost")}
    )
    server.add("/far.gguf", MODEL)
    assert stager.url(server.url("/m.gguf"), headers=folder).sha256 == sha256(MODEL)
    sent = [(r.headers.get("Authorization"), r.headers.get("X-Tenant")) for r in server.requests]
    assert sent == [(SECRET, "7"), (SECRET, "7"), (None, None)]
    assert "s3cr3t" not in "".join(stager.log) + repr(stager)


def test_a_refusal_that_repeats_the_header_is_told_without_it(stager: Stager, server: Server) -> None:
    folder = stager.secret(Authorization=SECRET)
    server.add("/m.gguf", b"").always = Fault(status=403, headers={"X-Error-Message": f"no: {SECRET} s3cr3t/and+more"})
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"), headers=folder)
    assert caught.value.reason is Reason.UNAUTHORIZED
    told = report.failed(caught.value, stager.secrets)
    assert b"s3cr3t" not in told
    assert b"Unauthorized" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "example.com"),
        ("range", "bytes=0-1"),
        ("If-Range", '"x"'),
        ("if-none-match", "*"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
        ("Connection", "close"),
        ("with blank", "x"),
        ("Authorization", ""),
        ("Authorization", " \n"),
        ("Authorization", "a\r\nHost: example.com"),
        ("Authorization", "a\0b"),
        ("Authorization", "ümlaut"),
        ("Authorization", "x" * 9000),
        ("Authorization", "x" * 70_000),
    ],
)
def test_headers_that_are_none_or_not_the_users(stager: Stager, server: Server, name: str, value: str) -> None:
    server.add("/m.gguf", MODEL)
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"), headers=stager.secret(**{name: value}))
    assert caught.value.reason is Reason.INVALID_SOURCE
    assert name in caught.value.message
    assert caught.value.message.startswith("spec.source: ")
    assert server.requests == []


def test_one_header_twice_is_refused(stager: Stager) -> None:
    folder = stager.secret(Authorization="abcdefgh", authorization="abcdefgh")
    with pytest.raises(Failure, match="twice"):
        Secrets().headers(folder, "url.headersSecretRef")


@pytest.mark.parametrize("content", ["", " ", "two words", "a\nb", "a\rb", "tökén", "x" * 70_000])
def test_tokens_that_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(Failure, match=r"token .*huggingFace\.tokenSecretRef") as caught:
        Secrets().word(tmp_path / "token", "huggingFace.tokenSecretRef")
    assert caught.value.reason is Reason.INVALID_SOURCE


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_what_an_editor_leaves_at_the_end_is_none_of_it(tmp_path: Path, end: str) -> None:
    (tmp_path / "token").write_bytes(b"abc" + end.encode())
    assert Secrets().word(tmp_path / "token", "huggingFace.tokenSecretRef") == "abc"


def test_a_secret_that_is_missing_is_told_with_its_place_in_the_spec(tmp_path: Path) -> None:
    """The kubelet mounts an empty folder then."""
    with pytest.raises(Failure, match="or it has no key hf; create it") as caught:
        Secrets().word(tmp_path / "hf", "huggingFace.tokenSecretRef")
    assert caught.value.reason is Reason.UNAUTHORIZED
    with pytest.raises(Failure, match=r"the Secret of url\.headersSecretRef does not exist, or it is empty") as caught:
        Secrets().headers(tmp_path, "url.headersSecretRef")
    assert caught.value.reason is Reason.UNAUTHORIZED


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="none cannot be read") as caught:
        Secrets().headers(tmp_path / "none", "url.headersSecretRef")
    assert caught.value.reason is Reason.INVALID_SOURCE


def test_a_secret_is_needed_only_to_ask_the_source(stager: Stager, server: Server, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    server.add("/m.gguf", MODEL)
    with pytest.raises(Failure, match=r"^spec\.source: the Secret of url\.headersSecretRef does not exist"):
        stager.url(server.url("/m.gguf"), headers=empty)
    assert server.requests == []
    stager.url(server.url("/m.gguf"), headers=stager.secret(Authorization=SECRET))
    asked = len(server.requests)
    assert stager.url(server.url("/m.gguf"), headers=empty).sha256 == sha256(MODEL)
    assert len(server.requests) == asked


@given(st.text(alphabet=st.characters(codec="ascii"), min_size=6, max_size=40), st.text(max_size=20))
def test_what_was_read_is_cut_out(value: str, around: str) -> None:
    secrets = Secrets()
    secrets.remember(value)
    assert value not in secrets.cut(f"{around}{value}{around}{value}")


def test_short_values_stay() -> None:
    secrets = Secrets()
    secrets.remember("7")
    assert secrets.cut("7 of 17") == "7 of 17"
