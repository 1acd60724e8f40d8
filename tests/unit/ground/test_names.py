"""Every name is one that nobody has."""

import asyncio
import socket
import struct

import pytest

from ground import names

QUESTION = b"\x07example\x03com\x00" + struct.pack("!2H", 1, 1)
QUERY = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + QUESTION


def test_a_question_is_answered_with_no_such_name() -> None:
    answer = names.no_such_name(QUERY)
    assert answer is not None
    number, flags, questions, answers, authorities, more = struct.unpack_from("!6H", answer)
    assert (number, flags & 0x000F, questions, answers, authorities, more) == (0x1234, 3, 1, 0, 0, 0)
    assert flags & 0x8000
    assert answer[12:] == QUESTION


def test_what_follows_the_question_is_not_repeated() -> None:
    options = b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 1) + QUESTION + options
    answer = names.no_such_name(query)
    assert answer is not None
    assert answer[12:] == QUESTION


@pytest.mark.parametrize(
    "data",
    [b"", QUERY[:11], QUERY[:20], QUERY[:-1], struct.pack("!6H", 1, 0x8180, 1, 1, 0, 0) + QUESTION, bytes(12)],
)
def test_what_is_no_query_gets_no_answer(data: bytes) -> None:
    assert names.no_such_name(data) is None


async def test_the_answer_comes_over_the_wire() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(names.NoSuchName, local_addr=("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, transport.get_extra_info("sockname"))
        await loop.sock_sendall(client, b"no query")
        await loop.sock_sendall(client, QUERY)
        assert await asyncio.wait_for(loop.sock_recv(client, 512), 10) == names.no_such_name(QUERY)
    transport.close()
