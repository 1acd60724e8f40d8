"""What a later process may believe of an unfinished file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from llama_operator.stage.context import Context, Policy
from llama_operator.stage.files import write_note
from llama_operator.stage.transfer import partial
from llama_operator.stage.transfer.chunks import Claim
from llama_operator.stage.transfer.partial import Note, Partial
from tests import polling
from tests.unit.stage.support import sha256

CHUNK = 1000
DATA = bytes(range(256)) * 40
CONTEXT = Context(log=lambda line: None, policy=Policy(chunk_bytes=CHUNK, sync_bytes=500))


def begin(path: Path, *pieces: tuple[int, int]) -> None:
    """A process that brought `pieces` (start and length) and was killed."""
    with Partial(path, CONTEXT) as part:
        part.start_over(Note("source", '"v1"', len(DATA)))
        for start, length in pieces:
            part.write(start, memoryview(DATA)[start : start + length])


def gaps(part: Partial) -> list[Claim]:
    found = []
    while claim := part.claim():
        found.append(claim)
    return found


def test_bytes_behind_a_gap_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    begin(path, (0, 700), (1000, 1000), (3000, 10))
    with Partial(path, CONTEXT) as part:
        part.resume()
        assert (part.offset, part.present) == (700, 1710)
        assert gaps(part)[:3] == [Claim(700, 1000), Claim(2000, 3000), Claim(3010, 4000)]
        part.write(700, memoryview(DATA)[700:1000])
        assert part.hexdigest() == sha256(DATA[:2000])


@pytest.mark.parametrize("last", ["fdatasync", "fsync"])
def test_after_a_flush_that_failed_only_what_was_flushed_before_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """The kernel drops what it could not write, and shows it all the same, until it needs the memory."""
    path, good = tmp_path / "x.part", [True]

    def full(fd: int) -> None:
        if not good[0] and os.path.samestat(os.fstat(fd), path.stat()):  # a note is another file
            raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, last, full)
    with Partial(path, CONTEXT) as part:
        part.start_over(Note("source", '"v1"', len(DATA)))
        part.write(0, memoryview(DATA)[:CHUNK])
        polling.eventually(lambda: _synced(part, CHUNK))
        good[0] = False
        with pytest.raises(OSError, match="no space left"):
            _bring_the_rest(part)
    assert part.note is not None
    sure = part.note.synced
    assert CHUNK <= sure < len(DATA)
    monkeypatch.setattr(os, last, lambda fd: None)
    with Partial(path, CONTEXT) as part:
        part.resume()
        assert part.present == sure


def _bring_the_rest(part: Partial) -> None:
    for start in range(CHUNK, len(DATA), CHUNK):
        part.write(start, memoryview(DATA)[start : start + CHUNK])
    part.finish()


def _synced(part: Partial, upto: int) -> None:
    assert part.note is not None
    assert part.note.synced == upto


def test_after_a_reboot_only_the_flushed_beginning_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice: the first look must leave nothing behind that the second one believes."""
    path, boot = tmp_path / "x.part", tmp_path / "boot_id"
    begin(path, (0, 700), (1000, 1000))
    boot.write_text("another boot")
    monkeypatch.setattr(partial, "_BOOT_ID", boot)
    for _ in range(2):
        with Partial(path, CONTEXT) as part:
            part.resume()
            assert (part.offset, part.present) == (500, 500)
            assert os.stat(path).st_size == 500


def test_a_kill_while_starting_over_leaves_nothing_to_believe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its steps."""
    for steps in range(4):
        path = tmp_path / f"{steps}.part"
        begin(path, (0, 1000), (1000, 500))
        with Partial(path, CONTEXT) as part, monkeypatch.context() as patch:
            part.resume()
            _end_after(steps, patch)
            with pytest.raises(InterruptedError):
                part.start_over(Note("other", '"v2"', len(DATA)))
        with Partial(path, CONTEXT) as part:
            part.resume()
            assert part.present == (1500 if steps < 2 else 0)


def test_a_kill_while_taking_over_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in range(4):
        path = tmp_path / f"{steps}.part"
        begin(path, (0, 1000), (1000, 500))
        with Partial(path, CONTEXT) as part, monkeypatch.context() as patch:
            _end_after(steps, patch)
            with pytest.raises(InterruptedError):
                part.resume()
        with Partial(path, CONTEXT) as part:
            part.resume()
            assert part.present == 1500


def _end_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many changes on the disk happen, and no more."""
    left, truncate, write = [steps], os.ftruncate, os.pwrite

    def truncated(fd: int, length: int) -> None:
        step()
        truncate(fd, length)

    def written(fd: int, data: bytes, offset: int) -> int:
        step()
        return write(fd, data, offset)

    def noted(path: Path, note: Note) -> None:
        step()
        write_note(path, note)

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise InterruptedError

    patch.setattr(os, "ftruncate", truncated)
    patch.setattr(os, "pwrite", written)
    patch.setattr("llama_operator.stage.transfer.partial.write_note", noted)


def test_a_map_of_other_chunks_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    begin(path, (0, 700))
    with Partial(path, replace(CONTEXT, policy=Policy(chunk_bytes=2 * CHUNK))) as part:
        part.resume()
        assert part.present == 500


def test_holes_take_no_room(tmp_path: Path) -> None:
    context = replace(CONTEXT, policy=Policy(chunk_bytes=1 << 20))
    with Partial(tmp_path / "x.part", context) as part:
        part.start_over(Note("source", '"v1"', 64 << 20))
        part.write(60 << 20, memoryview(bytes(1 << 16)))
        assert os.stat(part.path).st_size > 60 << 20
        assert part.allocated() < 1 << 20


def test_writers_wait_for_a_disk_that_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more than four steps are ever written and not flushed."""
    flushed, worst = [0], [0]
    with Partial(tmp_path / "x.part", CONTEXT) as part:
        part.start_over(Note("source", '"v1"', len(DATA)))

        def slow(fd: int) -> None:
            worst[0] = max(worst[0], part.present - flushed[0])
            flushed[0] = part.present

        monkeypatch.setattr(os, "fdatasync", slow)
        for start in range(0, len(DATA), 250):
            part.write(start, memoryview(DATA)[start : start + 250])
            worst[0] = max(worst[0], part.present - flushed[0])
        assert part.hexdigest() == sha256(DATA)
    assert worst[0] <= 4 * 500 + 250
