"""llama-server is found among real processes, seen, and ended."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llama_operator.sidecar import process
from llama_operator.sidecar.judge import Process
from tests.polling import eventually

Start = Callable[..., "subprocess.Popen[bytes]"]

WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
SPINS = "print('up', flush=True)\nwhile True: pass"
OTHERS_SPIN = (
    "import sys, threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()\n"
    "print('up', flush=True); sys.stdin.read()"
)


@pytest.fixture
def port() -> int:
    """One that no other process of this machine has in its arguments."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def start(port: int) -> Iterator[Start]:
    started = []

    def run(program: str, *wrapper: str) -> subprocess.Popen[bytes]:
        command = [*wrapper, sys.executable, "-c", program, "--host", "0.0.0.0", "--port", str(port)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout
        assert started[-1].stdout.readline() == b"up\n"
        return started[-1]

    yield run
    for each in started:
        each.kill()
        each.wait()
        for pipe in (each.stdin, each.stdout):
            assert pipe
            pipe.close()


def found(port: int) -> Process:
    there = process.find(port)
    assert there
    return there.process


def test_it_is_found_by_its_port(start: Start, port: int) -> None:
    assert process.find(port) is None
    assert start(WAITS).pid == found(port).pid
    there = process.find(port)
    assert there
    assert "--host" in there.arguments


def test_behind_an_init_or_a_shell(start: Start, port: int) -> None:
    shell = start(WAITS, "sh", "-c", '"$@"; true', "sh")
    assert found(port).pid != shell.pid
    process.end(found(port))
    assert shell.wait() == 0


def test_of_two_none_is_taken(start: Start, port: int) -> None:
    start(WAITS)
    start(WAITS)
    assert process.find(port) is None


def test_only_the_main_thread_counts(start: Start, port: int) -> None:
    start(OTHERS_SPIN)
    before = process.main_thread(found(port))
    assert before

    def others() -> None:
        """The whole process has used CPU time since."""
        fields = Path(f"/proc/{before.process.pid}/stat").read_text().rpartition(")")[2].split()
        assert int(fields[11]) + int(fields[12]) > 20

    eventually(others)
    after = process.main_thread(found(port))
    assert after
    assert after.seconds - before.seconds < 0.02


def test_a_main_thread_that_computes_is_seen(start: Start, port: int) -> None:
    start(SPINS)
    it = found(port)

    def computes() -> None:
        seen = process.main_thread(it)
        assert seen
        assert seen.seconds > 0.1

    eventually(computes)


def test_what_has_ended_is_not_there_and_not_ended_again(start: Start, port: int) -> None:
    running = start(WAITS)
    it = found(port)
    process.end(it)
    assert running.wait() == -9
    assert process.main_thread(it) is None
    assert process.find(port) is None
    process.end(it)


def test_a_process_with_the_number_of_an_older_one_is_another(start: Start, port: int) -> None:
    running = start(WAITS)
    older = Process(running.pid, found(port).started - 1)
    assert process.main_thread(older) is None
    process.end(older)
    assert running.poll() is None
