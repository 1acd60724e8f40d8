"""Hugging Face's protocol, redirects, and where the token goes."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.transfer.remote import Remote, origin, redirected
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, sha256

MODEL = gguf_file(MIB // 4)
DIGEST = sha256(MODEL)
COMMIT = "0123456789abcdef" * 2 + "01234567"
LISTED = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{DIGEST}"', "X-Linked-Size": str(len(MODEL))}
MAIN, PINNED = "/org/repo/resolve/main/sub/model.gguf", f"/org/repo/resolve/{COMMIT}/sub/model.gguf"
TOKEN = "hf_verysecret"


def hub(server: Server, target: str = "", listed: dict[str, str] | None = None) -> None:
    """As huggingface.co answers: the file's facts, and a redirect to another host that holds the bytes."""
    target = target or server.url("/cdn/blob?signature=hidden", host="localhost")
    headers = {"Location": target} | (LISTED if listed is None else listed)
    for path in (MAIN, PINNED):
        server.add(path, b"").always = Fault(status=302, headers=headers)
    server.add("/cdn/blob", MODEL)


def failure(stager: Stager, server: Server, **options: str) -> Failure:
    with pytest.raises(Failure) as caught:
        stager.hub(server.url(""), **options)
    assert TOKEN not in caught.value.message + "".join(stager.log)
    assert stager.published() == []
    return caught.value


def test_digest_size_and_commit_come_from_the_hub(stager: Stager, server: Server) -> None:
    hub(server)
    result = stager.hub(server.url(""))
    assert (result.sha256, result.revision) == (DIGEST, COMMIT)
    assert [(r.method, r.path.split("?")[0]) for r in server.requests] == [
        ("HEAD", MAIN),
        ("GET", PINNED),
        ("GET", "/cdn/blob"),
    ]
    assert stager.published()[0].name == "model.gguf"


def test_a_restart_needs_no_hub_and_still_knows_the_revision(stager: Stager, server: Server) -> None:
    hub(server)
    first = stager.hub(server.url(""))
    server.files.clear()
    asked = len(server.requests)
    assert stager.hub(server.url("")) == first
    assert len(server.requests) == asked


def test_a_file_that_is_here_under_its_digest_needs_no_hub(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"), link=str(stager.root / "other.gguf"))
    asked = len(server.requests)
    assert stager.hub(server.url(""), digest=DIGEST).sha256 == DIGEST
    assert len(server.requests) == asked


def test_a_file_whose_mark_is_lost_needs_no_hub(stager: Stager, server: Server) -> None:
    """As after the kubelet has changed its group."""
    hub(server)
    first = stager.hub(server.url(""))
    for mark in stager.root.glob("sha256/*/.*"):
        mark.unlink()
    server.files.clear()
    assert stager.hub(server.url("")) == first


def test_the_token_goes_to_the_hub_only(stager: Stager, server: Server) -> None:
    hub(server)
    stager.hub(server.url(""), token=TOKEN)
    sent = [r.headers.get("Authorization") for r in server.requests]
    assert sent == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", None]
    assert TOKEN not in "".join(stager.log)


def test_the_token_stays_on_relative_redirects(stager: Stager, server: Server) -> None:
    """A renamed repository: 307 within the hub, without the file's facts."""
    hub(server)
    server.add("/org/repo/resolve/main/sub/model.gguf", b"").always = Fault(
        status=307, headers={"Location": "/new/name/resolve/main/sub/model.gguf"}
    )
    server.add("/new/name/resolve/main/sub/model.gguf", b"").always = Fault(
        status=302, headers=LISTED | {"Location": server.url("/cdn/blob", host="localhost")}
    )
    assert stager.hub(server.url(""), token=TOKEN).revision == COMMIT
    assert [r.headers.get("Authorization") is not None for r in server.requests] == [True, True, True, False]


def test_a_corrupt_cdn_is_found_by_the_hubs_digest(stager: Stager, server: Server) -> None:
    hub(server)
    server.files["/cdn/blob"].data = MODEL[:-1] + bytes([MODEL[-1] ^ 1])
    assert failure(stager, server).reason is Reason.DIGEST_MISMATCH


def test_a_listed_digest_other_than_asked_costs_no_download(stager: Stager, server: Server) -> None:
    hub(server)
    found = failure(stager, server, digest="0" * 64)
    assert found.reason is Reason.DIGEST_MISMATCH
    assert DIGEST in found.message
    assert "0" * 64 in found.message
    assert server.gets() == []


def test_a_size_other_than_listed_is_truncated(stager: Stager, server: Server) -> None:
    hub(server)
    server.files["/cdn/blob"].data = MODEL[:-5]
    found = failure(stager, server)
    assert found.reason is Reason.TRUNCATED
    assert "hidden" not in found.message


def test_a_mirror_that_lists_nothing_still_works(stager: Stager, server: Server) -> None:
    server.add(MAIN, MODEL)
    result = stager.hub(server.url(""))
    assert (result.sha256, result.revision) == (DIGEST, "main")


@pytest.mark.parametrize(
    ("status", "code", "token", "reason", "hint"),
    [
        (401, "", "", Reason.UNAUTHORIZED, "give them as huggingFace.tokenSecretRef"),
        (401, "", TOKEN, Reason.UNAUTHORIZED, "the token is refused"),
        (403, "", TOKEN, Reason.UNAUTHORIZED, "licence"),
        (401, "GatedRepo", "", Reason.UNAUTHORIZED, "accept its terms there, and use a token"),
        (403, "GatedRepo", TOKEN, Reason.UNAUTHORIZED, "accept its terms there, and use the Secret"),
        (401, "RepoNotFound", "", Reason.UNAUTHORIZED, "or is private; check huggingFace.repo"),
        (404, "RepoNotFound", "", Reason.UNAUTHORIZED, "or is private; check huggingFace.repo"),
        (404, "RepoNotFound", TOKEN, Reason.NOT_FOUND, "hidden from this token"),
        (404, "RevisionNotFound", "", Reason.NOT_FOUND, "no revision main; check huggingFace.revision"),
        (404, "EntryNotFound", "", Reason.NOT_FOUND, "no file sub/model.gguf at main"),
        (404, "", TOKEN, Reason.NOT_FOUND, "said by the hub"),
        (451, "NewCode", "", Reason.SOURCE_ERROR, "said by the hub"),
        (500, "", TOKEN, Reason.SOURCE_ERROR, "500"),
    ],
)
def test_refusals(
    stager: Stager, server: Server, status: int, code: str, token: str, reason: Reason, hint: str
) -> None:
    headers = {"X-Error-Message": "said by the hub"} | ({"X-Error-Code": code} if code else {})
    server.add(MAIN, b"").always = Fault(status=status, headers=headers)
    found = failure(stager, server, token=token)
    assert found.reason is reason
    assert hint in found.message


def test_a_refusal_of_the_host_with_the_bytes_is_not_the_tokens(stager: Stager, server: Server) -> None:
    hub(server)
    server.files["/cdn/blob"].always = Fault(status=401, headers={"X-Error-Code": "GatedRepo"})
    found = failure(stager, server, token=TOKEN)
    assert found.reason is Reason.UNAUTHORIZED
    assert "gated" not in found.message
    assert "token is refused" not in found.message


def test_a_mirror_below_a_path_is_asked_there(stager: Stager, server: Server) -> None:
    listing = msgspec.json.encode({"sha": COMMIT, "siblings": [{"rfilename": "sub/model-Q8_0.gguf"}]})
    server.add("/mirror/hf/api/models/org/repo/revision/main", listing)
    server.add(f"/mirror/hf/org/repo/resolve/{COMMIT}/sub/model-Q8_0.gguf", MODEL, headers=LISTED)
    found = stager.hub(server.url("/mirror/hf/"), quantization="Q8_0", token=TOKEN)
    assert (found.sha256, found.revision) == (DIGEST, COMMIT)
    assert {r.headers.get("Authorization") for r in server.requests} == {f"Bearer {TOKEN}"}


def test_a_revision_with_a_slash_is_one_word_of_the_address(stager: Stager, server: Server) -> None:
    server.add("/org/repo/resolve/refs/pr/1/sub/model.gguf", MODEL)
    stager.hub(server.url(""), file="sub/model.gguf", revision="refs/pr/1")
    assert {r.path for r in server.requests} == {"/org/repo/resolve/refs%2Fpr%2F1/sub/model.gguf"}


def test_a_relative_redirect_of_a_url_is_followed(stager: Stager, server: Server) -> None:
    server.add("/a/latest.gguf", b"").always = Fault(status=302, headers={"Location": "../b/v1.gguf"})
    server.add("/b/v1.gguf", MODEL)
    assert stager.url(server.url("/a/latest.gguf")).sha256 == DIGEST


def test_endless_redirects_end(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", b"").always = Fault(status=302, headers={"Location": "/m.gguf"})
    with pytest.raises(Failure, match="more than 10 times") as caught:
        stager.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.SOURCE_ERROR
    assert len(server.gets()) == 11


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "data:text/plain,GGUF"])
def test_redirects_out_of_http_are_refused(stager: Stager, server: Server, target: str) -> None:
    server.add("/m.gguf", b"").always = Fault(status=302, headers={"Location": target})
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.SOURCE_ERROR


def test_a_host_behind_a_redirect_is_named_when_it_is_unreachable(stager: Stager, server: Server) -> None:
    hub(server, target="http://127.0.0.1:1/blob?signature=hidden")
    found = failure(stager, server)
    assert found.reason is Reason.SOURCE_UNREACHABLE
    assert "http://127.0.0.1:1/blob" in found.message
    assert "hidden" not in found.message


def test_encryption_is_not_given_up() -> None:
    answer = httpx.Response(302, headers={"Location": "http://example.com/x?secret=1"})
    with pytest.raises(Failure, match="unencrypted http") as caught:
        redirected(httpx.URL("https://example.com/x"), answer)
    assert "secret=1" not in caught.value.message


def test_origins_know_default_ports() -> None:
    assert origin(httpx.URL("https://a")) == origin(httpx.URL("https://a:443/x"))
    assert origin(httpx.URL("https://a")) != origin(httpx.URL("http://a:443"))
    assert origin(httpx.URL("https://a")) != origin(httpx.URL("https://a:8443"))
    assert TOKEN not in repr(Remote("https://a", headers={"Authorization": TOKEN}))
