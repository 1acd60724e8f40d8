"""The connections beside the first: each in a thread, each with a chunk at a time."""

from __future__ import annotations

import threading

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.transfer.again import again
from llama_operator.stage.transfer.body import direct
from llama_operator.stage.transfer.chunks import Claim
from llama_operator.stage.transfer.pace import Pace
from llama_operator.stage.transfer.partial import Note, Partial
from llama_operator.stage.transfer.receive import Receiver
from llama_operator.stage.transfer.remote import Remote, judge
from llama_operator.stage.transfer.source import Source, extent, same_file


class Ended(Exception):
    """The download is over for this thread."""


class Team:
    """Helpers are allowed to fail: what they have not brought, the first connection does, and it alone judges."""

    def __init__(self, source: Source, remote: Remote, part: Partial, context: Context, pace: Pace) -> None:
        self._source, self._remote, self._part, self._context, self._pace = source, remote, part, context, pace
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()

    @property
    def _note(self) -> Note:
        if self._part.note is None:
            raise RuntimeError("a further connection before the first")
        return self._part.note

    @property
    def busy(self) -> int:
        return sum(thread.is_alive() for thread in self._threads)

    def look(self) -> None:
        """As many as the pace wants, the first connection among them."""
        missing = self._pace.look(self._part.present) - 1 - self.busy
        for _ in range(missing):
            claim = self._part.claim()
            if claim is None:
                return
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._work, args=(claim,), name="connection", daemon=True)
            self._threads.append(thread)
            thread.start()

    def spare(self, error: Transient) -> bool:
        """The first connection was refused or broke: is that no matter, because the others go on?"""
        if not self.busy:
            return False
        self._pace.refused()
        self._context.log(f"{error.message}; going on with fewer connections")
        before = self.busy
        while self.busy >= before and self.busy:
            self.wait()
            self._part.check()
        return True

    def wait(self) -> None:
        """Until something has changed, or for a moment."""
        with self._part.changed:
            self._part.changed.wait(0.1)

    def end(self) -> None:
        """Waits for all of them; each looks up at least every second, but not while it waits for a first answer."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._ended.clear()

    def _work(self, first: Claim) -> None:
        receiver = Receiver(self._remote, self._part, self._context, self._watch)
        claim: Claim | None = first
        try:
            while claim is not None:
                claim = self._bring(claim, receiver)
        except Ended:
            return
        except BaseException as error:
            self._part.fail(error)

    def _bring(self, claim: Claim, receiver: Receiver) -> Claim | None:
        """Bring one chunk; returns the next, if there is one and this worker is still wanted."""
        receiver.got = 0
        try:
            with self._source.ask(self._headers(claim), shortcut=True) as response:
                answer: httpx.Response | None = response
                while answer is not None:
                    receiver.got = 0
                    judge(answer, self._remote, self._context.now())
                    receiver.receive(answer, claim, self._length(answer, claim))
                    following = self._following()
                    if following is None:
                        return None
                    claim = following
                    answer = again(answer, self._headers(claim), self._context.policy.read_timeout)
            return claim
        except (Transient, Failure) as error:
            self._part.release(claim)
            if receiver.got == 0:
                self._pace.refused()
                self._context.log(f"{error.message}; going on with fewer connections")
                return None
            return self._following()

    def _following(self) -> Claim | None:
        self._watch()
        return self._part.claim() if self.busy < self._pace.wanted else None

    def _headers(self, claim: Claim) -> dict[str, str]:
        note = self._note
        wanted = {"Range": f"bytes={claim.start}-{claim.stop - 1}"}
        return wanted | ({"If-Range": note.validator} if note.validator else {})

    def _length(self, response: httpx.Response, claim: Claim) -> int:
        """Of the body, if it is these bytes of this file. Raises `Transient` otherwise."""
        note, found = self._note, extent(response)
        same = same_file(response, note.validator)
        fits = response.status_code == 206 and found.start == claim.start and found.total in (note.total, None)
        if fits and same and direct(response) and found.length and claim.start + found.length <= claim.stop:
            self._part.joined()
            return found.length
        raise Transient(Reason.SOURCE_ERROR, "a further connection does not continue the same file")

    def _watch(self) -> None:
        if self._ended.is_set():
            raise Ended
