"""A llama-server container on the Docker engine of the ground, hardened as the operator would have it."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ground import choose, engine, images, shell, up
from ground.choose import Way
from tests.e2e.routes import IN_POD, Answer, NoAnswerError

HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@cache
def own_engine() -> bool:
    """Whether the ground has an engine of its own, in a network of its own, instead of the machine's Docker."""
    way = up.current().way if up.RECORD.exists() else choose.choose(choose.facts()).way
    return way is Way.PACKAGES


@contextmanager
def running_engine() -> Iterator[None]:
    """A Docker engine answers. If it had to be started, it ends again: there was no cluster on it."""
    started = own_engine() and engine.start()
    try:
        yield
    finally:
        if started:
            engine.stop()


def environment() -> dict[str, str]:
    """What turns docker's command to the right engine."""
    return engine.docker_env() if own_engine() else {}


def near() -> list[str | Path]:
    """Prefix of a command that is to reach published ports.

    They are on the loopback of the network that the engine is in, which may not be the host's.
    """
    return [*engine.inside("net")] if own_engine() else []


def docker(*words: str, timeout: float = 120) -> str:
    """Run a docker command against the ground's engine; its stdout. Raises CommandError."""
    return shell.output(["docker", *words], env=environment(), timeout=timeout).strip()


def loaded(name: str) -> str:
    """Build an image and give it to the engine; its reference."""
    reference, archive = images.build(name)
    docker("load", "--input", str(archive), timeout=300)
    return reference


@dataclass
class Container:
    """One container of an image; removed with everything at the end of the `with` block."""

    image: str
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    port: int = 8000
    id: str = field(default="", init=False)

    def __enter__(self) -> Container:
        publish = f"--publish=127.0.0.1::{self.port}"
        self.id = docker("run", "--detach", publish, *HARDENED, *self.options, self.image, *self.arguments)
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", "--volumes", self.id)

    @property
    def url(self) -> str:
        """Where it is published, for programs that are run `near` it."""
        return f"http://{docker('port', self.id, str(self.port)).splitlines()[0]}"

    def __call__(self, path: str, body: object = None) -> Answer:
        """GET, or POST if there is a body, at the published port. Raises NoAnswerError while nobody listens."""
        asked = json.dumps({"url": f"{self.url}{path}", "body": body})
        told = json.loads(shell.output([*near(), sys.executable, IN_POD], stdin=asked, timeout=60))
        if "error" in told:
            raise NoAnswerError(told["error"])
        return Answer(told["status"], told["type"], base64.b64decode(told["content"]))

    def inspect(self) -> Any:
        """What `docker inspect` says."""
        return json.loads(docker("inspect", self.id))[0]

    def state(self) -> Any:
        """Status, ExitCode, Health and the like."""
        return self.inspect()["State"]

    def log(self) -> str:
        """Everything that the server has written."""
        return shell.output(["sh", "-c", 'exec docker logs "$1" 2>&1', "sh", self.id], env=environment(), timeout=60)

    def stop(self, grace: int) -> int:
        """SIGTERM, after `grace` seconds SIGKILL; the exit code (137 after SIGKILL)."""
        docker("stop", f"--time={grace}", self.id)
        return int(self.state()["ExitCode"])
