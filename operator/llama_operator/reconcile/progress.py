"""How far the stagers are: asked beside the reconciles, which take what is known and wait for nothing.

A model whose stager can be asked is asked at once, and again after pauses of ten seconds; each answer that tells
something new brings the model back on the queue. One that does not answer (a network policy, an old stager) is asked
ever more seldom, and the status says less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from llama_operator.api.staging import Progress
from llama_operator.reconcile.stagers import Stager
from llama_operator.runtime.ask import NoAnswer
from llama_operator.runtime.cache import Key
from llama_operator.runtime.logs import Log

PAUSE_SECONDS = 10.0
"""Between two questions about a model; as each brings one write of its status at most, also between those."""
LAST_PAUSE = 300.0
FORGIVEN = 2
"""Questions in a row without an answer after which what was known before is not told any more."""

log = Log(__name__)


@dataclass
class _Case:
    """A pod that stages. `due` is a time of the clock."""

    stager: Stager
    due: float
    unanswered: int = 0
    known: Progress | None = None
    question: asyncio.Task[None] | None = None


class Progresses:
    """Remembers as many models as are staging. `wake` is told of a model about which there is news."""

    def __init__(
        self,
        *,
        ask: Callable[[str], Awaitable[Progress]],
        wake: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._wake = wake
        self._clock = clock
        self._cases: dict[Key, _Case] = {}

    def forget(self, key: Key) -> None:
        """Nobody stages for it any more."""
        case = self._cases.pop(key, None)
        if case and case.question:
            case.question.cancel()

    def look(self, key: Key, stager: Stager | None) -> tuple[Progress | None, float | None]:
        """What is known, and after how many seconds to look again; None: when something changes."""
        if stager is None:
            self.forget(key)
            return None, None
        case = self._cases.get(key)
        if case is None or case.stager != stager:
            self.forget(key)
            case = self._cases[key] = _Case(stager, self._clock())
        if case.question is None and self._clock() >= case.due:
            case.question = asyncio.create_task(self._question(key, case), name=f"progress of {'/'.join(key)}")
        return case.known, None if case.question else case.due - self._clock()

    async def close(self) -> None:
        questions = [case.question for case in self._cases.values() if case.question]
        for key in list(self._cases):
            self.forget(key)
        await asyncio.gather(*questions, return_exceptions=True)

    async def _question(self, key: Key, case: _Case) -> None:
        try:
            case.known, case.unanswered = await self._ask(case.stager.address), 0
        except NoAnswer as error:
            case.unanswered += 1
            log.debug("progress not told", model="/".join(key), why=str(error))
            if case.unanswered > FORGIVEN:
                case.known = None
        pause = PAUSE_SECONDS * 2.0 ** min(case.unanswered, 10)
        case.due, case.question = self._clock() + min(pause, LAST_PAUSE), None
        self._wake(key)
