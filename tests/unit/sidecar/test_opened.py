"""What the kernel tells of a process: of real ones, and of devices that this machine need not have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llama_operator.api.sidecar import MOST_DEVICES
from llama_operator.sidecar import opened
from llama_operator.sidecar.judge import Process
from tests.polling import eventually

DIGEST, OTHER = "ab" * 32, "cd" * 32
MAPS = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    kept = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print("up", flush=True)
sys.stdin.read()
"""
READS = """
import sys
open(sys.argv[1], "rb").read()
print("up", flush=True)
sys.stdin.read()
"""
GONE = Process(2**22 + 1, 0)
"""No process has such a number."""

Run = Callable[[str, Path], Process]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a program that has read, or mapped, the file with this path."""
    started = []

    def start(program: str, path: Path) -> Process:
        command = [sys.executable, "-c", program, str(path)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout
        assert started[-1].stdout.readline() == b"up\n"
        return Process(started[-1].pid, 0)

    yield start
    for each in started:
        with each:
            each.kill()


def staged(root: Path, digest: str = DIGEST, link: str = "model.gguf", name: str = "a model.gguf") -> Path:
    """A link that leads to a file, as the stager leaves them."""
    file = root / "sha256" / digest / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"GGUF")
    place = root / link
    place.unlink(missing_ok=True)
    place.symlink_to(file.relative_to(root))
    return place


def test_the_digest_of_a_file_that_is_mapped(tmp_path: Path, run: Run) -> None:
    path = staged(tmp_path)
    assert opened.digest(run(MAPS, path), str(path)) == DIGEST


def test_not_of_one_that_the_link_leads_to_only_now(tmp_path: Path, run: Run) -> None:
    path = staged(tmp_path)
    process = run(MAPS, path)
    staged(tmp_path, OTHER)
    assert opened.digest(process, str(path)) == ""


def test_not_of_another_file_that_is_mapped_as_well(tmp_path: Path, run: Run) -> None:
    """A draft model."""
    path = staged(tmp_path)
    assert opened.digest(run(MAPS, staged(tmp_path, OTHER, "draft.gguf")), str(path)) == ""


@pytest.mark.parametrize("name", ["model.gguf", "sha256/x/model.gguf", f"sha256/{DIGEST}/deep/model.gguf"])
def test_not_of_a_file_that_no_stager_has_named(tmp_path: Path, run: Run, name: str) -> None:
    file, link = tmp_path / "files" / name, tmp_path / "files" / "link.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"GGUF")
    link.symlink_to(name)
    for path in (file, link):
        assert opened.digest(run(MAPS, path), str(path)) == ""


def test_not_of_a_part(tmp_path: Path, run: Run) -> None:
    path = staged(tmp_path, link="model-00001-of-00002.gguf")
    assert opened.digest(run(MAPS, path), str(path)) == ""


def test_not_of_a_file_that_was_only_read(tmp_path: Path, run: Run) -> None:
    path = staged(tmp_path)
    assert opened.digest(run(READS, path), str(path)) == ""


def test_a_process_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    path = staged(tmp_path)
    assert opened.digest(GONE, str(path)) == ""
    assert opened.devices(GONE) is None


def test_a_process_without_a_device(tmp_path: Path, run: Run) -> None:
    assert opened.devices(run(MAPS, staged(tmp_path))) == ()


def has_open(proc: Path, *paths: str) -> Process:
    """A process with these files open, as /proc has it."""
    handles = proc / "7" / "fd"
    handles.mkdir(parents=True)
    for number, path in enumerate(paths):
        (handles / str(number)).symlink_to(path)
    return Process(7, 0)


def test_devices_of_several_makers(tmp_path: Path) -> None:
    process = has_open(
        tmp_path,
        *("/dev/null", "socket:[1]", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia10", "/dev/nvidia0"),
        *("/dev/nvidia0", "/dev/kfd", "/dev/dri/renderD128", "/dev/dri/card0", "/home/dev/nvidia1", "/dev/dxg"),
    )
    assert opened.devices(process, tmp_path) == (
        *("/dev/dri/renderD128", "/dev/dxg", "/dev/kfd", "/dev/nvidia0", "/dev/nvidia10"),
    )


def test_who_only_asks_for_devices_has_none(tmp_path: Path) -> None:
    assert opened.devices(has_open(tmp_path, "/dev/nvidiactl", "/dev/nvidia-uvm"), tmp_path) == ()


def test_not_more_devices_than_are_believed(tmp_path: Path) -> None:
    process = has_open(tmp_path, *(f"/dev/nvidia{n}" for n in range(3 * MOST_DEVICES)))
    found = opened.devices(process, tmp_path)
    assert found
    assert len(found) == MOST_DEVICES


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("rights", ["--reuid=65533", "--reuid=65534 --inh-caps=+net_raw --ambient-caps=+net_raw"])
def test_a_process_that_may_do_more_tells_nothing(rights: str) -> None:
    """Of another user, or with a capability: then the numbers of its files may be seen, and not where they lead. That
    is not to have no device."""
    look = (
        "import os, sys; from llama_operator.sidecar import opened, judge; os.setuid(65534)\n"
        "print(opened.devices(judge.Process(int(sys.argv[1]), 0)))"
    )
    with subprocess.Popen(["setpriv", *rights.split(), "cat"], stdin=subprocess.PIPE) as process:
        eventually(lambda: _is_called(process.pid, "cat"))
        done = subprocess.run([sys.executable, "-c", look, str(process.pid)], capture_output=True, check=True)
        process.kill()
    assert done.stdout == b"None\n"


def _is_called(pid: int, name: str) -> None:
    assert Path(f"/proc/{pid}/comm").read_text().strip() == name
