"""Run other programs so that a person can follow: one line per step, the log's tail when a step fails.

Progress goes to stderr; stdout belongs to what a command was asked for.
"""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TAIL_LINES = 30
HEARTBEAT_SECONDS = 30.0

Command = Sequence[str | Path]


class GroundError(Exception):
    """Something a person has to know; printed without a traceback."""


class CommandError(GroundError):
    """A program ended with a status other than 0; `tail` holds the last lines it wrote."""

    def __init__(self, command: Command, status: int, tail: str, log: Path | None = None) -> None:
        self.command = tuple(str(word) for word in command)
        self.status = status
        self.tail = tail
        self.log = log
        where = f"\nwhole log: {log}" if log else ""
        super().__init__(f"{shlex.join(self.command)}: exit status {status}\n{tail}{where}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done and, at its end, how many seconds it took; every 30 s that it still runs."""
    begin = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            _say(f"  .. {title}: {time.monotonic() - begin:.0f} s so far")

    pulse = threading.Thread(target=beat, daemon=True)
    pulse.start()
    mark = "failed"
    try:
        yield
        mark = "ok"
    finally:
        ended.set()
        pulse.join()
        _say(f"{time.monotonic() - begin:6.1f} s  {mark:<6}  {title}")


def say(text: str) -> None:
    """Tell the person something that is not a step."""
    _say(text)


def run(
    command: Command,
    *,
    log: Path,
    title: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> None:
    """Run a program, append all it writes to `log`; with `title` as a step of its own.

    `env` is added to the environment, `timeout` is in seconds. Raises CommandError with the last 30 lines.
    """
    if title is not None:
        with step(title):
            run(command, log=log, env=env, cwd=cwd, stdin=stdin, timeout=timeout)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {shlex.join(map(str, command))}\n".encode())
        stream.flush()
        start = stream.tell()
        status = _status(command, stream.fileno(), env, cwd, stdin, timeout)
    if status != 0:
        raise CommandError(command, status, tail(log, start), log)


def output(
    command: Command,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program and return what it writes to stdout. Raises CommandError with the end of its stderr."""
    done = subprocess.run(
        command, env=_environment(env), cwd=cwd, input=stdin, timeout=timeout, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise CommandError(command, done.returncode, last_lines(done.stderr))
    return done.stdout


def succeeds(command: Command, *, env: Mapping[str, str] | None = None, timeout: float | None = None) -> bool:
    """Whether a program ends with status 0 in time; for questions, whose answer may well be no."""
    try:
        done = subprocess.run(
            command, env=_environment(env), timeout=timeout, capture_output=True, stdin=subprocess.DEVNULL
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def tail(log: Path, start: int = 0) -> str:
    """The last 30 lines of a log, of what lies behind the byte offset `start`."""
    with log.open("rb") as stream:
        stream.seek(start)
        return last_lines(stream.read().decode(errors="replace"))


def last_lines(text: str) -> str:
    """The last 30 lines of a text."""
    return "\n".join(text.rstrip("\n").split("\n")[-TAIL_LINES:])


def _status(
    command: Command,
    sink: int,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdin: str | None,
    timeout: float | None,
) -> int:
    # Without input the program gets none: a question on the terminal would wait unseen.
    source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            command, stdout=sink, stderr=sink, env=_environment(env), cwd=cwd, text=True, timeout=timeout, **source
        )
    except subprocess.TimeoutExpired:
        os.write(sink, f"not finished after {timeout} s\n".encode())
        return 124
    return int(done.returncode)


def _environment(env: Mapping[str, str] | None) -> dict[str, str] | None:
    return {**os.environ, **env} if env else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
