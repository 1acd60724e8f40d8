"""TLS, names, hosts and secrets: whom the stager believes, and to whom it shows what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from llama_operator.api.staging import S3, HuggingFace, Report
from tests.gguf_files import gguf_file
from tests.integration.staging import authority, faults
from tests.integration.staging import hub as hubs
from tests.integration.staging.authority import Authority
from tests.integration.staging.hub import SIGNATURE, Hub
from tests.integration.staging.origin import Exchange, Origin
from tests.integration.staging.process import Outcome, Stager
from tests.integration.staging.s3_server import ACCESS_KEY, REGION, SECRET_KEY, S3Server

DATA = gguf_file(1 << 16)
DIGEST = hashlib.sha256(DATA).hexdigest()
SECRET = "Bearer a-secret-not-to-be-shown"
TRUSTLESS = {"attempts": 2, "connect_timeout": 1.0}


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    folder = tmp_path / "headers"
    folder.mkdir()
    (folder / "Authorization").write_text(SECRET)
    return folder


@pytest.fixture(scope="session")
def certificates(trusted: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    stranger = authority.create(tmp_path_factory.mktemp("stranger") / "authority")
    return {
        "right": trusted.issue("good"),
        "of another name": trusted.issue("other", "DNS:other.invalid"),
        "expired": trusted.issue("old", expired=True),
        "of a stranger": stranger.issue("strange"),
    }


@pytest.fixture
def secure(certificates: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Origin]:
    with Origin(certificates[getattr(request, "param", "right")]) as origin:
        origin.serve("/m.gguf", DATA)
        yield origin


def shows(stager: Stager, outcome: Outcome, *secrets: str) -> list[str]:
    """Those of the secrets that can be read in the log, the termination message, or any file of the volume."""
    files = b"".join(path.read_bytes() for path in stager.root.rglob("*") if path.is_file())
    everything = outcome.log.encode() + outcome.message.encode() + files
    return [one for one in secrets if one.encode() in everything]


def test_a_trusted_server_gets_the_secret_and_gives_the_file(secure: Origin, stager: Stager, headers: Path) -> None:
    done = stager.url(secure.url("/m.gguf", "localhost"), DIGEST, headers)
    assert (done.reason, done.bytes) == ("", DATA), done.log
    assert {one.headers["Authorization"] for one in secure.requests()} == {SECRET}
    assert shows(stager, done, SECRET, "a-secret") == []


@pytest.mark.parametrize("secure", ["of another name", "expired", "of a stranger"], indirect=True)
def test_a_server_that_cannot_prove_its_name_gets_nothing(secure: Origin, stager: Stager, headers: Path) -> None:
    stager.policy = dict(TRUSTLESS)
    done = stager.url(secure.url("/m.gguf", "localhost"), DIGEST, headers)
    assert (done.reason, done.bytes) == ("SourceUnreachable", None)
    assert "certificate" in done.message
    assert secure.requests() == []
    assert secure.broken_handshakes > 0


@pytest.mark.parametrize(
    "url", ["http://models.invalid/m.gguf", "http://127.0.0.1:1/m.gguf", "https://127.0.0.1:1/m.gguf"]
)
def test_nobody_there(url: str, stager: Stager) -> None:
    """No such name (.invalid has none by RFC 6761), and no such port."""
    stager.policy = dict(TRUSTLESS)
    done = stager.url(url, DIGEST)
    assert (done.reason, done.bytes) == ("SourceUnreachable", None)
    assert url in done.message


def test_plain_http_where_tls_was_expected(origin: Origin, stager: Stager) -> None:
    stager.policy = dict(TRUSTLESS)
    done = stager.url(origin.url("/m.gguf").replace("http:", "https:"), DIGEST)
    assert done.reason == "SourceUnreachable"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_takes_no_secret_along(
    code: int, origin: Origin, secure: Origin, stager: Stager, headers: Path
) -> None:
    """Another name, port and scheme each make another origin; here all three."""
    origin.always("/start", faults.redirect(secure.url("/m.gguf?sig=secret-signature", "localhost"), code))
    secure.script("/m.gguf", faults.cut(1000))
    done = stager.url(origin.url("/start"), DIGEST, headers)
    assert (done.reason, done.bytes) == ("", DATA), done.log
    assert {one.headers["Authorization"] for one in origin.requests()} == {SECRET}
    assert {one.headers["Authorization"] for one in secure.requests()} == {None}
    assert shows(stager, done, "secret") == []


def test_another_port_is_another_origin(origin: Origin, stager: Stager, headers: Path) -> None:
    with Origin() as neighbour:
        neighbour.serve("/m.gguf", DATA)
        origin.always("/start", faults.redirect(neighbour.url("/m.gguf")))
        assert stager.url(origin.url("/start"), DIGEST, headers).bytes == DATA
        assert {one.headers["Authorization"] for one in neighbour.requests()} == {None}


def test_a_redirect_within_the_host_keeps_the_secret(origin: Origin, stager: Stager, headers: Path) -> None:
    origin.serve("/m.gguf", DATA)
    origin.always("/start/here", faults.redirect("../m.gguf"))
    assert stager.url(origin.url("/start/here"), DIGEST, headers).bytes == DATA
    assert {one.headers["Authorization"] for one in origin.requests("/m.gguf")} == {SECRET}


def test_https_is_never_left_for_http(origin: Origin, secure: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA)
    secure.always("/start", faults.redirect(origin.url("/m.gguf")))
    done = stager.url(secure.url("/start", "localhost"), DIGEST)
    assert (done.reason, done.bytes) == ("SourceError", None)
    assert origin.requests() == []


def from_hub(hub: Hub, token: Path | None = None, changes: Mapping[str, str] | None = None) -> HuggingFace:
    source = HuggingFace(hub.endpoint, "org/model", "main", "sub/m.gguf", token=str(token or ""))
    return msgspec.structs.replace(source, **(changes or {}))


@pytest.fixture
def token(tmp_path: Path, hub: Hub) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{hub.token}\n")
    return path


@pytest.mark.parametrize("prefix", ["", "/mirrors/hf"])
def test_a_gated_model_and_its_token(prefix: str, stager: Stager, tmp_path: Path) -> None:
    with ExitStack() as stack:
        hub = stack.enter_context(hubs.running(prefix))
        commit = hub.push("org/model", {"sub/m.gguf": DATA})
        hub.repos["org/model"].gated = True
        path = tmp_path / "token"
        path.write_text(hub.token)
        done = stager.run(from_hub(hub, path))
        assert (done.reason, done.bytes) == ("", DATA), done.log
        assert isinstance(done.answer, Report)
        assert (done.answer.files[0].sha256, done.answer.files[0].revision) == (DIGEST, commit)
        assert {one.headers["Authorization"] for one in hub.api.requests()} == {f"Bearer {hub.token}"}
        assert {one.headers["Authorization"] for one in hub.cdn.requests()} == {None}
        assert shows(stager, done, hub.token, SIGNATURE.partition("=")[2]) == []


def test_a_renamed_repository_and_a_push_in_the_middle(hub: Hub, stager: Stager) -> None:
    commit = hub.push("org/model", {"sub/m.gguf": DATA})
    hub.moved["old/model"] = "org/model"
    pushed = gguf_file(1 << 16, name="newer")

    def push(exchange: Exchange) -> None:
        hub.push("org/model", {"sub/m.gguf": pushed})
        faults.cut(1000)(exchange)

    hub.cdn.script(hub.cdn_path(DATA), push)
    done = stager.run(from_hub(hub, changes={"repo": "old/model"}))
    assert (done.reason, done.bytes) == ("", DATA), done.log
    assert isinstance(done.answer, Report)
    assert done.answer.files[0].revision == commit


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"repo": "org/none"}, "Unauthorized"),
        ({"file": "none.gguf"}, "NotFound"),
        ({"revision": "v9"}, "NotFound"),
        ({"repo": "org/gated"}, "Unauthorized"),
        ({"repo": "org/private"}, "Unauthorized"),
    ],
)
def test_what_the_hub_does_not_give(changes: dict[str, str], reason: str, hub: Hub, stager: Stager) -> None:
    for name in ("model", "gated", "private"):
        hub.push(f"org/{name}", {"sub/m.gguf": DATA})
    hub.repos["org/gated"].gated = hub.repos["org/private"].private = True
    done = stager.run(from_hub(hub, changes=changes))
    assert (done.reason, done.bytes) == (reason, None)
    assert hub.cdn.requests() == []


def test_a_wrong_token(hub: Hub, stager: Stager, tmp_path: Path) -> None:
    hub.push("org/model", {"sub/m.gguf": DATA})
    path = tmp_path / "token"
    path.write_text("hf_a-wrong-one")
    done = stager.run(from_hub(hub, path))
    assert done.reason == "Unauthorized"
    assert shows(stager, done, "hf_a-wrong-one") == []


def from_s3(server: S3Server, credentials: Path | None, key: str = "a folder/m.gguf") -> S3:
    return S3(f"s3://models/{key}", server.endpoint, REGION, str(credentials or ""))


def test_an_object_of_a_bucket(s3_server: S3Server, stager: Stager, tmp_path: Path) -> None:
    s3_server.put("models", "a folder/m.gguf", DATA)
    done = stager.run(from_s3(s3_server, s3_server.credentials(tmp_path / "keys")))
    assert (done.reason, done.bytes) == ("", DATA), done.log
    assert shows(stager, done, SECRET_KEY, ACCESS_KEY, "X-Amz-Signature") == []


@pytest.mark.parametrize(
    ("secret", "key", "reason"),
    [(SECRET_KEY, "none.gguf", "NotFound"), ("wrong-secret", "a folder/m.gguf", "Unauthorized")],
)
def test_what_a_bucket_does_not_give(
    secret: str, key: str, reason: str, s3_server: S3Server, stager: Stager, tmp_path: Path
) -> None:
    s3_server.put("models", "a folder/m.gguf", DATA)
    done = stager.run(from_s3(s3_server, s3_server.credentials(tmp_path / "keys", secret), key))
    assert (done.reason, done.bytes) == (reason, None), done.log
    assert shows(stager, done, secret, ACCESS_KEY) == []


def test_a_bucket_wants_credentials(s3_server: S3Server, stager: Stager) -> None:
    s3_server.put("models", "a folder/m.gguf", DATA)
    assert stager.run(from_s3(s3_server, None)).reason == "Unauthorized"
