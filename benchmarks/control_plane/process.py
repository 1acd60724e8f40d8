"""The operator, or the reference, as a process of its own; what it costs is read from /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ground import processes

_TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024

QUIET_SECONDS = 2.0
QUIET_CPU_SECONDS = 0.02
"""A process that needs no more than this in QUIET_SECONDS has nothing to do."""
GIVE_UP_SECONDS = 900.0
END_SECONDS = 60.0

_OPERATOR = (
    "import runpy, sys; sys.modules['kubernetes'] = None; "
    "runpy.run_module('llama_operator', run_name='__main__', alter_sys=True)"
)
"""kopf imports the official client where it finds it. The image has none, and it would cost the operator 19 MiB."""


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def with_env(self, **env: str) -> Side:
        return replace(self, env={**self.env, **env})


OURS = Side("llama-operator", [sys.executable, "-c", _OPERATOR])
"""As it is installed, with the packages that its image has."""
REFERENCE = Side(
    "plain kopf",
    [
        sys.executable,
        "-m",
        "kopf",
        "run",
        "--all-namespaces",
        "--standalone",
        "-m",
        "benchmarks.control_plane.reference",
    ],
)


def cpu_seconds(stat: str) -> float:
    """User and system time of a process, from its /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Process:
    """One run of a side against an API server. Its log is read only if it ends by itself."""

    def __init__(self, handle: subprocess.Popen[bytes], log: Path) -> None:
        self._handle = handle
        self._log = log
        self.since = time.perf_counter()

    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads."""
        return cpu_seconds(self._proc("stat"))

    def rss_mib(self) -> float:
        return self._status("VmRSS")

    def peak_rss_mib(self) -> float:
        return self._status("VmHWM")

    async def quiet(self) -> float:
        """Wait until it has nothing to do; the time (`time.perf_counter`) at which that began."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            since, used = time.perf_counter(), self.cpu_seconds()
            while time.perf_counter() - since < QUIET_SECONDS:
                await asyncio.sleep(0.1)
                now, cpu = time.perf_counter(), self.cpu_seconds()
                if cpu - used > QUIET_CPU_SECONDS:
                    since, used = now, cpu
            return since

    def end(self, number: signal.Signals) -> None:
        """Send the signal, unless it has ended already, and wait until it has."""
        if self._handle.poll() is None:
            self._handle.send_signal(number)
        self._handle.wait(timeout=END_SECONDS)

    def _status(self, field: str) -> float:
        line = next(line for line in self._proc("status").splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) / MIB

    def _proc(self, name: str) -> str:
        if self._handle.poll() is not None:
            raise RuntimeError(f"it has ended with {self._handle.returncode}:\n{self._log.read_text()[-4000:]}")
        return Path(f"/proc/{self._handle.pid}/{name}").read_text()


@contextmanager
def started(side: Side, kubeconfig: Path) -> Iterator[Process]:
    """Start it; it is told to end at the end, if it has not ended by then."""
    with tempfile.NamedTemporaryFile(prefix="operator-", suffix=".log") as log:
        handle = subprocess.Popen(
            side.command,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"operator{os.pathsep}.",
                "PYTHONUNBUFFERED": "1",
                "HOME": str(kubeconfig.parent),
                "KUBECONFIG": str(kubeconfig),
                "STAGE_IMAGE": "operator:1",
                "SERVER_IMAGE_CPU": "server:1",
                "HEALTH_PORT": str(processes.free_ports(1)[0]),
                **side.env,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        process = Process(handle, Path(log.name))
        try:
            yield process
            process.end(signal.SIGTERM)
        finally:
            process.end(signal.SIGKILL)
