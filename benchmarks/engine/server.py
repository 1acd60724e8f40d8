"""A llama-server of one of the trees, running on this machine as a process of its own. Needs root (chroot)."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import client
from benchmarks.engine.trees import Engine

MODEL = "/model.gguf"
"""Where every tree has the model."""
START_SECONDS = 120.0
SETTINGS = ("--ctx-size", "2048", "--parallel", "1", "--cache-ram", "0")
"""The same for all; the rest is each build's default."""

_INTO_GROUP = ["sh", "-c", 'echo 0 >"$0" && exec "$@"']


@dataclass(frozen=True)
class Server:
    """A running server. `begun` is when it was started (`time.time`), `answered` when its first token came."""

    url: str
    begun: float
    answered: float

    def ask(self, prompt: int, tokens: int) -> dict[str, float]:
        return client.ask(self.url, client.completion(prompt, tokens))


@contextmanager
def running(engine: Engine, words: Sequence[str] = (), group: Path | None = None) -> Iterator[Server]:
    """The server with these flags besides SETTINGS, once it has answered. `group`: see quota.

    Raises RuntimeError with the end of its log if it ends before that.
    """
    port = _free_port()
    command = [*_INTO_GROUP, str(group)] if group else []
    asked = ["--model", MODEL, "--host", "127.0.0.1", "--port", str(port), *SETTINGS, *words]
    command += [*_within(engine), engine.program, *asked]
    with tempfile.TemporaryFile() as log:
        begun = time.time()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": _path()})
        try:
            url = f"http://127.0.0.1:{port}"
            yield Server(url, begun, _answered(process, url))
        except Exception as error:
            log.seek(0)
            raise RuntimeError(f"{engine.name}: {log.read().decode(errors='replace')[-2000:]}") from error
        finally:
            process.kill()
            process.wait()


def version(engine: Engine) -> str:
    """What it says it is: `version: 0.7.0 (build 11669, commit Debian)`."""
    said = subprocess.run([*_within(engine), engine.program, "--version"], capture_output=True, text=True, check=True)
    return next(line for line in (said.stdout + said.stderr).splitlines() if line.startswith("version"))


def _within(engine: Engine) -> list[str]:
    """Without /proc a program does not find the libraries beside it."""
    return ["unshare", "--mount", "--propagation=private", f"--root={engine.root}", "--wd=/", "--mount-proc=/proc"]


def _answered(process: subprocess.Popen[bytes], url: str) -> float:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return client.first_token(url, client.completion(1, 1), seconds=0.5)
        except TimeoutError:
            continue
    raise RuntimeError(f"no answer; exit status {process.poll()}")


def _path() -> str:
    """Nothing else of this machine's environment: llama-server reads LLAMA_ARG_…"""
    return os.environ.get("PATH", "/usr/bin:/bin")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
