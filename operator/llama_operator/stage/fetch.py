"""Download one file into a `Partial`: over broken connections, across restarts, and never more than needed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.gguf import MAGIC
from llama_operator.stage.partial import Note, Partial
from llama_operator.stage.remote import NO_ANSWER, Remote, cut_short, judge, no_answer, stream
from llama_operator.stage.retry import persist
from llama_operator.stage.room import Room
from llama_operator.stage.text import one_line, redact

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Fetch:
    """One download."""

    def __init__(self, http: httpx.Client, remote: Remote, part: Partial, room: Room, context: Context) -> None:
        self._http, self._remote, self._part, self._room, self._context = http, remote, part, room, context
        self._source = hashlib.sha256(remote.url.encode()).hexdigest()
        self._where = redact(remote.url)
        self._reached = 0

    def run(self) -> None:
        """Raises `Failure`. Afterwards the partial holds the whole file as far as HTTP and its length tell."""
        if self._can_resume():
            self._part.resume()
        self._reached = self._part.offset
        if self._part.offset:
            self._context.log(f"going on after {self._part.offset} bytes that are here already")
        if not self._part.complete:
            persist(self._attempt, self._context, lambda: self._reached)
            self._part.settle()

    def _can_resume(self) -> bool:
        """With a digest the end result is checked; else only a strong validator of the same address tells that the
        file has not changed between the responses."""
        note = self._part.note
        return note is not None and (
            self._remote.sha256 is not None or (note.source == self._source and note.validator != "")
        )

    def _attempt(self) -> None:
        policy = self._context.policy
        try:
            with stream(self._http, self._remote, self._range(), policy.max_redirects) as response:
                judge(response, self._remote, self._context.now())
                self._accept(response)
                self._receive(response)
        except NO_ANSWER as error:
            raise no_answer(error, self._remote) from error
        if self._total() not in (None, self._part.offset):
            raise cut_short(self._remote, self._part.offset, self._total())

    def _total(self) -> int | None:
        return self._part.note.total if self._part.note else None

    def _range(self) -> dict[str, str]:
        note, offset = self._part.note, self._part.offset
        if not note or not offset or not self._can_resume():
            return {}
        same = note.source == self._source and note.validator
        return {"Range": f"bytes={offset}-"} | ({"If-Range": note.validator} if same else {})

    def _accept(self, response: httpx.Response) -> None:
        """Get the partial ready for the body."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Failure(Reason.SOURCE_ERROR, f"{self._where} compresses the file although asked not to")
        start, total = _extent(response)
        if response.status_code != 200:
            self._accept_rest(response, start, total)
            return
        self._check_size(total)
        total = self._remote.size if total is None else total
        note = Note(source=self._source, validator=validator(response), total=total)
        self._part.check_rejected(note)
        self._room.require(total or 0, keep=self._part.path, reusable=self._part.allocated())
        self._part.start_over(note)
        self._part.responses = 1

    def _accept_rest(self, response: httpx.Response, start: int | None, total: int | None) -> None:
        """206 is welcome if it is the rest of the same file; 416 says that there is none."""
        note, offset = self._part.note, self._part.offset
        same = note is not None and total in (note.total, None) and self._same_etag(note, response)
        if offset and response.status_code == 206 and start == offset and same:
            self._room.require((self._total() or total or offset) - offset, keep=self._part.path)
            self._part.responses += 1
            return
        # The server has another file now, or counts in a way that makes no sense: what we have is of no use.
        self._part.start_over(Note(source=self._source, validator="", total=None))
        raise Transient(
            Reason.SOURCE_ERROR,
            f"{self._where} does not continue the file it began ({response.status_code})",
        )

    def _same_etag(self, note: Note, response: httpx.Response) -> bool:
        """Some caches answer 206 whatever If-Range says."""
        etag = response.headers.get("ETag", note.validator)
        return note.source != self._source or not note.validator.startswith('"') or etag == note.validator

    def _check_size(self, total: int | None) -> None:
        expected = self._remote.size
        if expected is not None and total is not None and total != expected:
            raise Transient(
                Reason.TRUNCATED,
                f"{self._where} announces {total} bytes, the hub lists {expected}: is a proxy in between?",
            )

    def _receive(self, response: httpx.Response) -> None:
        policy, clock = self._context.policy, self._context.monotonic
        self._context.gauge.begin("downloading", total=self._total(), done=self._part.offset)
        window_end, window_start = clock() + policy.slow_window, self._part.offset
        head = b"" if self._part.offset == 0 else MAGIC
        for data in self._body(response):
            if len(head) < len(MAGIC):
                head = (head + data)[: len(MAGIC)]
                self._check_magic(head, response)
            self._part.append(data)
            self._reached = max(self._reached, self._part.offset)
            self._context.gauge.at(self._part.offset)
            if clock() >= window_end:
                if self._part.offset - window_start < policy.slow_bytes:
                    raise self._too_slow(self._part.offset - window_start)
                window_end, window_start = clock() + policy.slow_window, self._part.offset

    def _body(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_raw()
        except httpx.RemoteProtocolError as error:
            raise cut_short(self._remote, self._part.offset, self._total()) from error

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


def validator(response: httpx.Response) -> str:
    """For If-Range: a strong ETag; a weak one promises nothing about bytes (RFC 9110, 13.1.5)."""
    etag: str = response.headers.get("ETag", "")
    if etag.startswith('"') and len(etag) > 2:
        return etag
    return "" if etag else str(response.headers.get("Last-Modified", ""))


def _extent(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte of the body, and length of the whole file, as far as the headers tell."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not match:
        return None, None
    first, _, total = match.groups()
    return (int(first) if first else None), (None if total == "*" else int(total))
