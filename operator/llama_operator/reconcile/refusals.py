"""Requests that the API server has refused: the same request would get the same answer, so it is not repeated at once.

"The same" is told by a fingerprint of the request. With a new spec all is tried again: somebody has seen to something.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llama_operator.reconcile.status import Failure
from llama_operator.runtime.cache import Key

Ref = tuple[str, str]
"""Kind and name of a child."""


@dataclass(frozen=True)
class Outcome:
    """What stands in the way, if anything does, and after how many seconds to look again without being told to."""

    failure: Failure | None = None
    again: float | None = None


@dataclass(frozen=True)
class _Refusal:
    request: str
    failure: Failure
    until: float


class Refusals:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[Key, dict[Ref, _Refusal]] = {}
        self._generations: dict[Key, int] = {}

    def begin(self, key: Key, generation: int) -> None:
        """Forget what was refused to another generation of the spec."""
        if self._generations.get(key) != generation:
            self.forget(key)
            self._generations[key] = generation

    def remember(self, key: Key, ref: Ref, request: str, failure: Failure, seconds: float) -> Outcome:
        self._refusals.setdefault(key, {})[ref] = _Refusal(request, failure, self._clock() + seconds)
        return Outcome(failure, seconds)

    def recall(self, key: Key, ref: Ref, request: str) -> Outcome | None:
        """The answer that this request got, as long as it is worth remembering."""
        refusal = self._refusals.get(key, {}).get(ref)
        if refusal is None or refusal.request != request:
            return None
        left = refusal.until - self._clock()
        return Outcome(refusal.failure, left) if left > 0 else None

    def forget(self, key: Key) -> None:
        self._refusals.pop(key, None)
        self._generations.pop(key, None)
