"""The stager as a process: killed, terminated, and many at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from llama_operator.api.staging import Progress, Request, Url
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, argument, model, sha256, until, url_arguments

MODEL = gguf_file(2 * MIB)
DIGEST = sha256(MODEL)
PODS = 8


class Processes:
    """Starts stagers as the kubelet would, and leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, arguments: list[str], name: str = "pod") -> subprocess.Popen[bytes]:
        environment = os.environ | {"TERMINATION_LOG": str(self._folder / f"{name}.message")}
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "llama_operator.stage", *arguments], stdout=log, stderr=log, env=environment
            )
        self._started.append(process)
        return process

    def log(self, name: str = "pod") -> Path:
        return self._folder / f"{name}.log"

    def message(self, name: str = "pod") -> dict[str, object]:
        loaded: dict[str, object] = json.loads((self._folder / f"{name}.message").read_bytes())
        return loaded

    def file(self, name: str = "pod") -> dict[str, object]:
        """The one file of the report."""
        files: list[dict[str, object]] = self.message(name)["files"]  # type: ignore[assignment]
        assert len(files) == 1
        return files[0]

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    running = Processes(tmp_path_factory.mktemp("pods"))
    yield running
    running.stop()


def until_received(stager: Stager, count: int) -> None:
    until(lambda: sum(part.stat().st_size for part in stager.parts()) == count, f"{count} bytes on the disk")


@pytest.mark.parametrize("digest", [None, DIGEST])
def test_a_killed_stager_goes_on_where_it_was(
    stager: Stager, server: Server, processes: Processes, digest: str | None
) -> None:
    """kill -9 in the middle, twice: not one byte is fetched again."""
    served = server.add("/m.gguf", MODEL)
    served.faults.extend([Fault(hold=3 * MIB), Fault(hold=2 * MIB)])
    arguments = url_arguments(stager.root, server.url("/m.gguf"), digest)
    for reached in (3 * MIB, 5 * MIB):
        process = processes.start(arguments)
        until_received(stager, reached)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert stager.published() == []
        assert not stager.link.is_symlink()
    kept = server.sent
    assert processes.start(arguments).wait() == 0
    assert processes.file()["sha256"] == DIGEST
    assert stager.link.read_bytes() == MODEL
    assert [r.headers.get("Range") for r in server.gets()] == [None, f"bytes={3 * MIB}-", f"bytes={5 * MIB}-"]
    assert server.sent - kept == len(MODEL) - 5 * MIB


def test_sigterm_ends_at_once_and_keeps_the_bytes(stager: Stager, server: Server, processes: Processes) -> None:
    server.add("/m.gguf", MODEL).faults.append(Fault(hold=3 * MIB))
    arguments = url_arguments(stager.root, server.url("/m.gguf"))
    process = processes.start(arguments)
    until_received(stager, 3 * MIB)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert "kept" in processes.log().read_text()
    assert processes.start(arguments).wait() == 0
    assert server.gets()[1].headers["Range"] == f"bytes={3 * MIB}-"


def test_many_pods_on_one_volume_download_once(stager: Stager, server: Server, processes: Processes) -> None:
    """The first is held in the middle until all others have said that they wait."""
    server.add("/m.gguf", MODEL).faults.append(Fault(hold=3 * MIB))
    names = [f"pod-{number}" for number in range(PODS)]
    arguments = url_arguments(stager.root, server.url("/m.gguf"))
    running = [processes.start(arguments, name) for name in names]

    def waiting() -> int:
        return sum("waiting for it" in processes.log(name).read_text() for name in names)

    until(lambda: waiting() == PODS - 1, "all others wait")
    server.release.set()
    assert [process.wait() for process in running] == [0] * PODS
    assert {str(processes.file(name)["sha256"]) for name in names} == {DIGEST}
    assert len(server.requests) == 1
    assert stager.link.read_bytes() == MODEL


def test_a_killed_holder_is_succeeded(stager: Stager, server: Server, processes: Processes) -> None:
    """The lock dies with its holder, and the next one goes on with its bytes."""
    server.add("/m.gguf", MODEL).faults.append(Fault(hold=3 * MIB))
    arguments = url_arguments(stager.root, server.url("/m.gguf"))
    first = processes.start(arguments, "first")
    until_received(stager, 3 * MIB)
    second = processes.start(arguments, "second")
    until(lambda: "waiting for it" in processes.log("second").read_text(), "the second waits")
    first.send_signal(signal.SIGKILL)
    assert second.wait() == 0
    assert server.gets()[1].headers["Range"] == f"bytes={3 * MIB}-"


def test_a_failure_is_told_to_the_kubelet(stager: Stager, server: Server, processes: Processes) -> None:
    assert processes.start(url_arguments(stager.root, server.url("/none.gguf"))).wait() == 1
    assert processes.message()["reason"] == "NotFound"
    assert "Traceback" not in processes.log().read_text()


def unused_port() -> int:
    with socket.create_server(("", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def test_progress_can_be_asked_for_while_it_downloads(stager: Stager, server: Server, processes: Processes) -> None:
    server.add("/m.gguf", MODEL).faults.append(Fault(hold=3 * MIB))
    file, port = model(str(stager.link), Url(server.url("/m.gguf"))), unused_port()
    process = processes.start([msgspec.json.encode(Request((file,), str(stager.root), port=port)).decode()])
    until_received(stager, 3 * MIB)
    answer = httpx.get(f"http://127.0.0.1:{port}/progress")
    progress = msgspec.json.decode(answer.content, type=Progress)
    assert (progress.phase, progress.role, progress.total) == ("downloading", "model", len(MODEL))
    assert 0 < progress.bytes <= 3 * MIB
    server.release.set()
    assert process.wait() == 0


@pytest.mark.parametrize("status", [403, 500])
def test_no_secret_is_said(stager: Stager, server: Server, processes: Processes, status: int) -> None:
    """Although the server repeats it in its refusal, once for good and once to be tried again."""
    secret = "Bearer s3cr3t-of-the-user"
    folder = stager.secret(Authorization=secret)
    refusal = Fault(status=status, headers={"X-Error-Message": f"{secret} is wrong", "Retry-After": "0"})
    server.add("/m.gguf", b"").always = refusal
    file = model(str(stager.link), Url(server.url("/m.gguf"), str(folder)))
    assert processes.start([argument(stager.root, file)]).wait() == 1
    assert {request.headers["Authorization"] for request in server.requests} == {secret}
    assert "s3cr3t" not in str(processes.message()) + processes.log().read_text()


@pytest.mark.parametrize(
    "arguments", [[], ["url", "--url"], ["{}"], ["{"], ['{"files": [], "token": "x"}'], ["\udcff"]]
)
def test_wrong_arguments_are_told_to_the_kubelet(processes: Processes, arguments: list[str]) -> None:
    assert processes.start(arguments).wait() == 1
    assert processes.message()["reason"] == "InvalidSource"
