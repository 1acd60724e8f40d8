"""What stagers and servers say of themselves: asked beside the reconciles, which take what is known, and do not wait.

Whoever can be asked is asked at once, and again when the answer was not the last one; each answer brings the model
back on the queue. One that does not answer (a network policy, an old image) is asked ever more seldom, and the status
says less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llama_operator.reconcile.respondents import PAUSE_SECONDS, Respondent
from llama_operator.runtime.answers import NoAnswer
from llama_operator.runtime.cache import Key
from llama_operator.runtime.logs import Log

LAST_PAUSE = 300.0
FORGIVEN = 2
"""Questions in a row without an answer after which what was known before is not told any more."""

A = TypeVar("A")

log = Log(__name__)


@dataclass
class _Case(Generic[A]):
    """Somebody who is asked. Times are of the clock: `due`, None when there is nothing more to ask; `since` and
    `until`, of the first and the last of the present run of answers that are alike (`Questions.lasting`)."""

    due: float | None
    since: float | None = None
    until: float = 0.0
    unanswered: int = 0
    known: A | None = None
    question: asyncio.Task[None] | None = None


class Questions(Generic[A]):
    """One kind of question. Remembers those who can be asked now, by model.

    `pause`: seconds after an answer until the next question, None for never. `wake` is told of a model about which
    there is news. `lasts`: whether it matters for how long this answer has been given.
    """

    def __init__(
        self,
        *,
        ask: Callable[[str], Awaitable[A]],
        pause: Callable[[Respondent, A], float | None],
        wake: Callable[[Key], None],
        lasts: Callable[[A], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._wake = wake
        self._lasts = lasts
        self._clock = clock
        self._cases: dict[Key, dict[Respondent, _Case[A]]] = {}

    def forget(self, key: Key) -> None:
        """Nobody can be asked about it any more."""
        self.look(key, ())

    def look(self, key: Key, respondents: Sequence[Respondent]) -> tuple[dict[str, A | None], float | None]:
        """What is known, by uid of the pod, and after how many seconds to look again; None: when something changes.

        A pod that has not been asked yet is left out; one that does not answer has None.
        """
        before, now = self._cases.pop(key, {}), self._clock()
        cases = {r: before.pop(r) if r in before else _Case[A](now) for r in respondents}
        for case in before.values():
            if case.question:
                case.question.cancel()
        for respondent, case in cases.items():
            if case.question is None and case.due is not None and now >= case.due:
                question = self._question(key, respondent, case)
                case.question = asyncio.create_task(question, name=f"question about {'/'.join(key)}")
        if cases:
            self._cases[key] = cases
        told = {
            respondent.pod: case.known
            for respondent, case in cases.items()
            if case.known is not None or case.unanswered > FORGIVEN
        }
        waits = [case.due - now for case in cases.values() if case.question is None and case.due is not None]
        return told, min(waits, default=None)

    def lasting(self, key: Key) -> dict[str, tuple[A, float]]:
        """By uid of the pod: what it has said the last time, if that `lasts`, and for how many seconds it has said
        nothing else, from answer to answer: time in which nobody asked does not count. Silence ends it."""
        return {
            respondent.pod: (case.known, case.until - case.since)
            for respondent, case in self._cases.get(key, {}).items()
            if case.known is not None and case.since is not None
        }

    async def close(self) -> None:
        questions = [case.question for cases in self._cases.values() for case in cases.values() if case.question]
        for key in list(self._cases):
            self.forget(key)
        await asyncio.gather(*questions, return_exceptions=True)

    async def _question(self, key: Key, respondent: Respondent, case: _Case[A]) -> None:
        try:
            case.known, case.unanswered = await self._ask(respondent.address), 0
            case.until = self._clock()
            case.since = (case.until if case.since is None else case.since) if self._lasts(case.known) else None
            pause = self._pause(respondent, case.known)
        except NoAnswer as error:
            case.unanswered, case.since = case.unanswered + 1, None
            log.debug("not told", model="/".join(key), by=respondent.address, why=str(error))
            if case.unanswered > FORGIVEN:
                case.known = None
            pause = min(PAUSE_SECONDS * 2.0 ** min(case.unanswered, 10), LAST_PAUSE)
        case.due, case.question = None if pause is None else self._clock() + pause, None
        self._wake(key)
