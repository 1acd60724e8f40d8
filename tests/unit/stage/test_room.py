"""Room is promised once, given back, and never taken from somebody who works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.store.room import RESERVE, Room, drop_idle
from llama_operator.stage.store.work import Work
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager

FREE = 100 * MIB


class Pods:
    """Downloads on one volume, each with its lock held for as long as the test wants."""

    def __init__(self, root: Path) -> None:
        self.work = Work(root / ".stage", Context(log=self.note))
        self.published = root / "sha256"
        self.log: list[str] = []
        self._locks = {key: ExitStack() for key in ("a", "b", "c")}
        for folder in (self.work.folder, self.published / "x"):
            folder.mkdir(parents=True)

    def note(self, line: str) -> None:
        self.log.append(line)

    def begin(self, key: str, needed: int, *, quota: int = 0, has: int = 0) -> None:
        self._locks[key].enter_context(self.work.file(key))
        if has:
            self.work.path(key, ".part").write_bytes(bytes(has))
        Room(self.work, self.published, quota, self.note).require(needed, keep=self.work.path(key, ".part"))

    def end(self, key: str) -> None:
        self._locks[key].close()

    def stop(self) -> None:
        for lock in self._locks.values():
            lock.close()


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    made = Pods(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that has FREE bytes beside what the downloads have on it."""

    def statvfs(path: object) -> SimpleNamespace:
        used = sum(p.stat().st_blocks * 512 for p in (tmp_path / ".stage").glob("*.part"))
        return SimpleNamespace(f_bavail=(FREE - used) // 512, f_frsize=512)

    monkeypatch.setattr(os, "statvfs", statvfs)


@pytest.mark.usefixtures("disk")
def test_the_same_room_is_not_promised_twice(pods: Pods) -> None:
    pods.begin("a", 60 * MIB)
    with pytest.raises(Failure, match=r"needs 61.0 MiB more.*60.0 MiB are promised to 1 downloads") as caught:
        pods.begin("b", 60 * MIB)
    assert (caught.value.reason, caught.value.need) == (Reason.DISK_FULL, 61 * MIB)
    pods.end("a")
    pods.begin("c", 60 * MIB)


@pytest.mark.usefixtures("disk")
def test_what_a_download_has_already_is_not_counted_again(pods: Pods) -> None:
    """60 MiB in all, 40 of them on the disk: 20 to come."""
    pods.begin("a", 20 * MIB, has=40 * MIB)
    pods.begin("b", 39 * MIB)
    with pytest.raises(Failure):
        pods.begin("c", 1)


@pytest.mark.usefixtures("disk")
def test_only_downloads_of_nobody_give_way(pods: Pods) -> None:
    pods.begin("a", 10 * MIB, has=40 * MIB)
    pods.begin("b", 0, has=30 * MIB)
    pods.end("b")
    pods.begin("c", 48 * MIB)
    assert pods.work.path("a", ".part").exists()
    assert not pods.work.path("b", ".part").exists()
    assert pods.log == ["dropping an unfinished download of 30.0 MiB"]


@pytest.mark.usefixtures("disk")
def test_no_more_gives_way_than_is_needed(pods: Pods) -> None:
    for key in ("a", "b"):
        pods.begin(key, 0, has=40 * MIB)
        pods.end(key)
    os.utime(pods.work.path("b", ".lock"), (0, 0))
    pods.begin("c", 30 * MIB)
    assert [pods.work.path(key, ".part").exists() for key in ("a", "b")] == [True, False]


def test_the_quota_counts_what_is_there_and_what_will_be(pods: Pods) -> None:
    (pods.published / "x" / "m.gguf").write_bytes(bytes(10 * MIB))
    pods.begin("a", 20 * MIB, quota=50 * MIB)
    with pytest.raises(Failure) as caught:
        pods.begin("b", 21 * MIB, quota=50 * MIB)
    assert (caught.value.reason, caught.value.need) == (Reason.QUOTA_EXCEEDED, 21 * MIB)
    assert caught.value.message == (
        "the file needs 21.0 MiB, but of the cache's 50.0 MiB 10.0 MiB are used by 1 files, 20.0 MiB are promised to "
        "1 downloads; raise spec.storage.cache.quota, or delete models that use the cache"
    )
    pods.begin("c", 20 * MIB, quota=50 * MIB)


def test_a_length_that_nobody_told_counts_before_it_is_published(pods: Pods) -> None:
    pods.begin("a", 0)
    part = pods.work.path("a", ".part")
    part.write_bytes(bytes(10 * MIB))
    with pytest.raises(Failure) as caught:
        Room(pods.work, pods.published, 9 * MIB, pods.note).settle(part)
    assert caught.value.reason is Reason.QUOTA_EXCEEDED
    Room(pods.work, pods.published, 11 * MIB, pods.note).settle(part)
    assert pods.work.promised("a") == 10 * MIB


def test_a_volume_that_somebody_else_fills_keeps_what_is_here(
    stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of the kernel becomes a reason, with the bytes that are missing."""
    model = gguf_file(2 * MIB)
    server.add("/m.gguf", model)
    original = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if offset >= 4 * MIB:
            raise OSError(28, "No space left on device")
        return original(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(Failure, match="the volume is full") as caught:
        stager.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.DISK_FULL
    kept = stager.parts()[0].stat().st_blocks * 512
    assert kept >= 4 * MIB
    assert caught.value.need == max(len(model) - kept, RESERVE)
    monkeypatch.setattr(os, "pwrite", original)
    assert stager.url(server.url("/m.gguf")).bytes == len(model)
    assert "Range" in server.gets()[1].headers


def test_a_full_disk_is_seen_before_the_first_byte(stager: Stager, server: Server, small: Stager) -> None:
    data = gguf_file(2 * MIB)
    server.add("/m.gguf", data)
    with pytest.raises(Failure, match="the file needs") as caught:
        small.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.DISK_FULL
    assert small.parts()[0].stat().st_size == 0


def test_a_disk_that_fills_up_is_full_too(server: Server, small: Stager) -> None:
    """Without a length nothing can be seen before."""
    server.add("/m.gguf", gguf_file(2 * MIB), length=False)
    with pytest.raises(Failure, match="volume is full") as caught:
        small.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.DISK_FULL
    assert small.parts()[0].stat().st_size > MIB


def test_unfinished_downloads_give_way(server: Server, small: Stager) -> None:
    small.policy = type(small.policy)(attempts=1)
    server.add("/old.gguf", gguf_file(MIB // 2, name="old")).always = Fault(cut=MIB)
    server.add("/m.gguf", gguf_file(MIB // 2))
    with pytest.raises(Failure):
        small.url(server.url("/old.gguf"))
    (old,) = small.parts()
    (small.root / "filler").write_bytes(bytes(MIB // 2))
    assert small.url(server.url("/m.gguf")).bytes == len(gguf_file(MIB // 2))
    assert not old.exists()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Stager]:
    """A volume of 4 MiB that is really full when it is full."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", root], check=True)
    yield Stager(root)
    subprocess.run(["umount", root], check=True)


def test_a_download_that_was_taken_up_again_is_not_dropped(pods: Pods) -> None:
    """Between the survey, which found it idle, and the deletion."""
    pods.begin("a", 0, has=MIB)
    assert drop_idle(pods.work, ("a",), pods.note) == (0, 0)
    pods.end("a")
    assert drop_idle(pods.work, ("a",), pods.note) == (1, MIB)
