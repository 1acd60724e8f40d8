"""What the probes ask: is this process still doing its work?

An operator whose watch has died, or whose workers hang, looks idle from outside: healthy, and doing nothing. So
liveness asks for proof of progress. It does not ask whether the API server can be reached: a restart mends nothing
there. Of a process that stands by for the leader nothing is expected yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

WATCH_SECONDS = 180.0
"""In which a watch has to report what we know from elsewhere. kopf takes a silent watch for dead after 70 s."""
QUEUE_SECONDS = 300.0
"""In which some reconcile has to end while there is work. The longest, a chain of timeouts, takes about 200 s."""
KEY_SECONDS = 600.0
"""In which each reconcile has to end. None makes 20 calls in a row, and a call times out after 30 s."""
RESYNC_SECONDS = 300.0
"""By which a resync may be late: the time for the lists themselves and the pauses after failures."""
LISTS = 3
"""Periods after which the last full list is too old to call the process ready."""


@dataclass(frozen=True)
class Health:
    """`period`: seconds between two full lists. `leader`: whether this process is the one that does the work."""

    cache: Cache
    queue: WorkQueue[Key]
    resync: Resync
    period: float
    leader: Callable[[], bool] = lambda: True
    clock: Callable[[], float] = time.monotonic

    def ailments(self) -> list[str]:
        """Why the process should be restarted; empty when it is well."""
        if self.leader():
            return [*self._watch(), *self._lists(), *self._queue()]
        return [] if self._stands_by() else ["another may lead, and this process, which did, has not ended"]

    def unready(self) -> list[str]:
        """Why nobody should count on the process; empty when it does its work, or stands by to do it."""
        return [*self._ignorance(), *self.ailments()]

    def list_age(self) -> float | None:
        """Seconds since everything was last listed; None before the first time."""
        return None if self.resync.listed_at is None else self.clock() - self.resync.listed_at

    def _stands_by(self) -> bool:
        """It has never led: who leads begins with a list."""
        return not self.leader() and self.resync.listed_at is None

    def _ignorance(self) -> list[str]:
        age = self.list_age()
        if age is None:
            return [] if self._stands_by() else ["not everything has been listed yet"]
        old = age > LISTS * self.period
        return [f"nothing has been listed for {age:.0f} s: is the API server away?"] if old else []

    def _watch(self) -> list[str]:
        listed, since = self.resync.listed_at, self.cache.unconfirmed_since()
        if listed is None or since is None or listed - since <= WATCH_SECONDS:
            return []
        return [f"a list showed news that no watch has reported for {listed - since:.0f} s"]

    def _lists(self) -> list[str]:
        late = self.clock() - self.resync.tried_at
        return [f"no list has been tried for {late:.0f} s"] if late > self.period * 1.1 + RESYNC_SECONDS else []

    def _queue(self) -> list[str]:
        found = []
        stuck = self.queue.stuck_for()
        if stuck > QUEUE_SECONDS:
            found.append(f"work is waiting, but none has been finished for {stuck:.0f} s")
        match self.queue.longest_busy():
            case (key, seconds) if seconds > KEY_SECONDS:
                found.append(f"a worker has been at {'/'.join(key)} for {seconds:.0f} s")
        return found
