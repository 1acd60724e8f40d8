"""Makes the Secret with a model's API key: once, and again when pods miss it.

Nobody may read Secrets here. That one was made is told by the Deployment that mounts it (`plan`), and that it is gone
by the pods that wait for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.kube.kinds import SECRET
from llama_operator.reconcile.evidence import Evidence
from llama_operator.resources.auth import KEY
from llama_operator.runtime.cache import Key
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

YOUNG_SECONDS = 10.0
"""A Secret that a model of this age finds may be that of the model before it, which is about to be collected."""
AGAIN_SECONDS = 60.0
"""Between two attempts to make a Secret that pods miss. The kubelet tries again within two minutes."""

log = Log(__name__)


def missed(name: str, evidence: Evidence) -> bool:
    """Whether a pod waits for this Secret, in the kubelet's words (k8s.io/kubernetes pkg/volume/secret)."""
    return any(f'secret "{name}" not found' in finding.message for finding in evidence.values())


class Keys:
    """`clock` measures pauses, `now` is Unix time."""

    def __init__(self, client: Client, clock: Callable[[], float], now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._now = now
        self._there: dict[Key, str] = {}
        """uid of the model whose Secret is known to be there: its Deployment may be refused again and again."""
        self._tried: dict[Key, float] = {}

    def forget(self, key: Key) -> None:
        """The model has gone."""
        self._there.pop(key, None)
        self._tried.pop(key, None)

    async def make(self, key: Key, model: Object, secret: Object) -> bool:
        """Whether the Secret is there now, with a new key or with what was in it already.

        Raises what the API server answers otherwise.
        """
        uid = model["metadata"]["uid"]
        if self._there.get(key) == uid:
            return True
        try:
            # 256 bits, as hexadecimal digits: no client, header or shell takes them for anything else.
            await self._client.create(SECRET, {**secret, "stringData": {KEY: secrets.token_hex(32)}})
        except errors.Conflict:
            if self._age(model) < YOUNG_SECONDS:
                return False
        else:
            log.info("generated an API key", model="/".join(key), name=secret["metadata"]["name"], why="absent")
        self._there[key] = uid
        return True

    async def restore(self, key: Key, model: Object, secret: Object, evidence: Evidence) -> None:
        """Make it again if pods miss it. That it cannot be made is no news: what the pods say is in the status."""
        tried = self._tried.get(key)
        if not missed(secret["metadata"]["name"], evidence) or (tried and self._clock() - tried < AGAIN_SECONDS):
            return
        self._tried[key] = self._clock()
        self._there.pop(key, None)
        try:
            await self.make(key, model, secret)
        except errors.APIError as error:
            log.warning("API key not made again", model="/".join(key), error=str(error))

    def _age(self, model: Object) -> float:
        return self._now() - datetime.fromisoformat(model["metadata"]["creationTimestamp"]).timestamp()
