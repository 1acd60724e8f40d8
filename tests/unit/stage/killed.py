"""A stager in a process of its own, forked from one that has imported everything: it is there at once, and killed at
any moment. And a server that kills it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from llama_operator.stage.context import Context, Policy
from llama_operator.stage.transfer.pace import Pace
from tests.unit.stage.ranges import Ask, RangeServer, Reply
from tests.unit.stage.support import Stager


def start(root: Path, url: str, chunk: int, connections: int) -> BaseProcess:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    process = forks.Process(target=_download, args=(root, url, chunk, connections))
    process.start()
    return process


def _download(root: Path, url: str, chunk: int, connections: int) -> None:
    """Nothing is flushed: a kill does not touch the page cache."""
    for name in ("fsync", "fdatasync"):
        setattr(os, name, lambda fd: None)
    begin = Pace.__init__

    def eager(pace: Pace, context: Context) -> None:
        begin(pace, context)
        pace.wanted = connections

    setattr(Pace, "__init__", eager)  # noqa: B010 (mypy does not allow the plain way)
    Stager(root, policy=Policy(chunk_bytes=chunk)).url(url)


class Executioner:
    """Lets each answer have one step on its way, so that what is under way is known; kills at a byte of the traffic."""

    def __init__(self, server: RangeServer, root: Path, chunk: int) -> None:
        self._server, self._parts, self._chunk = server, root / ".stage", chunk
        self._victim: int | None = None
        self._at = 0
        server.twist = self._twist

    def aim(self, process: BaseProcess, at: int) -> None:
        """Kill it when `at` bytes have been sent in all."""
        with self._server.changed:
            self._victim, self._at = process.pid, at
            self._server.changed.notify_all()

    def spare(self, process: BaseProcess) -> None:
        self.aim(process, 1 << 62)

    def present(self) -> list[int]:
        """What the map on the disk says; nothing while there is none."""
        for path in self._parts.glob("*.map"):
            raw = path.read_bytes()
            return [count for (count,) in struct.iter_unpack("<Q", raw[: len(raw) // 8 * 8])]
        return []

    def _twist(self, ask: Ask, reply: Reply) -> Reply:
        return replace(reply, before=lambda sent: self._step(ask, sent))

    def _step(self, ask: Ask, sent: int) -> None:
        server = self._server
        server.wait(lambda: self._victim is not None)
        with server.changed:
            if server.sent >= self._at and self._victim is not None:
                os.kill(self._victim, signal.SIGKILL)
                self._victim = None
                raise ConnectionAbortedError
        while not ask.gone() and self._victim is not None:
            if not sent or self._arrived(ask.start + sent):
                return
            time.sleep(0.0002)  # there is no other way to hear of another process's write
        raise ConnectionAbortedError

    def _arrived(self, offset: int) -> bool:
        number, rest = divmod(offset - 1, self._chunk)
        here = self.present()
        return number < len(here) and here[number] > rest
