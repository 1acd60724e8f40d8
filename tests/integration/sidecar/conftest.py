"""A sidecar and a llama-server that it watches, each a process of its own; the server may be a stand-in."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from llama_operator.api.sidecar import DRAIN_PATH, FACTS_PATH, START_PATH, Facts, Request

STAND_IN = Path(__file__).with_name("stand_in.py")
LOOK_SECONDS = 0.1
"""Instead of five: patience is counted in looks, so all is faster by as much."""
START = f"""
import sys
from llama_operator.sidecar import cli, judge, watch
watch.OLD_SECONDS = watch.AGAIN_SECONDS = watch.ANSWER_SECONDS = {LOOK_SECONDS}
judge.LOOK_SECONDS, cli.START_WAIT_SECONDS = float(sys.argv.pop()), float(sys.argv.pop())
cli.main(sys.argv[1:], port=0)
"""


@dataclass
class Pod:
    """What shares a pod. `log` is the sidecar's."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def serve(self, *, wrapper: Sequence[str] = (), flags: Sequence[str] = (), **state: Any) -> subprocess.Popen[bytes]:
        """Start a stand-in, and wait until it listens. `wrapper`: a command that starts it; `flags`: its last words."""
        command = [sys.executable, str(STAND_IN), json.dumps(state), "--port", str(self.port)]
        process = self.run([*wrapper, *command, *flags])
        eventually(lambda: self.ask("/asked").raise_for_status())
        return process

    def watch(self, wait: float = LOOK_SECONDS, look: float = LOOK_SECONDS, **request: Any) -> subprocess.Popen[bytes]:
        """Start a sidecar, and wait until it listens. Seconds: `wait`, that it holds a no back; `look`, between two
        looks at a server that has answered. `request`: fields of its `Request`."""
        words = msgspec.json.encode(Request(self.port, **request)).decode()
        log = self.folder / f"sidecar-{len(self.processes)}.log"
        process = self.run([sys.executable, "-c", START, words, str(wait), str(look)], log)

        def listens() -> None:
            found = re.search(r"answering on port (\d+)", log.read_text())
            assert found, log.read_text()
            self.address = f"http://127.0.0.1:{found[1]}"

        eventually(listens)
        return process

    def run(self, command: Sequence[str], log: Path | None = None) -> subprocess.Popen[bytes]:
        with (log or self.folder / "server.log").open("ab") as output:
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT))
        return self.processes[-1]

    def ask(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, **more)

    def be(self, **state: Any) -> None:
        """Change the stand-in."""
        httpx.post(f"http://127.0.0.1:{self.port}/be", json=state, trust_env=False).raise_for_status()

    def asked(self) -> list[str]:
        """Of the stand-in."""
        return list(self.ask("/asked").json())

    def facts(self) -> Facts:
        return msgspec.json.decode(httpx.get(self.address + FACTS_PATH, trust_env=False).content, type=Facts)

    def started(self) -> bool:
        return httpx.get(self.address + START_PATH, trust_env=False).status_code == 200

    def drain(self) -> str:
        """Returns when the sidecar says so."""
        return httpx.get(self.address + DRAIN_PATH, trust_env=False, timeout=60).text.strip()

    def is_started(self) -> None:
        def check() -> None:
            assert self.started()

        eventually(check)

    def lives(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """It is not ended within so many seconds: there is nothing to wait for but the time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended with {process.wait(seconds)}: {self.facts().ended}")


def eventually(check: Callable[[], Any], timeout: float = 30.0) -> None:
    """As `tests.polling`, for HTTP errors, too."""
    end = time.monotonic() + timeout
    while True:
        try:
            check()
        except (AssertionError, httpx.HTTPError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pod = Pod(tmp_path, port)
    yield pod
    for process in pod.processes:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
