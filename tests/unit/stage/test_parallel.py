"""Several connections for one file: what one of them meets must neither spoil the file nor end the download."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llama_operator.stage.context import Context, Policy
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.transfer.pace import Pace
from tests.gguf_files import gguf_file
from tests.unit.stage.ranges import Ask, RangeServer, Reply, serving
from tests.unit.stage.support import MIB, Stager, sha256

CHUNK = MIB // 4
MODEL = gguf_file(MIB)
OTHER = gguf_file(MIB, name="other")
DIGEST = sha256(MODEL)
CONNECTIONS = 4
Twist = Callable[[Ask, Reply], Reply | None]


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with serving(MODEL) as running:
        yield running


@pytest.fixture
def stager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stager:
    """Wants four connections at once; how it would come to want them is tested by itself."""
    begin = Pace.__init__

    def eager(pace: Pace, context: Context) -> None:
        begin(pace, context)
        pace.wanted = CONNECTIONS

    monkeypatch.setattr(Pace, "__init__", eager)
    monkeypatch.setattr(Pace, "look", lambda pace, present: pace.wanted)
    return Stager(tmp_path, policy=Policy(chunk_bytes=CHUNK, attempts=2))


def hold_first(server: RangeServer, twist: Twist = lambda ask, reply: reply, others: int = CONNECTIONS - 1) -> None:
    """The first answer stops within its first chunk until so many further requests have come, which wait for each
    other: they are the first ones of so many connections."""

    def held(ask: Ask, reply: Reply) -> Reply | None:
        if ask.number:
            server.wait(lambda: len(server.asked) > others)
            return twist(ask, reply)

        def before(sent: int) -> None:
            if sent >= CHUNK // 2:
                server.wait(lambda: len(server.asked) > others)

        return replace(reply, before=before)

    server.twist = held


def only(number: int, change: Callable[[Reply], Reply | None]) -> Twist:
    """Change one answer, and leave the others."""
    return lambda ask, reply: change(reply) if ask.number == number else reply


def check(stager: Stager, server: RangeServer, digest: str | None = None) -> None:
    assert stager.url(server.url(), digest).sha256 == DIGEST
    assert stager.link.read_bytes() == MODEL
    assert [thread.name for thread in threading.enumerate() if thread.name in ("connection", "digest", "flush")] == []


def test_chunks_come_by_several_connections(stager: Stager, server: RangeServer) -> None:
    hold_first(server)
    check(stager, server)
    further = server.asked[1:]
    assert {ask.headers["if-range"] for ask in further} == {'"v1"'}
    assert sorted({ask.start for ask in further}) == sorted(ask.start for ask in further), "no chunk twice"
    assert max(ask.open for ask in server.asked) >= CONNECTIONS
    assert server.connections <= 2 * CONNECTIONS < len(MODEL) // CHUNK, "connections are used again"


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: replace(reply, headers=reply.headers | {"ETag": '"v2"'}, body=OTHER[-len(reply.body) :]),
        lambda reply: replace(reply, status=200, headers={"ETag": '"v1"'}, body=OTHER),
        lambda reply: replace(reply, headers=reply.headers | {"Content-Range": f"bytes 0-{CHUNK - 1}/{len(MODEL)}"}),
        lambda reply: replace(reply, headers=reply.headers | {"Content-Range": "bytes 5-4/3"}),
        lambda reply: replace(reply, headers=reply.headers | {"Content-Range": ""}),
        lambda reply: replace(reply, body=reply.body + bytes(100)),
        lambda reply: Reply(429, b"", {"Retry-After": "100"}),
        lambda reply: Reply(503, b"slow down"),
        lambda reply: Reply(500, b""),
        lambda reply: Reply(416, b""),
        lambda reply: None,
    ],
    ids=["etag", "whole", "start", "nonsense", "no-range", "longer", "429", "503", "500", "416", "closed"],
)
def test_one_connection_that_gets_something_else_is_given_up(
    stager: Stager, server: RangeServer, change: Callable[[Reply], Reply | None]
) -> None:
    hold_first(server, only(2, change))
    check(stager, server)
    assert any("fewer connections" in line for line in stager.log)
    assert stager.pauses == []


def test_a_cut_connection_goes_on_where_it_was(stager: Stager, server: RangeServer) -> None:
    hold_first(server, only(2, lambda reply: replace(reply, cut=CHUNK // 2)))
    check(stager, server)
    broken = server.asked[2]
    assert broken.start + CHUNK // 2 in [ask.start for ask in server.asked]
    assert [ask.start for ask in server.asked].count(broken.start) == 1


def test_a_connection_that_falls_silent_is_replaced(stager: Stager, server: RangeServer) -> None:
    stager.policy = replace(stager.policy, read_timeout=0.2)
    over = threading.Event()

    def silent(reply: Reply) -> Reply:
        return replace(reply, before=lambda sent: over.wait() if sent else None)

    hold_first(server, only(2, silent))
    check(stager, server)
    over.set()


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_server_that_allows_few_gets_few(stager: Stager, server: RangeServer, allowed: int) -> None:
    refused: list[Ask] = []

    def few(ask: Ask, reply: Reply) -> Reply:
        if ask.open <= allowed:
            return reply
        refused.append(ask)
        return Reply(429, b"", {"Retry-After": "100"})

    hold_first(server, few)
    check(stager, server)
    # The first may meet the one that is about to be refused: the server then asks it, too, to wait, and it does.
    assert len(stager.pauses) <= 1
    assert len(refused) <= CONNECTIONS, "it is not asked for more and more"


def test_a_disk_that_is_full_for_one_is_full_for_all(
    stager: Stager, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def full(fd: int, data: Any, offset: int) -> int:
        if threading.current_thread().name == "connection" and len(data) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    hold_first(server)
    with pytest.raises(Failure, match="the volume is full"):
        stager.url(server.url())
    assert threading.active_count() <= 2 + len(server.asked), "only the test's own threads are left"
    assert stager.published() == []


def test_a_file_that_cannot_be_read_back_ends_the_download(
    stager: Stager, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(Failure, match="Input/output"):
        stager.url(server.url())
    assert stager.published() == []


def test_a_wrong_seam_is_repaired_in_one_piece(tmp_path: Path, stager: Stager) -> None:
    """Without a validator only the digest tells, and it does."""
    with serving(MODEL, etag="") as server:
        hold_first(server, only(2, lambda reply: replace(reply, body=bytes(len(reply.body)))))
        check(stager, server, DIGEST)
        assert any("once more in one piece" in line for line in stager.log)
        assert server.asked[-1].whole


def test_without_validator_and_digest_there_is_one_connection(stager: Stager) -> None:
    with serving(MODEL, etag="") as server:
        check(stager, server)
        assert len(server.asked) == 1


def test_a_wrong_file_is_brought_twice_and_no_more(stager: Stager) -> None:
    """In pieces and then in one: the same bytes, so they are the server's."""
    with serving(OTHER) as server:
        hold_first(server)
        for said in (False, True):
            with pytest.raises(Failure) as caught:
                stager.url(server.url(), DIGEST)
            assert caught.value.reason is Reason.DIGEST_MISMATCH
            assert ("downloaded twice" in caught.value.message) is said
        assert [ask.number for ask in server.asked if ask.whole][-1] == len(server.asked) - 1
        assert sum(ask.whole for ask in server.asked) == 3


def test_redirects_are_followed_once_and_again_when_the_address_has_run_out(
    stager: Stager, server: RangeServer
) -> None:
    served: list[str] = []

    def door(ask: Ask, reply: Reply) -> Reply | None:
        if ask.path == "/m.gguf":
            return Reply(302, b"", {"Location": f"/signed?ticket={ask.number}"})
        served.append(ask.path)
        if ask.path == "/signed?ticket=0" and len(served) > 3:
            return Reply(403, b"")
        if len(served) == 1:
            return replace(reply, before=lambda sent: server.wait(lambda: sent < CHUNK or len(served) > 3))
        return reply

    server.twist = door
    check(stager, server)
    assert served[:3] == ["/signed?ticket=0"] * 3
    assert 2 <= sum(ask.path == "/m.gguf" for ask in server.asked) <= CONNECTIONS + 2
