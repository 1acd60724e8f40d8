"""A name server that knows no name: what a cluster without a way out asks about the world outside.

Without it each such question would go to the host's name server, which cannot be reached from the engine's network,
and end after seconds with a timeout; names that nobody has should fail as they do elsewhere, at once.
"""

import asyncio
import struct
from typing import cast

PORT = 53
HEADER = struct.Struct("!6H")
RESPONSE, RECURSION_WANTED, RECURSION_OFFERED, NO_SUCH_NAME = 0x8000, 0x0100, 0x0080, 3


class NoSuchName(asyncio.DatagramProtocol):
    """Answers every question with NXDOMAIN (RFC 1035, 4.1.1)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # by asyncio's word, not by its classes

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = no_such_name(data)
        if answer is not None:
            self.transport.sendto(answer, addr)


def no_such_name(query: bytes) -> bytes | None:
    """The answer to a query of one question; None for what is no such query."""
    if len(query) < HEADER.size:
        return None
    number, flags, questions, *_ = HEADER.unpack_from(query)
    end = _end_of_question(query)
    if flags & RESPONSE or questions != 1 or end is None:
        return None
    answer = RESPONSE | flags & RECURSION_WANTED | RECURSION_OFFERED | NO_SUCH_NAME
    return HEADER.pack(number, answer, 1, 0, 0, 0) + query[HEADER.size : end]


def _end_of_question(query: bytes) -> int | None:
    """Where the first question ends: a name of labels up to the empty one, then type and class."""
    position = HEADER.size
    while position < len(query):
        length = query[position]
        position += 1 + length
        if length == 0:
            return position + 4 if position + 4 <= len(query) else None
    return None
