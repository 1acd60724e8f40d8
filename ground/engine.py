"""A Docker engine of the project's own, for machines that have none or no image registry.

It is Debian's: a root file system with docker.io in it, in network, mount, pid and ipc namespaces of its own. The
host's files, networks, firewall and any other engine stay as they are; with the engine's first process everything
in it ends. Only the cgroups have no namespace to end with and are removed by hand.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ground import packages, paths, rootfs, shell

# trixie: bookworm's dockerd 20.10 demands all known capabilities for a privileged container and fails where root
# lacks one (CAP_SYS_RESOURCE in some virtual machines); 26.1 takes those that exist. Its libraries come with it.
SUITE = "trixie"
PACKAGES = ("docker.io", "containerd", "docker-cli", "iproute2", "iptables", "kmod", "runc", "util-linux")

STATE = paths.STATE / "engine"
INIT = Path(__file__).with_name("engine-init.sh")
SOCKET = STATE / "docker.sock"
PID_FILE = STATE / "pid"
LOG = paths.LOGS / "engine.log"
CGROUP = f"llama-operator-{paths.content_key(extra=[str(STATE)])[:8]}"
"""Of this checkout: another one may have an engine at the same time."""

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05


def docker_env() -> dict[str, str]:
    """Environment that turns docker's and kind's commands to this engine."""
    return {"DOCKER_HOST": f"unix://{SOCKET}", "PATH": f"{_tools()}:{os.environ['PATH']}"}


def pid() -> int | None:
    """The host's number of the engine's first process, dockerd; None when it does not run."""
    return child(PID_FILE, str(paths.STATE))


def child(pid_file: Path, word: str) -> int | None:
    """The child of the process whose number is in a file; None when it does not run.

    After a reboot the number may be another program's: `word` has to be on its command line.
    """
    try:
        outer = int(pid_file.read_text())
        command = Path(f"/proc/{outer}/cmdline").read_bytes().split(b"\0")
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return int(children[0]) if word.encode() in command and children else None


def start() -> bool:
    """Have the engine running and answering; whether it had to be started. Needs root."""
    if pid() is not None and _answers():
        return False
    stop()
    root = _root()
    (STATE / "data").mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with shell.step("start the Docker engine"), LOG.open("wb") as log:
        process = subprocess.Popen(
            [*_namespaces(), "sh", str(INIT), str(root), str(paths.STATE), CGROUP],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt of the terminal is not for the engine
        )
        PID_FILE.write_text(f"{process.pid}\n")
        _await_answer(process)
    return True


def stop() -> None:
    """End the engine and everything in it; nothing happens when there is nothing to end."""
    inner = pid()
    if inner is not None:
        with shell.step("stop the Docker engine"):
            outer = int(PID_FILE.read_text())
            os.kill(inner, signal.SIGTERM)
            if not await_end(outer):
                os.kill(inner, signal.SIGKILL)  # the first process of the pid namespace: all others go with it
                if not await_end(outer):
                    raise shell.GroundError(f"the engine (process {inner}) does not end")
    _remove_cgroups()
    PID_FILE.unlink(missing_ok=True)
    SOCKET.unlink(missing_ok=True)


def inside(*namespaces: str) -> list[str]:
    """Prefix of a command that is to run in the engine's namespaces (nsenter's words: net, pid, ...)."""
    target = pid()
    if target is None:
        raise shell.GroundError("the engine does not run: python -m ground up")
    return ["nsenter", f"--target={target}", *(f"--{name}" for name in namespaces)]


def _namespaces() -> list[str]:
    packages.require("unshare")
    return ["unshare", "--net", "--mount", "--propagation=private", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]


def _root() -> Path:
    """The engine's root file system, unpacked; an older one is removed."""
    archive = rootfs.archive(SUITE, PACKAGES)
    root = STATE / "root" / archive.stem
    if root.exists():
        return root
    shutil.rmtree(root.parent, ignore_errors=True)
    part = root.with_suffix(".part")
    part.mkdir(parents=True)
    command = ["tar", "-C", str(part), "--exclude=./dev/*", "-xpf", str(archive)]
    shell.run(command, log=LOG, title="unpack the Docker engine")
    part.rename(root)
    return root


def _tools() -> Path:
    """A folder with a docker command: Debian's, called with the libraries it was built with."""
    roots = sorted((STATE / "root").glob("*-*"))
    if not roots:
        raise shell.GroundError("the engine has not been set up: python -m ground up")
    root = roots[-1]
    tools = STATE / "bin"
    libraries = root / "usr/lib/x86_64-linux-gnu"
    script = f'#!/bin/sh\nexec {libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {root}/usr/bin/docker "$@"\n'
    docker = tools / "docker"
    if not docker.exists() or docker.read_text() != script:
        tools.mkdir(parents=True, exist_ok=True)
        docker.write_text(script)
        docker.chmod(0o755)
    return tools


def _answers() -> bool:
    return shell.succeeds(["docker", "version"], env=docker_env(), timeout=10)


def _await_answer(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (SOCKET.exists() and _answers()):
        status = process.poll()
        if status is not None or time.monotonic() > deadline:
            raise shell.CommandError(["dockerd"], status or 124, shell.tail(LOG), LOG)
        time.sleep(POLL_SECONDS)


def await_end(process: int) -> bool:
    """Wait until a process has ended, at most 30 s; whether it has."""
    deadline = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{process}").exists() and not _is_zombie(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _is_zombie(process: int) -> bool:
    """Whether it has ended and only waits to be asked how; so it is when this very program started it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _cgroups() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [path for path in (root / CGROUP, *root.glob(f"*/{CGROUP}")) if path.is_dir()]


def _remove_cgroups() -> None:
    for top in _cgroups():
        folders = [path for path in top.rglob("*") if path.is_dir()]
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            folder.rmdir()
        top.rmdir()
