"""Server processes for the length of a `with`: started by name from the one kube binary, ended for certain."""

import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ground import shell

LOOPBACK = "127.0.0.1"
READY_SECONDS = 90.0
POLL_SECONDS = 0.05


class Process:
    """A running server and the file that it logs to."""

    def __init__(self, name: str, command: Sequence[str], home: Path) -> None:
        self.name = name
        self.log = home / f"{name}.log"
        self._command = command
        self._home = home
        self.handle = self._start()

    def restart(self) -> None:
        """Kill it and run the same command again; what both log is in the same file.

        To be called by a thread that lives as long as the server shall (see `started`).
        """
        self.kill()
        self.handle = self._start()

    def kill(self) -> None:
        self.handle.kill()
        self.handle.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as sink:
            # A session of its own: Ctrl-C is for us, and we end it in our order.
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self._home,
                start_new_session=True,
            )


@contextmanager
def started(program: Path, name: str, flags: Sequence[str], home: Path) -> Iterator[Process]:
    """Run a multi-call program under a name, logging into `home`.

    It is killed at the end: what it holds is thrown away anyhow. The kernel kills it as well when the thread that
    started it dies, so that not even a killed test run leaves a server behind.
    """
    link = home / "bin" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(program)
    process = Process(name, ["setpriv", "--pdeathsig=KILL", "--", str(link), *flags], home)
    try:
        yield process
    finally:
        process.kill()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody has at this moment."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in taken]


def wait_until_answered(server: Process, url: str, wanted: Sequence[str], token: str, authority: Path) -> None:
    """Wait until GET of every path is answered with 200. Raises GroundError when `server` ends or time is up."""
    end = time.monotonic() + READY_SECONDS
    open_paths = list(wanted)
    while open_paths:
        if server.handle.poll() is not None:
            raise shell.GroundError(f"{server.name} has ended:\n{shell.tail(server.log)}")
        if time.monotonic() > end:
            raise shell.GroundError(
                f"{url}{open_paths[0]} is not there after {READY_SECONDS:.0f} s:\n{shell.tail(server.log)}"
            )
        if authority.exists() and _answers(f"{url}{open_paths[0]}", token, authority):
            open_paths.pop(0)
        else:
            time.sleep(POLL_SECONDS)


def _answers(url: str, token: str, authority: Path) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        trust = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(request, timeout=5, context=trust) as reply:
            return bool(reply.status == 200)
    except (OSError, ssl.SSLError):
        return False  # not yet: nobody listens, no certificate, or an HTTP status that says so
