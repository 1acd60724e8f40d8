"""Against endless quarrels: somebody undoes each of our writes, at once, and we do it again, at once, for ever.

A mutating webhook can do that, or another controller with another opinion. The first repairs are immediate, as a hand
edit deserves; one that does not hold is made less and less often.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llama_operator.runtime.cache import Key

Ref = tuple[str, str]
"""Kind and name of a child."""

FREE = 5
"""Writes of the same content that cost no delay."""
CONTESTED = 10
"""Writes of the same content after which it is a quarrel and no person who tries things out; half a minute, by then."""
FIRST_DELAY = 1.0
LAST_DELAY = 300.0
CALM_SECONDS = 600.0
"""After so long without a repair the quarrel is over."""


@dataclass(frozen=True)
class _Writes:
    content: str
    count: int
    last: float


class Damper:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writes: dict[Key, dict[Ref, _Writes]] = {}

    def wrote(self, key: Key, ref: Ref, content: str) -> None:
        """A child was written; `content` is its fingerprint."""
        now, before = self._clock(), self._known(key, ref, content)
        self._writes.setdefault(key, {})[ref] = _Writes(content, before.count + 1 if before else 1, now)

    def wait(self, key: Key, ref: Ref, content: str) -> float:
        """Seconds until the child may be written with this content again; 0 is now."""
        known = self._known(key, ref, content)
        if known is None or known.count < FREE:
            return 0.0
        delay = min(FIRST_DELAY * 2.0 ** min(known.count - FREE, 30), LAST_DELAY)
        return max(known.last + delay - self._clock(), 0.0)

    def quarrel(self, key: Key) -> tuple[Ref, float] | None:
        """The child about which there is a quarrel, and after how many seconds it will be over if nobody goes on."""
        for ref, writes in self._writes.get(key, {}).items():
            left = writes.last + CALM_SECONDS - self._clock()
            if writes.count >= CONTESTED and left > 0:
                return ref, left
        return None

    def forget(self, key: Key) -> None:
        """The model has gone."""
        self._writes.pop(key, None)

    def _known(self, key: Key, ref: Ref, content: str) -> _Writes | None:
        known = self._writes.get(key, {}).get(ref)
        same = known is not None and known.content == content and self._clock() - known.last <= CALM_SECONDS
        return known if same else None
