"""The server's image by itself, in a plain `docker run`: what it serves, as whom, and how it ends."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from ground import shell
from ground.paths import STATE
from ground.shell import CommandError
from models import tiny_gguf
from models.tiny_gguf import REPLY
from tests import certificates
from tests.e2e import browser, server_check
from tests.e2e.container import Container, docker, loaded, near, running_engine
from tests.e2e.routes import NoAnswerError
from tests.e2e.witness import eventually

pytestmark = pytest.mark.e2e

CHAT = {"messages": [{"role": "user", "content": "Who are you?"}]}
MODEL = "/models/model.gguf"
GRACE = 20
"""Seconds that `docker stop` waits before it kills; an exit code of 137 says that it had to."""


@pytest.fixture(scope="module")
def docker_engine() -> Iterator[None]:
    with running_engine():
        yield


@pytest.fixture(scope="module")
def server_image(docker_engine: None) -> str:
    return loaded("llama-server")


@pytest.fixture(scope="module")
def demo(docker_engine: None) -> Iterator[Container]:
    """`docker run -p 8000:8000` of the demo image, but with nothing it could write to and no privileges."""
    with Container(loaded("llama-server-demo")) as container:
        ready(container)
        yield container


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the engine can mount; of the host's files it sees only those of the ground."""
    place = STATE / "e2e" / "image"
    place.mkdir(parents=True, exist_ok=True)
    yield place
    shutil.rmtree(place)


def health(container: Container) -> int:
    """The status of /health; 0 while nobody listens. A container that has ended fails the test at once."""
    try:
        return container("/health").status
    except NoAnswerError as error:
        state = container.state()
        if state["Status"] != "running":
            pytest.fail(f"{state}\n{container.log()}\n{error}")
        return 0


def ready(container: Container) -> None:
    def check() -> None:
        assert health(container) == 200, container.log()

    eventually(check, timeout=60)


def mounted(path: Path) -> str:
    return f"--mount=type=bind,source={path},target={MODEL},readonly"


def test_serves_everything(demo: Container) -> None:
    server_check.here(demo.url, near=near())


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [(("--embeddings", "--pooling", "mean"), "/v1/embeddings"), (("--reranking",), "/v1/rerank")],
    ids=["embeddings", "rerank"],
)
def test_serves_another_mode(demo: Container, arguments: tuple[str, ...], mode: str) -> None:
    with Container(demo.image, arguments=arguments) as container:
        server_check.here(container.url, near=near(), modes={mode})


def test_serves_behind_a_prefix_to_those_who_have_the_key(demo: Container, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sesame\n")
    with Container(demo.image, ("--env=LLAMA_API_KEY=sesame",), ("--api-prefix", "/teams/llm")) as container:
        server_check.here(f"{container.url}/teams/llm", "--api-key-file", str(key), near=near())
        assert container("/teams/llm/v1/models").status == 401
        docker("exec", container.id, "/app/healthcheck")


def test_serves_by_tls(demo: Container, folder: Path) -> None:
    made = certificates.make(folder, "tls", "IP:127.0.0.1")
    made.key.chmod(0o644)  # the server is another user
    options = [f"--mount=type=bind,source={folder},target=/tls,readonly"]
    words = ("--ssl-cert-file", "/tls/tls.crt", "--ssl-key-file", "/tls/tls.key")
    with Container(demo.image, tuple(options), words) as container:
        url = container.url.replace("http://", "https://")
        server_check.here(url, "--ca", str(made.crt), near=near())
        docker("exec", container.id, "/app/healthcheck")


def test_has_the_backend_for_other_machines(demo: Container) -> None:
    with Container(demo.image, arguments=("--rpc", "127.0.0.1:9")) as container:
        docker("wait", container.id, timeout=30)
        assert "Failed to connect to 127.0.0.1:9" in container.log()


def test_a_stream_leaves_its_connection_open(demo: Container) -> None:
    """Proxies send the next request over it; llama.cpp's own server closes it without a word (see the Dockerfile)."""
    script = Path(__file__).with_name("kept_connection.py")
    assert shell.output([*near(), sys.executable, script, demo.url, "5"], timeout=60).strip() == "5"


def test_web_ui_in_a_browser(demo: Container) -> None:
    browser.shows_answer(demo.url, REPLY, near())


def test_answers_are_of_this_build_and_model(demo: Container) -> None:
    props = demo("/props").json()
    assert props["model_path"] == MODEL
    assert "0c1e57098" in props["build_info"]
    assert demo("/build.json").json()["version"] == "0"
    (entry,) = demo("/v1/models").json()["data"]
    assert entry["meta"]["n_ctx_train"] == tiny_gguf.CONTEXT
    (choice,) = demo("/v1/completions", {"prompt": "Hi", "max_tokens": 64}).json()["choices"]
    assert choice["text"] == REPLY
    assert demo("/bundle.js").status == 404, "any path would be answered"


def test_runs_as_nobody_who_could_write(demo: Container) -> None:
    status = dict(line.split(":\t", 1) for line in docker("exec", demo.id, "cat", "/proc/1/status").splitlines())
    assert (status["Name"], status["Uid"].split(), status["Gid"].split()) == ("tini", ["65532"] * 4, ["65532"] * 4)
    assert int(status["CapEff"], 16) == 0
    writable = docker("exec", demo.id, "sh", "-c", "for d in / /app /models /tmp; do test -w $d && echo $d; done; true")
    assert writable == ""


def test_health_check_of_docker_is_content(demo: Container) -> None:
    def check() -> None:
        assert demo.state()["Health"]["Status"] == "healthy"

    eventually(check, timeout=60)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [((), ("--port", "9123")), (("--env=LLAMA_ARG_PORT=9123",), ()), ((), ("--port", "9123", "--api-prefix", "/p"))],
)
def test_health_check_follows_the_port(demo: Container, options: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    with Container(demo.image, options, arguments, port=9123) as container:
        prefix = arguments[-1] if "--api-prefix" in arguments else ""

        def check() -> None:
            try:
                assert container(f"{prefix}/health").status == 200
            except NoAnswerError as error:
                raise AssertionError(container.log()) from error
            docker("exec", container.id, "/app/healthcheck")

        eventually(check)


def test_health_check_fails_while_nobody_listens(demo: Container) -> None:
    with pytest.raises(CommandError):
        docker("exec", "--env=LLAMA_ARG_PORT=9", demo.id, "/app/healthcheck")


def test_serves_a_mounted_model(server_image: str, folder: Path) -> None:
    tiny_gguf.write(folder / "mounted.gguf", reply="I was mounted.")
    with Container(server_image, (mounted(folder / "mounted.gguf"),)) as container:
        ready(container)
        answer = container("/v1/chat/completions", CHAT).json()
        assert answer["choices"][0]["message"]["content"] == "I was mounted."


def test_without_a_model_it_says_so_and_ends(server_image: str) -> None:
    with Container(server_image) as container:
        assert docker("wait", container.id) == "1"
        assert f"'{MODEL}' (No such file or directory)" in container.log()


@pytest.mark.parametrize("arguments", [("--tools", "all"), ("--models-dir", "/models", "--model", "")])
def test_cannot_run_other_programs(demo: Container, arguments: tuple[str, ...]) -> None:
    with Container(demo.image, arguments=arguments) as container:
        assert docker("wait", container.id, timeout=30) == "1"
        assert "subprocess is not enabled on this build" in container.log()


def test_sigterm_while_idle_is_a_clean_end(demo: Container) -> None:
    with Container(demo.image) as container:
        ready(container)
        assert container.stop(GRACE) == 0


def test_sigterm_while_loading_ends_it(server_image: str, folder: Path) -> None:
    tiny_gguf.write(folder / "slow.gguf", size="large")
    with Container(server_image, ("--cpus=0.2", mounted(folder / "slow.gguf"))) as container:

        def loading() -> None:
            assert health(container) == 503

        eventually(loading)
        assert container.stop(GRACE) == 143, "128 + SIGTERM, passed on by tini"


def test_bill_of_materials(demo: Container) -> None:
    bill = json.loads(docker("exec", demo.id, "cat", "/app/sbom.spdx.json"))
    told = {one["externalRefs"][0]["referenceLocator"] for one in bill["packages"] if "externalRefs" in one}
    installed = docker("exec", demo.id, "dpkg-query", "--show", "--showformat=${Package}@${Version}\\n").splitlines()
    debian = {unquote(one).removeprefix("pkg:deb/debian/").partition("?")[0] for one in told if "pkg:deb/" in one}
    assert debian == set(installed)
    assert "pkg:github/ggml-org/llama.cpp@0c1e57098" in told
    assert [one for one in told if one.startswith("pkg:npm/svelte@")], "what the web UI is made with"
    assert not [one for one in told if one.startswith("pkg:npm/eslint@")], "what looks at its source only"


def test_what_the_image_says_of_itself(demo: Container) -> None:
    config = json.loads(docker("image", "inspect", demo.image))[0]["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--", "/app/llama-server"]
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["licenses"] == "MIT"
    assert labels["revision"] == "0c1e57098"
    assert labels["base.name"] == "docker.io/library/debian:trixie-slim"
    assert labels.keys() >= {"title", "description", "version", "created", "source", "url", "documentation", "vendor"}
    names = {variable.partition("=")[0] for variable in config["Env"]}
    assert names == {"PATH", "LLAMA_ARG_HOST", "LLAMA_ARG_PORT", "LLAMA_ARG_MODEL"}, "a trace of the build machine?"
