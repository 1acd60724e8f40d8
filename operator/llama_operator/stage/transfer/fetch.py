"""Download one file into a `Partial`: over broken connections, across restarts, and never more than needed."""

from __future__ import annotations

import hashlib

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.store.room import Room
from llama_operator.stage.text import redact
from llama_operator.stage.transfer.again import again
from llama_operator.stage.transfer.chunks import Claim
from llama_operator.stage.transfer.pace import Pace
from llama_operator.stage.transfer.partial import Note, Partial
from llama_operator.stage.transfer.receive import Receiver
from llama_operator.stage.transfer.rejection import strong
from llama_operator.stage.transfer.remote import Remote, judge
from llama_operator.stage.transfer.retry import persist
from llama_operator.stage.transfer.source import Extent, Source, encoded, extent, same_file, validator
from llama_operator.stage.transfer.team import Team


class Fetch:
    """One download. The first connection, in the caller's thread, is the one that judges and that may start over."""

    def __init__(self, http: httpx.Client, remote: Remote, part: Partial, room: Room, context: Context) -> None:
        self._remote, self._part, self._room, self._context = remote, part, room, context
        self._key = hashlib.sha256(remote.url.encode()).hexdigest()
        self._where = redact(remote.url)
        self._source = Source(http, remote, context.policy)
        self._team = Team(self._source, remote, part, context, Pace(context))
        self._receiver = Receiver(remote, part, context, self._watch)
        self._ranges = False
        """Whether the server has said that it knows them."""
        self._reached = 0

    def run(self) -> None:
        """Raises `Failure`. Afterwards the partial holds the whole file as far as HTTP and its length tell."""
        if self._can_resume():
            self._part.resume()
        self._reached = self._part.present
        if self._part.present:
            self._context.log(f"going on after {self._part.present} bytes that are here already")
        if not self._part.complete:
            persist(self._attempt, self._context, lambda: self._reached)
            self._part.settle()

    def _can_resume(self) -> bool:
        """With a digest the end result is checked; else only a strong validator of the same address tells that the
        file has not changed between the responses."""
        note = self._part.note
        return note is not None and (
            self._remote.sha256 is not None or (note.source == self._key and note.validator != "")
        )

    def _attempt(self) -> None:
        self._begin()
        try:
            while not self._part.complete:
                claim = self._part.claim()
                if claim is None:
                    self._team.wait()
                    self._watch()
                elif self._bring(claim):
                    return
        finally:
            self._team.end()

    def _begin(self) -> None:
        self._context.gauge.begin("downloading", total=self._part.total, done=self._part.present)

    def _bring(self, claim: Claim) -> bool:
        """One answer, from the claim on. Says whether it was a whole file, however long."""
        self._receiver.got = 0
        try:
            with self._source.ask(self._range(claim), shortcut=self._team.busy > 0) as response:
                answer: httpx.Response | None = response
                while answer is not None:
                    self._receiver.got = 0
                    judge(answer, self._remote, self._context.now())
                    claim, length = self._accept(answer, claim)
                    self._receiver.receive(answer, claim, length)
                    # Only beside others are there further ranges of one connection; alone it has one long one.
                    following = self._part.claim() if length == self._receiver.got and self._team.busy else None
                    if following is None:
                        break
                    claim = following
                    answer = again(answer, self._range(claim), self._context.policy.read_timeout)
        except Transient as error:
            # What broke on its way is asked for again at once, while others show that the server is well.
            if not (self._team.busy if self._receiver.got else self._team.spare(error)):
                raise
        finally:
            self._part.release(claim)
        return self._part.total is None

    def _range(self, claim: Claim) -> dict[str, str]:
        note = self._part.note
        if not note or not self._part.present or not self._can_resume():
            return {}
        stop = claim.stop if self._team.busy else self._part.stretch(claim)
        last = "" if stop in (None, note.total) else stop - 1
        same = note.source == self._key and note.validator
        return {"Range": f"bytes={claim.start}-{last}"} | ({"If-Range": note.validator} if same else {})

    def _accept(self, response: httpx.Response, claim: Claim) -> tuple[Claim, int | None]:
        """Get the partial ready for the body; returns what it belongs to, and its length."""
        if encoded(response):
            raise Failure(Reason.SOURCE_ERROR, f"{self._where} compresses the file although asked not to")
        found = extent(response)
        if response.status_code != 200:
            self._accept_rest(response, claim, found)
            self._ranges = True
            return claim, found.length
        self._check_size(found.total)
        total = self._remote.size if found.total is None else found.total
        note = Note(source=self._key, validator=validator(response), total=total)
        self._part.check_rejected(note)
        self._room.require(total or 0, keep=self._part.path, reusable=self._part.allocated())
        self._start_over(note)
        self._part.responses = 1
        self._ranges = response.headers.get("Accept-Ranges", "").lower() == "bytes"
        return self._part.claim() or Claim(0, 0), found.length

    def _accept_rest(self, response: httpx.Response, claim: Claim, found: Extent) -> None:
        """206 is welcome if it is the rest of the same file; 416 says that there is none."""
        note = self._part.note
        same = note is not None and found.total in (note.total, None) and self._same_file(note, response)
        if self._part.present and response.status_code == 206 and found.start == claim.start and same:
            total = self._part.total or found.total or self._part.present
            self._room.require(max(total - self._part.allocated(), 0), keep=self._part.path)
            self._part.joined()
            return
        # The server has another file now, or counts in a way that makes no sense: what we have is of no use.
        self._start_over(Note(source=self._key, validator="", total=None))
        raise Transient(
            Reason.SOURCE_ERROR,
            f"{self._where} does not continue the file it began ({response.status_code})",
        )

    def _start_over(self, note: Note) -> None:
        self._team.end()
        self._part.start_over(note)
        self._begin()

    def _same_file(self, note: Note, response: httpx.Response) -> bool:
        """From another address than before (with a digest to judge the result) validators tell nothing."""
        return note.source != self._key or same_file(response, note.validator)

    def _check_size(self, total: int | None) -> None:
        expected = self._remote.size
        if expected is not None and total is not None and total != expected:
            raise Transient(
                Reason.TRUNCATED,
                f"{self._where} announces {total} bytes, the hub lists {expected}: is a proxy in between?",
            )

    def _watch(self) -> None:
        """After each piece: tell how far it is, and see whether more connections pay."""
        part, note = self._part, self._part.note
        part.check()
        self._reached = max(self._reached, part.present)
        self._context.gauge.at(part.present)
        judged = note is not None and (strong(note.validator) or self._remote.sha256 is not None)
        if self._ranges and judged and note is not None and note.total is not None and not note.whole:
            self._team.look()
