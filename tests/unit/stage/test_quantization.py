"""Which file of a repository is meant by a quantisation."""

from __future__ import annotations

import msgspec
import pytest

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source.quantization import choose
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, sha256

MODEL = gguf_file(MIB // 4)
COMMIT = "0123456789" * 4
LISTING = "/api/models/org/repo/revision/main"
NAMES = [
    ".gitattributes",
    "README-Q4_K_M.md",
    "imatrix-Q4_K_M.gguf",
    "m-BF16/m-BF16-00001-of-00002.gguf",
    "m-BF16/m-BF16-00002-of-00002.gguf",
    "m-IQ4_XS.gguf",
    "m-Q4_K.gguf",
    "m-Q4_K_M.gguf",
    "m-UD-Q4_K_XL.gguf",
    "m.Q5_K_S.gguf",
    "mmproj-F16.gguf",
    "mmproj-m-Q4_K_M.gguf",
    "old/m-q8_0.gguf",
    "other-q8_0.gguf",
]


@pytest.mark.parametrize(
    ("wanted", "projector", "file"),
    [
        ("Q4_K_M", False, "m-Q4_K_M.gguf"),
        ("q4_k_m", False, "m-Q4_K_M.gguf"),
        ("Q4_K", False, "m-Q4_K.gguf"),
        ("IQ4_XS", False, "m-IQ4_XS.gguf"),
        ("UD-Q4_K_XL", False, "m-UD-Q4_K_XL.gguf"),
        ("Q4_K_XL", False, "m-UD-Q4_K_XL.gguf"),
        ("Q5_K_S", False, "m.Q5_K_S.gguf"),
        ("F16", True, "mmproj-F16.gguf"),
        ("Q4_K_M", True, "mmproj-m-Q4_K_M.gguf"),
    ],
)
def test_the_one_file_that_has_it_as_a_word(wanted: str, projector: bool, file: str) -> None:
    assert choose(NAMES, wanted, projector=projector) == file


@pytest.mark.parametrize(
    ("wanted", "reason", "said"),
    [
        ("F16", Reason.NOT_FOUND, "there are BF16, IQ4_XS, Q4_K, Q4_K_M, Q5_K_S, Q8_0, UD-Q4_K_XL"),
        ("Q4", Reason.NOT_FOUND, "there are"),
        ("K_M", Reason.NOT_FOUND, "there are"),
        (".*", Reason.NOT_FOUND, "there are"),
        ("Q8_0", Reason.INVALID_SOURCE, "old/m-q8_0.gguf, other-q8_0.gguf; set huggingFace.file to one of them"),
        ("BF16", Reason.INVALID_SOURCE, "set huggingFace.file to m-BF16/m-BF16-00001-of-00002.gguf"),
    ],
)
def test_none_several_and_split(wanted: str, reason: Reason, said: str) -> None:
    with pytest.raises(Failure) as caught:
        choose(NAMES, wanted, projector=False)
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_names_without_any_quantisation_are_offered_themselves() -> None:
    with pytest.raises(Failure, match=r"one of a\.gguf, b\.gguf"):
        choose(["a.gguf", "b.gguf"], "Q8_0", projector=False)
    with pytest.raises(Failure, match="no such GGUF files"):
        choose(["a.gguf"], "Q8_0", projector=True)
    with pytest.raises(Failure, match="and 976 more"):
        choose([f"{n}.gguf" for n in range(1000)], "Q8_0", projector=False)


def listed(server: Server, *names: str, sha: str = COMMIT) -> None:
    answer = {"sha": sha, "siblings": [{"rfilename": name, "size": 1} for name in names], "tags": ["gguf"]}
    server.add(LISTING, msgspec.json.encode(answer))


def test_the_file_is_of_the_commit_that_was_listed(stager: Stager, server: Server) -> None:
    listed(server, "m-Q8_0.gguf", "m-Q4_0.gguf")
    server.add(f"/org/repo/resolve/{COMMIT}/m-Q8_0.gguf", MODEL, headers={"X-Repo-Commit": COMMIT})
    found = stager.hub(server.url(""), quantization="Q8_0")
    assert (found.sha256, found.revision) == (sha256(MODEL), COMMIT)
    assert stager.published()[0].name == "m-Q8_0.gguf"
    asked = len(server.requests)
    assert stager.hub(server.url(""), quantization="Q8_0") == found
    assert len(server.requests) == asked


def test_a_list_without_a_commit_leaves_the_revision(stager: Stager, server: Server) -> None:
    listed(server, "m-Q8_0.gguf", sha="")
    server.add("/org/repo/resolve/main/m-Q8_0.gguf", MODEL)
    assert stager.hub(server.url(""), quantization="Q8_0").revision == "main"


def test_refusals_name_repository_and_revision(stager: Stager, server: Server) -> None:
    listed(server, "m-Q8_0.gguf")
    with pytest.raises(Failure, match=r"spec\.source: org/repo at main: .* there are Q8_0") as caught:
        stager.hub(server.url(""), quantization="Q4_0")
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"siblings": [{"path": "m.gguf"}]}'])
def test_what_lists_nothing_is_told(stager: Stager, server: Server, body: bytes) -> None:
    server.add(LISTING, body)
    with pytest.raises(Failure, match=r"set huggingFace\.file") as caught:
        stager.hub(server.url(""), quantization="Q8_0")
    assert caught.value.reason is Reason.SOURCE_ERROR


@pytest.mark.parametrize("name", ["../m-Q8_0.gguf", "/etc/m-Q8_0.gguf", "a/../../m-Q8_0.gguf", "./m-Q8_0.gguf"])
def test_a_list_cannot_lead_out_of_the_repository(stager: Stager, server: Server, name: str) -> None:
    listed(server, name)
    with pytest.raises(Failure, match="outside") as caught:
        stager.hub(server.url(""), quantization="Q8_0")
    assert caught.value.reason is Reason.SOURCE_ERROR
    assert len(server.requests) == 1


def test_the_token_for_the_list_stays_with_the_hub(stager: Stager, server: Server) -> None:
    server.add(LISTING, b"").always = Fault(status=307, headers={"Location": server.url("/list", host="localhost")})
    server.add("/list", msgspec.json.encode({"siblings": [{"rfilename": "m-Q8_0.gguf"}]}))
    server.add("/org/repo/resolve/main/m-Q8_0.gguf", MODEL)
    stager.hub(server.url(""), quantization="Q8_0", token="hf_verysecret")
    assert [r.headers.get("Authorization") for r in server.requests][:2] == ["Bearer hf_verysecret", None]


def test_a_private_repository_is_told(stager: Stager, server: Server) -> None:
    server.add(LISTING, b"").always = Fault(status=401, headers={"X-Error-Code": "RepoNotFound"})
    with pytest.raises(Failure, match=r"set a token in huggingFace\.tokenSecretRef") as caught:
        stager.hub(server.url(""), quantization="Q8_0")
    assert caught.value.reason is Reason.UNAUTHORIZED
