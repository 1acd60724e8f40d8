"""For how long containers could not be started: a pod says that it is so, and not since when.

Seen, and not computed from another time of the pod: between the end of its staging and the first error there may be the
ten minutes in which a large image is fetched. An operator that is started anew counts anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_operator.reconcile.pods import Container, blocked
from llama_operator.runtime.cache import Key

Object = dict[str, Any]


class Blockades:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[Key, dict[Container, float]] = {}

    def look(self, key: Key, pods: Sequence[Object]) -> Mapping[Container, float]:
        """Seconds since each container of the model's pods that cannot be started was first seen so; one that could be
        meanwhile begins anew."""
        now, before = self._clock(), self._since.pop(key, {})
        since = {container: before.get(container, now) for container in blocked(pods)}
        if since:
            self._since[key] = since
        return {container: now - first for container, first in since.items()}

    def forget(self, key: Key) -> None:
        self._since.pop(key, None)
