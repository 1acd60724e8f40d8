"""What is on the volume: trusted, repaired, shared, and never outside its folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.stage import verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, of_volume
from llama_operator.stage.store.layout import safe_name
from llama_operator.stage.transfer import partial
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, note, sha256

MODEL = gguf_file(MIB // 2)
DIGEST = sha256(MODEL)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read as a whole to compute their digest."""
    seen: list[Path] = []
    original = verify.digest

    def counted(path: Path, context: Context) -> str:
        seen.append(path)
        return original(path, context)

    monkeypatch.setattr(verify, "digest", counted)
    return seen


def test_a_restart_neither_downloads_nor_reads_the_file_again(
    stager: Stager, server: Server, reads: list[Path]
) -> None:
    server.add("/m.gguf", MODEL)
    first = stager.url(server.url("/m.gguf"))
    assert stager.url(server.url("/m.gguf")) == first
    assert len(server.requests) == 1
    assert reads == []


def test_a_touched_file_is_read_again_and_kept(stager: Stager, server: Server, reads: list[Path]) -> None:
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    path = stager.published()[0]
    os.utime(path, ns=(0, 0))
    stager.url(server.url("/m.gguf"))
    stager.url(server.url("/m.gguf"))
    assert reads == [path]
    assert len(server.requests) == 1


def test_bytes_are_flushed_before_the_file_gets_its_name(
    stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the name before the link: after a power cut a name never stands for bytes that were lost."""
    order: list[str] = []

    def flushed(fd: int) -> None:
        order.append(f"flush {Path(os.readlink(f'/proc/self/fd/{fd}')).suffix or 'folder'}")

    monkeypatch.setattr(os, "fsync", flushed)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, _noted(getattr(os, name), order))
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    published = order.index("name .gguf")
    assert order[published - 1] == "flush .part"
    assert order[published + 1] == "flush folder"
    linked = len(order) - 1 - order[::-1].index("name .gguf")
    assert published < order.index("name .verified") < linked


@pytest.mark.parametrize("digest", [None, DIGEST])
def test_a_damaged_file_is_never_served(stager: Stager, server: Server, digest: str | None) -> None:
    """One flipped bit, the same size, and the modification time put back as it was."""
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"), digest)
    path = stager.published()[0]
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([MODEL[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stager.url(server.url("/m.gguf"), digest).sha256 == DIGEST
    assert stager.link.read_bytes() == MODEL
    assert len(server.requests) == 2


def test_a_crash_before_the_mark_costs_one_read_and_no_download(
    stager: Stager, server: Server, reads: list[Path]
) -> None:
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"), DIGEST)
    for marker in stager.root.glob("sha256/*/.*"):
        marker.unlink()
    stager.link.unlink()
    assert stager.url(server.url("/m.gguf"), DIGEST).sha256 == DIGEST
    assert reads == stager.published()
    assert len(server.requests) == 1


def test_another_source_with_the_same_digest_shares_the_file(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    other = Stager(stager.root)
    link = stager.root / "other.gguf"
    assert other.url(server.url("/mirror.gguf"), DIGEST, link=str(link)).sha256 == DIGEST
    assert link.resolve() == stager.link.resolve()
    assert len(server.requests) == 1


def test_a_download_that_brings_what_is_here_is_not_kept_twice(stager: Stager, server: Server) -> None:
    """Nobody knew its digest before."""
    server.add("/m.gguf", MODEL)
    server.add("/mirror.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    link = stager.root / "other.gguf"
    stager.url(server.url("/mirror.gguf"), link=str(link))
    assert [path.name for path in stager.published()] == ["m.gguf"]
    assert link.resolve() == stager.link.resolve()
    assert stager.parts() == []


def test_a_damaged_file_is_replaced_by_a_download_of_the_same(stager: Stager, server: Server) -> None:
    """Its name is the same, its mark is not valid, and nobody asked for its digest."""
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    path = stager.published()[0]
    path.chmod(0o644)
    path.write_bytes(MODEL[:-1])
    stager.link.unlink()
    stager.url(server.url("/m.gguf"))
    assert stager.published() == [path]
    assert path.read_bytes() == MODEL


def test_the_wanted_digest_beats_the_link(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.url(server.url("/m.gguf"))
    newer = gguf_file(1000, name="newer")
    server.files["/m.gguf"].data = newer
    assert stager.url(server.url("/m.gguf"), sha256(newer)).sha256 == sha256(newer)
    assert stager.link.read_bytes() == newer


@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd", "sha256/x/y", "sha256/" + "0" * 64 + "/gone"])
def test_a_strange_link_is_replaced(stager: Stager, server: Server, target: str) -> None:
    server.add("/m.gguf", MODEL)
    stager.link.symlink_to(target)
    stager.url(server.url("/m.gguf"))
    assert stager.link.read_bytes() == MODEL


def test_a_file_in_the_place_of_the_link_is_not_overwritten(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.link.write_text("mine")
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.INVALID_SOURCE
    assert stager.link.read_text() == "mine"


@given(st.text())
def test_names_stay_in_their_folder(name: str) -> None:
    plain = safe_name(name)
    assert Path("/a", plain).parent == Path("/a")
    assert plain not in (".", "..")
    assert not plain.startswith((".", "-"))
    assert 0 < len(plain.encode()) <= 128


@pytest.mark.parametrize("path", ["/%2e%2e%2f%2e%2e%2fescape.gguf", "/..%2f..%2fescape.gguf", "/a/.%2e/escape.gguf"])
def test_an_address_cannot_escape(stager: Stager, server: Server, path: str) -> None:
    for place in ("/escape.gguf", "/../../escape.gguf", "/a/../escape.gguf"):
        server.add(place, MODEL)
    stager.url(server.url(path))
    assert [p.name for p in stager.published()] == ["escape.gguf"]
    assert not list(stager.root.parent.glob("escape*"))


@pytest.mark.parametrize(
    "link",
    ["/elsewhere/x.gguf", "m.gguf", "{root}/../x.gguf", "{root}/sha256/x", "{root}/.stage/x", "{root}", "{root}/out/x"],
)
def test_links_outside_are_refused(stager: Stager, server: Server, link: str) -> None:
    (stager.root / "out").symlink_to("/usr")
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"), link=link.format(root=stager.root))
    assert caught.value.reason is Reason.INVALID_SOURCE
    assert server.requests == []


def test_unflushed_bytes_are_not_trusted_after_a_reboot(
    stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The note says how much had been flushed; beyond that a lost node may have left anything."""
    from dataclasses import replace

    stager.policy = replace(stager.policy, attempts=1, sync_bytes=MIB // 2)
    server.add("/m.gguf", MODEL).faults.append(Fault(cut=MIB + MIB // 4))
    with pytest.raises(Failure):
        stager.url(server.url("/m.gguf"))
    part = stager.parts()[0]
    synced = note(part.with_suffix(".json"))["synced"]
    assert 0 < synced < part.stat().st_size
    with part.open("r+b") as file:
        file.seek(synced)
        file.write(bytes(part.stat().st_size - synced))
    boot = tmp_path / "boot_id"
    boot.write_text("another boot")
    monkeypatch.setattr(partial, "_BOOT_ID", boot)
    assert stager.url(server.url("/m.gguf")).sha256 == DIGEST
    assert server.gets()[1].headers["Range"] == f"bytes={synced}-"


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (errno.ENOSPC, Reason.DISK_FULL, "storage.claim"),
        (errno.EDQUOT, Reason.DISK_FULL, "storage.claim"),
        (errno.EACCES, Reason.STAGING_FAILED, "65532"),
        (errno.EROFS, Reason.STAGING_FAILED, "source.volume"),
        (errno.EIO, Reason.STAGING_FAILED, "/models/x"),
    ],
)
def test_trouble_with_the_volume_is_explained(code: int, reason: Reason, hint: str) -> None:
    failure = of_volume(OSError(code, os.strerror(code), "/models/x"))
    assert failure.reason is reason
    assert hint in failure.message


def _noted(rename: Callable[[Path, Path], None], order: list[str]) -> Callable[[Path, Path], None]:
    def noted(source: Path, target: Path) -> None:
        order.append(f"name {Path(target).suffix}")
        rename(source, target)

    return noted
