"""Real stager processes, as many and as fast as a test wants: forked from one that has everything imported.

Run as a script it reads one JSON array per line. ["start", PROGRAM, LOG, MESSAGE, ARGUMENT…] answers with a process id;
PROGRAM is stage or collect. ["wait", ID] answers with an exit code as `subprocess` has it. A process that has ended
keeps its id until it is waited for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Nursery:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.stage.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )

    def start(self, name: str, arguments: Sequence[str], program: str = "stage") -> int:
        pid = self._ask("start", program, str(self.log(name)), str(self._message(name)), *arguments)
        self._running.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def wait(self, pid: int) -> int:
        self._running.discard(pid)
        return self._ask("wait", pid)

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def message(self, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._message(name).read_bytes())
        return loaded

    def _message(self, name: str) -> Path:
        return self._folder / f"{name}.message"

    def stop(self) -> None:
        for pid in self._running:
            self.kill(pid)
        self._process.communicate()

    def _ask(self, *words: object) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _serve() -> None:
    from llama_operator.stage import cli, collect

    programs = {"stage": cli.main, "collect": collect.main}
    os.fsync = os.fdatasync = lambda fd: None
    for line in sys.stdin:
        verb, *rest = json.loads(line)
        if verb == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1]), flush=True)
            continue
        program, log, message, *arguments = rest
        pid = os.fork()
        if pid == 0:
            os.environ["TERMINATION_LOG"] = message
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            os._exit(programs[program](arguments))
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()
