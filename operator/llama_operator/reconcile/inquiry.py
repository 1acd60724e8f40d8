"""Asks for the Kubernetes events about what is unexplained, seldom and only then.

The first question waits until something has been unexplained for a while, so that a start that goes well costs no
call. Then the pauses double: no answer is older than the trouble itself, and trouble that stays costs next to
nothing. All models share one slow pace, for what stops thousands of them at once has mostly one cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.reconcile import status
from llama_operator.reconcile.evidence import Evidence, Suspect, judge
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.status import Observed
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.logs import Log

FIRST_SECONDS = 2.0
"""Longer than the volumes, the network and the sandbox of a pod take where all is well."""
LAST_SECONDS = 600.0
"""As seldom as everything is listed again."""
OVERDUE_SECONDS = 60.0
"""Without explanation for as long, silence is told, too. Storage of a cloud may take most of it."""
PACE_SECONDS = 0.2
"""Between questions of all models together: a tenth of the calls that the client may make in a second by default."""

log = Log(__name__)


@dataclass
class _Case:
    """What is unexplained about one model. Times are the clock's."""

    since: dict[Suspect, float]
    due: float
    pause: float = FIRST_SECONDS
    queued: bool = False
    found: dict[Suspect, Finding] = field(default_factory=dict)


class Inquiry:
    """Remembers as many models as have something unexplained."""

    def __init__(self, *, cache: Cache, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._cases: dict[Key, _Case] = {}
        self._free_at = clock()

    def forget(self, key: Key) -> None:
        self._cases.pop(key, None)

    async def inquire(self, key: Key) -> tuple[Evidence, float | None]:
        """What events have told so far, and after how many seconds to inquire again; None: when something changes.

        At most one call for each of the few suspects. One that fails is logged, and tried again after the next pause.
        """
        seen = self._cache.snapshot(key)
        unexplained = status.unexplained(seen.model, Observed(seen.children, seen.pods)) if seen.model else []
        if not unexplained:
            self.forget(key)
            return {}, None
        case, now = self._case(key, unexplained), self._clock()
        if now >= case.due and not case.queued:
            case.due, case.queued = max(now, self._free_at), True
            self._free_at = case.due + PACE_SECONDS
        if now >= case.due:
            for suspect in unexplained:
                await self._ask(key, suspect, case, overdue=now - case.since[suspect] >= OVERDUE_SECONDS)
            case.due, case.queued = now + case.pause, False
            case.pause = min(2 * case.pause, LAST_SECONDS)
        return case.found, case.due - now

    def _case(self, key: Key, unexplained: list[Suspect]) -> _Case:
        """The model's case. A new suspect is asked about soon, and the old ones with it."""
        now, known = self._clock(), self._cases.get(key)
        if known and known.since.keys() == set(unexplained):
            return known
        before = known.since if known else {}
        case = _Case({suspect: before.get(suspect, now) for suspect in unexplained}, now + FIRST_SECONDS)
        if known:
            case.found = {suspect: finding for suspect, finding in known.found.items() if suspect in case.since}
        self._cases[key] = case
        return case

    async def _ask(self, key: Key, suspect: Suspect, case: _Case, *, overdue: bool) -> None:
        try:
            events = await self._client.list_events(key[0], suspect.kind, suspect.name, suspect.uid)
        except errors.APIError as error:
            log.warning("events not read", model="/".join(key), kind=suspect.kind, name=suspect.name, error=str(error))
            events = ()
        finding = judge(suspect, events, overdue=overdue)
        if finding:
            case.found[suspect] = finding
            log.info("events read", model="/".join(key), reason=finding.reason, detail=finding.message)
