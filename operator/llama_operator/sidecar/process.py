"""Find llama-server among the processes of the pod, read what it uses, and end it.

The pod's containers share one process namespace and one user, so all of that is allowed to a process without any
rights. An image may start llama-server through an init or a shell, and call it what it likes: it is the process with
the port in its arguments, that has no child with them.

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from llama_operator.sidecar.judge import Process, Thread

_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _USER, _SYSTEM, _STARTED = 0, 1, 11, 12, 19
"""Fields of a stat file, counted behind the name of the program."""


@dataclass(frozen=True)
class Found:
    """llama-server's process, and its arguments."""

    process: Process
    arguments: tuple[str, ...]


def find(port: int, proc: Path = Path("/proc")) -> Found | None:
    """None if there is none, or no one process."""
    candidates = _candidates(port, proc)
    parents = {parent for parent, _ in candidates.values()}
    leaves = [found for pid, (_, found) in candidates.items() if pid not in parents]
    return leaves[0] if len(leaves) == 1 else None


def alive(port: int) -> bool:
    """Whether there is any."""
    return bool(_candidates(port, Path("/proc")))


def _candidates(port: int, proc: Path) -> dict[int, tuple[int, Found]]:
    """Processes with this port in their arguments by their numbers, each behind its parent's number."""
    candidates: dict[int, tuple[int, Found]] = {}
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = tuple((folder / "cmdline").read_bytes().decode(errors="replace").split("\0"))
            if not _has(words, "--port", str(port)):
                continue
            fields = _stat(folder / "stat")
        except OSError:
            continue  # it has just ended
        pid = int(folder.name)
        candidates[pid] = (int(fields[_PARENT]), Found(Process(pid, int(fields[_STARTED])), words))
    return candidates


def main_thread(process: Process, proc: Path = Path("/proc")) -> Thread | None:
    """None if the process has ended."""
    folder = proc / str(process.pid)
    try:
        fields, thread = _stat(folder / "stat"), _stat(folder / "task" / str(process.pid) / "stat")
    except OSError:
        return None
    if int(fields[_STARTED]) != process.started:
        return None
    seconds = (int(thread[_USER]) + int(thread[_SYSTEM])) / _TICKS
    return Thread(process, seconds, disk=thread[_STATE] == "D")


def end(process: Process) -> None:
    """One that hangs takes no other signal. Raises OSError when it may not."""
    if main_thread(process):
        os.kill(process.pid, signal.SIGKILL)


def _stat(path: Path) -> list[str]:
    return path.read_text(errors="replace").rpartition(")")[2].split()


def _has(words: tuple[str, ...], flag: str, value: str) -> bool:
    return any(words[i : i + 2] == (flag, value) for i in range(len(words) - 1))
