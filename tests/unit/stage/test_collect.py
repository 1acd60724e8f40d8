"""What a collection removes, and what it leaves; its interleavings with stagers are in test_cache_model."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from llama_operator.api.staging import MARGIN_SECONDS, Collect, Collected
from llama_operator.stage.collect import parse
from llama_operator.stage.failures import Failure, Reason
from tests.gguf_files import gguf_file
from tests.unit.stage.steps import Killed, kill, stopped
from tests.unit.stage.support import Server
from tests.unit.stage.world import Source, World

DAY = 86_400.0
A, B, C = (Source(f"/{n}.gguf", gguf_file(1000, name=f"file {n}"), True) for n in "abc")
SIZE = len(A.data)


@pytest.fixture
def world(tmp_path: Path, server: Server) -> Iterator[World]:
    with httpx.Client() as http:
        made = World(tmp_path, server, http)
        for source in (A, B, C):
            server.add(source.path, source.data)
        yield made


def staged(world: World, *sources: Source, age: float = DAY) -> None:
    for source in sources:
        world.stage(source)
        world.age(age)
    world.pods.clear()


def names(world: World) -> list[str]:
    return [path.name for path in world.published()]


def test_what_is_in_use_stays_and_the_rest_goes(world: World) -> None:
    staged(world, A, B)
    world.models["a"] = A
    assert world.collect(*world.in_use()) == Collected(links=1, files=1, downloads=0, bytes=SIZE, missing=0)
    assert names(world) == ["a.gguf"]
    assert (world.root / A.link).read_bytes() == A.data
    assert not (world.root / B.link).is_symlink()


def test_a_pod_that_still_exists_keeps_the_file_of_a_deleted_model(world: World) -> None:
    world.stage(A)
    world.age(DAY)
    world.collect(*world.in_use())
    world.check()
    assert names(world) == ["a.gguf"]


def test_two_links_to_one_file(world: World) -> None:
    mirror = Source("/mirror.gguf", A.data, True)
    world.server.add(mirror.path, mirror.data)
    staged(world, A, mirror)
    world.models["a"] = mirror
    assert world.collect(*world.in_use()).links == 1
    assert names(world) == ["a.gguf"]
    assert (world.root / mirror.link).read_bytes() == A.data


@pytest.mark.parametrize("ahead", [-DAY, 0.0, DAY])
def test_a_list_from_before_a_model_existed(world: World, ahead: float) -> None:
    """Whatever the operator's clock says: the file server's has to agree that the link is old."""
    live, as_of = world.in_use()
    staged(world, A, age=0)
    assert world.collect(live, int(as_of + ahead)).links == 0
    assert (world.root / A.link).read_bytes() == A.data


def test_a_list_that_waited_for_two_days(world: World) -> None:
    """A model that is younger than the list is not in it, and may be a day old."""
    staged(world, A, age=DAY)
    assert world.collect((), int(time.time() - 2 * DAY)).links == 0
    assert (world.root / A.link).read_bytes() == A.data


def test_a_restart_protects_a_link_that_an_old_list_lacks(world: World) -> None:
    """Nothing is downloaded, and still it counts as staged."""
    staged(world, A, age=DAY)
    stale, as_of = (), int(time.time())
    world.stage(A)
    world.collect(stale, as_of)
    world.check()
    assert len(world.server.requests) == 1


def test_without_need_unused_files_are_kept(world: World) -> None:
    staged(world, A, B)
    assert world.collect((), int(time.time()), delete=False) == Collected(
        links=2, files=0, downloads=0, bytes=0, missing=0
    )
    assert sorted(names(world)) == ["a.gguf", "b.gguf"]
    world.stage(A)
    assert len(world.server.requests) == 2


def test_only_as_much_goes_as_is_needed_the_least_recently_staged_first(world: World) -> None:
    staged(world, A, B, C)
    staged(world, A)
    world.quota = 3 * SIZE
    done = world.collect((), int(time.time()), delete=False, need=SIZE)
    assert (done.files, done.missing) == (1, 0)
    assert sorted(names(world)) == ["a.gguf", "c.gguf"]


def test_what_is_missing_is_told(world: World) -> None:
    staged(world, A, B)
    world.models["a"] = A
    world.quota = 2 * SIZE
    done = world.collect(*world.in_use(), delete=False, need=2 * SIZE)
    assert done.files == 1
    assert 0 < done.missing <= SIZE


def test_room_on_the_disk_counts_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(world, A, B)
    free = os.statvfs(world.root)
    need = free.f_bavail * free.f_frsize + (1 << 40)
    assert world.collect((), int(time.time()), delete=False, need=need).files == 2


def test_files_of_others_are_left_alone(world: World) -> None:
    staged(world, A)
    (world.root / "links" / "mine.gguf").write_bytes(b"mine")
    (world.root / "elsewhere").symlink_to("/etc/passwd")
    (world.root / "sha256" / "notes").mkdir()
    world.age(DAY)
    world.collect((), int(time.time()))
    assert (world.root / "links" / "mine.gguf").read_bytes() == b"mine"
    assert (world.root / "elsewhere").is_symlink()
    assert (world.root / "sha256" / "notes").is_dir()
    assert names(world) == []


def test_an_unfinished_download_is_kept_for_a_day(world: World) -> None:
    part = world.root / ".stage" / f"{'0' * 64}.part"
    world.store()
    part.write_bytes(bytes(1 << 20))
    world.age(DAY / 2)
    assert world.collect((), int(time.time())).downloads == 0
    world.age(DAY)
    done = world.collect((), int(time.time()))
    assert (done.downloads, done.bytes >= 1 << 20) == (1, True)


def test_a_download_that_goes_on_is_never_old(world: World) -> None:
    key, store = "0" * 64, world.store()
    part = world.root / ".stage" / f"{key}.part"
    with store.work.file(key):
        part.write_bytes(b"x")
        world.age(2 * DAY)
        assert world.collect((), int(time.time())).downloads == 0
    assert part.exists()


def test_any_step_may_be_the_last(world: World) -> None:
    """Killed at every change in turn; in the end it is as if it had run once."""
    for step in range(200):
        staged(world, A, B)
        world.models["a"] = A
        try:
            with stopped(step, kill):
                world.collect(*world.in_use())
            break
        except Killed:
            world.age(DAY)
            assert (world.root / A.link).read_bytes() == A.data
            world.collect(*world.in_use())
            assert names(world) == ["a.gguf"]
    assert step > 5


def test_without_locks_nothing_is_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(world, A)

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(Failure, match="no locks") as caught:
        world.collect((), int(time.time()))
    assert caught.value.reason is Reason.STAGING_FAILED
    assert names(world) == ["a.gguf"]


def test_links_in_a_folder_that_cannot_be_read_for_sure_stop_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error while links are counted must not look like no links."""
    staged(world, A)
    original = os.scandir

    def broken(path: object) -> object:
        if str(path).endswith("/links"):
            raise OSError(errno.EIO, "Input/output error")
        return original(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(OSError, match="Input/output"):
        world.collect((), int(time.time()))
    assert names(world) == ["a.gguf"]


def test_a_list_longer_than_one_argument(world: World) -> None:
    request = Collect(str(world.root), tuple(f"links/model-{n}.gguf" for n in range(5000)), 1, "Delete")
    raw = msgspec.json.encode(request).decode()
    assert parse([raw[at : at + 100_000] for at in range(0, len(raw), 100_000)]) == request


def test_the_command(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    staged(world, A, age=MARGIN_SECONDS + 5)
    message = tmp_path_factory.mktemp("message") / "message"
    environment = os.environ | {"TERMINATION_LOG": str(message)}
    command = [sys.executable, "-m", "llama_operator.stage.collect"]
    request = msgspec.json.encode(Collect(str(world.root), (), int(time.time()), "Delete")).decode()
    done = subprocess.run([*command, request], env=environment, capture_output=True, text=True, check=True)
    assert "without a link" in done.stdout
    assert msgspec.json.decode(message.read_bytes(), type=Collected).files == 1
    assert subprocess.run([*command, "{"], env=environment, capture_output=True, check=False).returncode == 1
    assert "bad arguments" in json.loads(message.read_bytes())["message"]


def test_a_link_is_not_made_to_a_file_that_is_gone(world: World) -> None:
    """The stager then begins anew, instead of starting a server without a file."""
    found = world.stage(A)
    found.path.unlink()
    assert not world.store().point(world.root / B.link, found, "")
    assert not (world.root / B.link).is_symlink()
