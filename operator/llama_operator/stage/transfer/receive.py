"""From the body of one answer into the file, with patience and no more than that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.gguf.header import MAGIC
from llama_operator.stage.text import one_line, redact
from llama_operator.stage.transfer.body import pieces
from llama_operator.stage.transfer.chunks import Claim
from llama_operator.stage.transfer.partial import Partial
from llama_operator.stage.transfer.remote import Remote, cut_short

PIECE = 1 << 18
"""Read and written at a time: fits into the processor's cache, so that it need not be fetched from memory again."""


class Receiver:
    """One worker's; `watch` is called after each piece, and at least every second of a body that is read directly."""

    def __init__(self, remote: Remote, part: Partial, context: Context, watch: Callable[[], None]) -> None:
        self._remote, self._part, self._context, self._watch = remote, part, context, watch
        self._where = redact(remote.url)
        self._buffer = memoryview(bytearray(PIECE))
        self.got = 0
        """Bytes of the last answer, so far."""
        self._at = 0
        self._held = Claim(0, 0)

    def receive(self, response: httpx.Response, claim: Claim, length: int | None) -> None:
        """Write the body, `length` bytes that begin where the claim does: to its end, or to that of the claim and of
        the empty chunks behind it. Raises `Transient` if it ends early or crawls, `Failure` if it is no model."""
        policy, clock = self._context.policy, self._context.monotonic
        self._at, self._held, self.got = claim.start, claim, 0
        head = b"" if claim.start == 0 else MAGIC
        window_end, window_start = clock() + policy.slow_window, self._at
        try:
            for piece in self._pieces(response, length):
                if len(head) < len(MAGIC):
                    head = (head + bytes(piece[: len(MAGIC)]))[: len(MAGIC)]
                    self._check_magic(head, response)
                if not self._write(piece):
                    return
                self._watch()
                if clock() >= window_end:
                    if self._at - window_start < policy.slow_bytes:
                        raise self._too_slow(self._at - window_start)
                    window_end, window_start = clock() + policy.slow_window, self._at
        finally:
            self._part.release(self._held)
        end = self._part.total if length is None else claim.start + length
        if end is not None and self._at < end:
            raise cut_short(self._remote, self._at, self._part.total)

    def _pieces(self, response: httpx.Response, length: int | None) -> Iterator[memoryview]:
        try:
            yield from pieces(response, length, self._buffer, self._context.policy.read_timeout)
        except httpx.RemoteProtocolError as error:
            raise cut_short(self._remote, self._at, self._part.total) from error

    def _write(self, piece: memoryview) -> bool:
        """False if the rest of the answer is somebody else's."""
        while piece:
            if self._at == self._held.stop:
                if self._at == self._part.total:
                    raise Failure(Reason.SOURCE_ERROR, f"{self._where} sends more than the file's {self._at} bytes")
                following = self._part.go_on(self._held)
                if following is None:
                    return False
                self._held = following
            now = piece[: self._held.stop - self._at]
            self._part.write(self._at, now)
            self._at += len(now)
            self.got += len(now)
            piece = piece[len(now) :]
        return True

    def _check_magic(self, head: bytes, response: httpx.Response) -> None:
        """A web page with status 200 is refused at its first bytes, not after gigabytes."""
        if MAGIC.startswith(head):
            return
        kind = one_line(response.headers.get("Content-Type", "no content type"), 80)
        raise Failure(
            Reason.NOT_GGUF,
            f"{self._where} answers with something else than a GGUF file ({kind}); "
            "if this is a web page, use the address of the file itself",
        )

    def _too_slow(self, got: int) -> Transient:
        seconds = self._context.policy.slow_window
        return Transient(Reason.SOURCE_UNREACHABLE, f"{self._where} stalls: {got} bytes in {seconds:.0f} s")
