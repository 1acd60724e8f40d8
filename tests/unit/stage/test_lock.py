"""Locks: one holder, many files at once, deleted lock files, and mounts whose locks are worth nothing."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure
from llama_operator.stage.files import write_note
from llama_operator.stage.gauge import Gauge
from llama_operator.stage.store import mounts
from llama_operator.stage.store.lock import attempt, hold
from llama_operator.stage.store.work import Promise, Work
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, sha256


def never() -> None:
    raise AssertionError("nothing to wait for")


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, never), attempt(path) as second:
        assert second is None
    with attempt(path) as third:
        assert third is not None


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    path, waits = tmp_path / "lock", []
    with ExitStack() as first:
        first.enter_context(hold(path, never))

        def wait() -> None:
            waits.append(1)
            if len(waits) == 3:
                first.close()

        with hold(path, wait):
            assert len(waits) == 3


def test_a_deleted_lock_file_locks_nobody_out_and_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted by its holder between our open and our lock: what we locked has no name any more."""
    path, original = tmp_path / "lock", os.open
    deleted: list[int] = []

    def opened(*arguments: object, **options: object) -> int:
        fd = original(*arguments, **options)  # type: ignore[arg-type]
        if not deleted:
            path.unlink()
            deleted.append(fd)
        return fd

    monkeypatch.setattr(os, "open", opened)
    with hold(path, never), attempt(path) as second:
        assert path.exists()
        assert second is None


def test_different_files_do_not_wait_for_each_other(tmp_path: Path) -> None:
    work = Work(tmp_path, Context(sleep=_no_pause))
    with work.file("a"), work.file("b"), work.volume(), work.idle("a") as a, work.idle("c") as c:
        assert a is None
        assert c is not None


def test_a_restart_waits_for_nobody_and_asks_nobody(stager: Stager, server: Server) -> None:
    """Whatever others do with this very file, and while the source is down."""
    model = gguf_file(1000)
    server.add("/m.gguf", model)
    stager.url(server.url("/m.gguf"))
    server.files.clear()
    stager.sleep = _no_pause
    with Work(stager.root / ".stage", Context()).file(sha256(model)):
        assert stager.url(server.url("/m.gguf")).sha256 == sha256(model)
    assert len(server.requests) == 1


def test_who_waits_says_how_far_the_other_is(tmp_path: Path) -> None:
    """By what is on the disk: an unfinished download has holes."""
    log: list[str] = []
    gauge = Gauge(log.append, monotonic=lambda: 0.0)
    with ExitStack() as first:
        first.enter_context(Work(tmp_path, Context()).file("a"))
        write_note(tmp_path / "a.promise", Promise(8 * MIB))
        with (tmp_path / "a.part").open("wb") as part:
            part.truncate(8 * MIB)
            part.write(bytes(MIB))
        work = Work(tmp_path, Context(log=log.append, sleep=_release(first, tmp_path / "a.part"), gauge=gauge))
        with work.file("a"):
            assert log == ["another pod is staging this file (1.0 MiB so far); waiting for it"]
            assert (gauge.now.phase, gauge.now.bytes, gauge.now.total) == ("waiting", 2 * MIB, 8 * MIB)


def _release(first: ExitStack, part: Path) -> Callable[[float], None]:
    """The pauses of a waiter: another MiB arrives in the first, and the holder ends in the second."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        with part.open("r+b") as file:
            file.seek(MIB)
            file.write(bytes(MIB))
        if len(pauses) == 2:
            first.close()

    return sleep


def _no_pause(seconds: float) -> None:
    raise AssertionError("nobody is waited for")


@pytest.mark.parametrize(
    ("kind", "options", "shared"),
    [
        ("ext4", "rw", True),
        ("ceph", "rw,name=x", True),
        ("nfs4", "rw,vers=4.2,local_lock=none,addr=10.0.0.1", True),
        ("nfs", "rw,vers=3,local_lock=posix", True),
        ("nfs", "rw,vers=3,nolock,local_lock=all", False),
        ("nfs4", "rw,local_lock=flock", False),
        ("cifs", "rw,vers=3.1.1,mfsymlinks", True),
        ("cifs", "rw,vers=3.1.1,nobrl,mfsymlinks", False),
        ("fuse.s3fs", "rw", False),
        ("fuse.juicefs", "rw", True),
        ("fuseblk", "rw", True),
    ],
)
def test_mounts_whose_locks_other_nodes_see(kind: str, options: str, shared: bool) -> None:
    lines = [
        "21 1 8:1 / / rw - fuse.overlayfs root rw",
        f"36 21 0:9 / /the\\040cache rw shared:1 - {kind} src {options}",
    ]
    assert mounts.judge("\n".join(lines), Path("/the cache/.stage")) is shared
    assert mounts.judge("\n".join(reversed(lines)), Path("/the cache/.stage")) is shared
    assert not mounts.judge("\n".join(lines), Path("/the cache of others"))


def test_the_mounts_of_this_machine_can_be_read(tmp_path: Path) -> None:
    assert isinstance(mounts.locks_are_shared(tmp_path), bool)


def test_a_volume_without_locks_gets_a_download_per_pod(
    stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    model = gguf_file(MIB // 2)
    digest = sha256(model)
    stager.policy = type(stager.policy)(attempts=1)
    server.add("/m.gguf", model).always = Fault(cut=MIB)
    for host in ("pod-a", "pod-b"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        with pytest.raises(Failure):
            stager.url(server.url("/m.gguf"), digest)
    assert len(stager.parts()) == 2
    server.files["/m.gguf"].always = None
    assert stager.url(server.url("/m.gguf"), digest).sha256 == digest
