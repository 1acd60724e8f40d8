"""Makes the Secret with a model's API key: once, and again when pods miss it.

Nobody may read Secrets here. That one was made is told by the Deployment that mounts it (`plan`), and that it is gone
by the pods that wait for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.kube.kinds import BY_NAME, SECRET
from llama_operator.reconcile.evidence import Evidence
from llama_operator.resources.auth import KEY
from llama_operator.runtime.cache import Key
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

YOUNG_SECONDS = 10.0
"""A Secret that a model of this age finds may be that of the model before it, which is about to be collected."""
AGAIN_SECONDS = 60.0
"""Between two attempts to make a Secret that pods miss. The kubelet tries again within two minutes."""

RESTARTED = "kubectl.kubernetes.io/restartedAt"
DEPLOYMENT = BY_NAME["Deployment"]

log = Log(__name__)


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
        if not await self._generate(key, secret) and self._age(model) < YOUNG_SECONDS:
            return False
        self._there[key] = uid
        return True

    def missed(self, key: Key, secret: Object, evidence: Evidence) -> bool:
        """Whether a pod waits for this Secret, in the kubelet's words (k8s.io/kubernetes pkg/volume/secret), and nobody
        has just tried to make it."""
        tried, words = self._tried.get(key), f'secret "{secret["metadata"]["name"]}" not found'
        if tried and self._clock() - tried < AGAIN_SECONDS:
            return False
        return any(words in finding.message for finding in evidence.values())

    async def restore(self, key: Key, secret: Object, holders: Object | None) -> None:
        """Make one again that is `missed`. That it cannot be made is no news: what the pods say is in the status.

        `holders`: the Deployment, if pods of it go on with the key of before. They are replaced then, by the same
        annotation as of `kubectl rollout restart`: otherwise each of two keys would be refused by some of the servers.
        That comes first, so it is not forgotten. Raises `errors.Conflict` if the Deployment is another one by now.
        """
        try:
            if holders and await self._lacks(secret):
                since = datetime.fromtimestamp(self._now(), UTC).isoformat()
                template = {"metadata": {"annotations": {RESTARTED: since}}}
                await self._client.patch(DEPLOYMENT, holders, {"spec": {"template": template}})
                log.warning("servers are replaced", model="/".join(key), why="the API key is made again")
            self._tried[key] = self._clock()
            await self._generate(key, secret)
        except errors.Conflict:
            raise
        except errors.APIError as error:
            self._tried[key] = self._clock()
            log.warning("API key not made again", model="/".join(key), error=str(error))

    async def _lacks(self, secret: Object) -> bool:
        """Whether there is none: the kubelet's words may be older than one that has been made since."""
        try:
            await self._client.create(SECRET, secret, dry_run=True)
        except errors.Conflict:
            return False
        return True

    async def _generate(self, key: Key, secret: Object) -> bool:
        """Whether it was made with a new key; else there is one."""
        try:
            # 256 bits, as hexadecimal digits: no client, header or shell takes them for anything else.
            await self._client.create(SECRET, {**secret, "stringData": {KEY: secrets.token_hex(32)}})
        except errors.Conflict:
            return False
        log.info("generated an API key", model="/".join(key), name=secret["metadata"]["name"], why="absent")
        return True

    def _age(self, model: Object) -> float:
        return self._now() - datetime.fromisoformat(model["metadata"]["creationTimestamp"]).timestamp()
