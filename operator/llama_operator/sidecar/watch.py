"""The eyes and the hand of the sidecar: look at llama-server again and again, and end it when it hangs."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

from msgspec.structs import replace

from llama_operator.api.sidecar import Facts, Request
from llama_operator.sidecar import describe, judge, opened, process
from llama_operator.sidecar.client import Client, Reply
from llama_operator.sidecar.inquiry import SLEEPS, Inquiry
from llama_operator.sidecar.process import Found
from llama_operator.sidecar.question import Question
from llama_operator.sidecar.smoke import smoke

YOUNG_SECONDS, OLD_SECONDS, YOUNG_SHARE = 0.05, 0.5, 0.05
"""Between two looks at a server that has not answered yet: somebody waits for it. So a start is found out late by a
twentieth of what it has taken, and a model that loads for half an hour is not asked more than twice a second."""
ANSWER_SECONDS = 1.0
"""How long a look waits for each answer, which may come later."""
HEALTH_SECONDS = 10.0
AGAIN_SECONDS = 10.0
"""From a first request that was not answered to the next one."""


class Watch:
    """One thread looks; others may read `facts` and `serves`, which are replaced as a whole, and wait for an answer."""

    def __init__(self, request: Request, client: Client, say: Callable[[str], None]) -> None:
        self._request, self._client, self._say = request, client, say
        self._news, self._wake = threading.Condition(), threading.Event()
        self._patience = judge.Patience(request.waiting, request.computing)
        self._ended = ""
        self._begin(None)

    def run(self) -> None:
        """For ever. Nothing may end it: a pod whose sidecar does not run gets no requests."""
        while True:
            begun = time.monotonic()
            try:
                self.look(begun)
            except Exception:
                self._say(traceback.format_exc())
            pause = judge.LOOK_SECONDS if self.facts.answered else young(begun - self._since)
            self._wake.wait(max(begun + pause - time.monotonic(), 0.0))
            self._wake.clear()

    def look(self, now: float) -> None:
        """`now`: seconds of a clock."""
        found = process.find(self._request.port)
        if (found.process if found else None) != (self._found.process if self._found else None):
            self._begin(found)
        thread = process.main_thread(found.process) if found else None
        reply = self._health.answer(ANSWER_SECONDS)
        health = reply.status if reply else None
        if health in (judge.NOBODY, judge.LOADING):
            if self.facts.answered:
                self._begin(found)
            self.serves = False
            self._state = judge.State(now, thread)
            return
        activity = self._inquiry.activity(ANSWER_SECONDS)
        self._state = judge.judge(self._state, judge.Seen(now, health, self._inquiry.tells, activity, thread))
        verdict = judge.verdict(self._state, self._patience)
        if verdict and found:
            self.serves = False
            self._end(found, verdict)
        elif health is not None:
            self.serves = True
            self._meet(now)

    def has_answered(self, seconds: float) -> bool:
        """Whether the server that runs at this moment has answered a request, or does so within so many seconds."""
        with self._news:
            return self._news.wait_for(self._has_answered, seconds)

    def _has_answered(self) -> bool:
        """The last look may have been at another server, which the kubelet replaces faster than we look."""
        found = self._found
        gone = self.facts.answered and found is not None and process.main_thread(found.process) is None
        if gone:
            self._wake.set()
        return self.facts.answered and not gone

    def _know(self, facts: Facts, found: Found | None) -> None:
        """What is known, and of which process; whoever waits for that looks again."""
        with self._news:
            self.facts, self._found = facts, found
            self._news.notify_all()

    def _begin(self, found: Found | None) -> None:
        """Another process, of which nothing is known."""
        self._since = time.monotonic()
        self._state = judge.State(self._since)
        self._health: Question[Reply] = Question(lambda: self._client.ask("/health", HEALTH_SECONDS))
        self._inquiry: Inquiry = Inquiry(self._client, found.arguments if found else ())
        self._smoke: Question[str] = Question(lambda: smoke(self._client, self._request.mode))
        self._describe: Question[Facts] = Question(lambda: self._described(found))
        self._again = 0.0
        self.serves = False
        self._know(Facts(ended=self._ended), found)

    def _meet(self, now: float) -> None:
        """Have it answer a request, which somebody waits for, and say what it is; each once."""
        if not self.facts.answered and now >= self._again:
            self._try(now)
        if not self.facts.build and not self.facts.slots:
            told = self._describe.answer(ANSWER_SECONDS)
            if told:
                facts = self.facts
                told = replace(told, answered=facts.answered, problem=facts.problem, ended=facts.ended)
                self._know(told, self._found)

    def _try(self, now: float) -> None:
        problem = self._smoke.answer(ANSWER_SECONDS)
        if problem is None:
            return
        if problem:
            self._say(f"not ready: {problem}")
            self._again = now + AGAIN_SECONDS
        else:
            self._say("llama-server has answered a first request")
        self._know(replace(self.facts, answered=not problem, problem=problem), self._found)

    def _described(self, found: Found | None) -> Facts:
        told = describe.facts(
            self._client.ask("/props", HEALTH_SECONDS), self._client.ask("/v1/models", HEALTH_SECONDS)
        )
        if found is None:
            return told
        # Who sleeps opens the file again when it wakes, and nobody would look.
        sha256 = "" if SLEEPS in found.arguments else opened.digest(found.process, told.model)
        return replace(told, sha256=sha256, devices=opened.devices(found.process))

    def _end(self, found: Found, verdict: str) -> None:
        self._ended = verdict
        self._know(replace(self.facts, ended=verdict), self._found)
        self._say(f"llama-server (process {found.process.pid}) hangs, and is ended: {verdict}")
        process.end(found.process)


def young(age: float) -> float:
    """Seconds from one look to the next, at a server that has not answered yet; `age`: for how long it has not."""
    return min(max(age * YOUNG_SHARE, YOUNG_SECONDS), OLD_SECONDS)
