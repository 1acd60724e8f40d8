"""Many stagers on one volume, some killed at random moments: bytes are fetched once, and never published wrong.

One run of many seeds: STAGER_RUNS=250 pytest tests/unit/stage/test_many.py
"""

from __future__ import annotations

import os
import random
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from llama_operator.api.staging import Collect
from llama_operator.stage.store.layout import links
from tests.gguf_files import gguf_file
from tests.unit.stage.nursery import Nursery
from tests.unit.stage.support import MIB, Fault, Handler, Server, sha256, until, url_arguments
from tests.unit.stage.world import World

MODEL = gguf_file(MIB)
DIGEST = sha256(MODEL)
PODS = 8
IN_FLIGHT = MIB
"""What a kill may cost: the server sends that much beyond what is on the disk."""
RUNS = int(os.environ.get("STAGER_RUNS", "3"))
SEED = int(os.environ.get("STAGER_SEED", "1"))


class Paced(Handler):
    """Sends no more than IN_FLIGHT ahead of the disk, so that no buffer between here and there hides what a kill
    costs. `root` is the volume."""

    root: Path

    def _send(self, body: bytes, fault: Fault) -> None:
        self._before, self._sent = self._on_disk(), 0
        super()._send(body, fault)

    def _count(self, data: bytes) -> None:
        until(lambda: self._gone() or self._sent + len(data) <= IN_FLIGHT + self._on_disk() - self._before, "room")
        super()._count(data)
        self._sent += len(data)

    def _gone(self) -> bool:
        ready, _, _ = select.select([self.connection], [], [], 0)
        return bool(ready) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _on_disk(self) -> int:
        """Of a file that is published all is there."""
        try:
            return sum(part.stat().st_blocks * 512 for part in (self.root / ".stage").glob("*.part"))
        except FileNotFoundError:
            return len(MODEL)


@pytest.fixture
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    running = Nursery(tmp_path_factory.mktemp("pods"))
    yield running
    running.stop()


@pytest.fixture
def paced(server: Server, tmp_path: Path) -> Server:
    server.RequestHandlerClass = type("PacedHere", (Paced,), {"root": tmp_path})
    server.add("/m.gguf", MODEL)
    return server


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_many_stagers_some_killed(paced: Server, nursery: Nursery, tmp_path: Path, seed: int) -> None:
    """Half of the runs know the digest. Each victim is replaced, as the kubelet would."""
    rng = random.Random(seed)
    digest, victims = rng.choice([None, DIGEST]), rng.randint(1, PODS - 1)
    arguments = url_arguments(tmp_path, paced.url("/m.gguf"), digest)
    pods = {f"pod-{n}": nursery.start(f"pod-{n}", arguments) for n in range(PODS)}
    killed = 0
    for name in rng.sample(sorted(pods), victims):
        _until_sent(paced, paced.sent + rng.randint(0, len(MODEL) // victims), tmp_path)
        # Not to wait for anything, but for the moment to be any.
        time.sleep(rng.choice([0, rng.uniform(0, 0.02)]))
        nursery.kill(pods[name])
        killed += nursery.wait(pods[name]) == -9
        pods[name] = nursery.start(name, arguments)
        _nothing_wrong(tmp_path)
    assert {name: nursery.wait(pid) for name, pid in pods.items()} == dict.fromkeys(pods, 0)
    assert {nursery.message(name)["files"][0]["sha256"] for name in pods} == {DIGEST}
    assert (tmp_path / "model.gguf").read_bytes() == MODEL
    _nothing_wrong(tmp_path)
    assert len(MODEL) <= paced.sent <= len(MODEL) + killed * IN_FLIGHT


@pytest.mark.parametrize("seed", range(SEED, SEED + max(RUNS // 3, 1)))
def test_many_stagers_fetch_once(server: Server, nursery: Nursery, tmp_path: Path, seed: int) -> None:
    """At full speed, started in one go."""
    server.add("/m.gguf", MODEL)
    digest = random.Random(seed).choice([None, DIGEST])
    arguments = url_arguments(tmp_path, server.url("/m.gguf"), digest)
    pods = [nursery.start(f"pod-{n}", arguments) for n in range(PODS)]
    assert [nursery.wait(pid) for pid in pods] == [0] * PODS
    assert server.sent == len(MODEL)
    assert len(server.requests) == 1


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_restarts_race_with_collectors(server: Server, nursery: Nursery, tmp_path: Path, seed: int) -> None:
    """The links are old and no list has them; whoever comes first, a pod that started has its file."""
    rng, server_files = random.Random(seed), [gguf_file(1000, name=f"file {n}") for n in range(4)]
    words = []
    for n, data in enumerate(server_files):
        server.add(f"/{n}.gguf", data)
        words.append(url_arguments(tmp_path, server.url(f"/{n}.gguf"), rng.choice([None, sha256(data)]), f"{n}.gguf"))
    assert [nursery.wait(nursery.start("first", each)) for each in words] == [0] * 4
    with httpx.Client() as http:
        World(tmp_path, server, http).age(100_000)
    request = Collect(str(tmp_path), (), int(time.time()), "Delete")
    collector = [msgspec.json.encode(request).decode()]
    started = rng.sample([*((each, "stage") for each in words * 2), *[(collector, "collect")] * 3], 11)
    pids = [nursery.start(f"{program}-{n}", each, program) for n, (each, program) in enumerate(started)]
    assert [nursery.wait(pid) for pid in pids] == [0] * len(pids)
    for n, data in enumerate(server_files):
        assert (tmp_path / f"{n}.gguf").read_bytes() == data


def test_different_files_are_fetched_at_once(server: Server, nursery: Nursery, tmp_path: Path) -> None:
    """Each is held in its middle until the others are there, too."""
    for n in range(3):
        server.add(f"/{n}.gguf", gguf_file(MIB, name=f"file {n}")).faults.append(Fault(hold=2 * MIB))
    pods = []
    for n in range(3):
        arguments = url_arguments(tmp_path, server.url(f"/{n}.gguf"), name=f"{n}.gguf")
        pods.append(nursery.start(f"pod-{n}", arguments))
    until(lambda: server.sent == 6 * MIB, "all three are in their middle")
    server.release.set()
    assert [nursery.wait(pid) for pid in pods] == [0, 0, 0]


def _until_sent(server: Server, count: int, root: Path) -> None:
    until(lambda: server.sent >= count or bool(list(links(root))), f"{count} bytes sent")


def _nothing_wrong(root: Path) -> None:
    for path in root.glob("sha256/*/[!.]*"):
        assert sha256(path.read_bytes()) == path.parent.name
