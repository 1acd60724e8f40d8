"""Has unused files removed from shared volumes: by a Job, at the right moments, and not too often.

Each look at a model compares the links it has used with those that it uses now. Those that it has given up are removed,
if nobody else uses them, where the models say `whenUnused: Delete`, and once more a little later; and whatever they
say, room is made when a stager has none. An operator that was away when a model went has not seen that; so volumes with
`Delete` are collected once a day as well, beginning an hour after the start: a restart writes nothing.

The list of what is in use must be complete, so this asks for a cache that has listed everything (as all reconciles do).
A pod of a model that is not in it cannot be: the operator makes the pods. The list is made once for each Job, for it
takes a look at every model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from llama_operator import constants
from llama_operator.api.staging import MARGIN_SECONDS
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import NO_VERSION, Client
from llama_operator.reconcile import caches
from llama_operator.reconcile.caches import Volume
from llama_operator.reconcile.plan import deployment_of
from llama_operator.resources.collect import collect_job
from llama_operator.runtime.cache import Cache, Key, Snapshot
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

PAUSE_SECONDS = 60.0
"""Between two Jobs for one volume; doubled as long as nothing has become unused since the last."""
LAST_PAUSE = 3600.0
FIRST_SWEEP = 3600.0
SWEEP_SECONDS = 24 * 3600.0
AGAIN_SECONDS = MARGIN_SECONDS + PAUSE_SECONDS
"""After what was given up: a file that had only just been staged is kept the first time."""

log = Log(__name__)


class _Cause(IntEnum):
    """Why a Job may be needed; the greater one counts."""

    RELEASE = 1
    SWEEP = 2
    PRESSURE = 3


@dataclass(frozen=True)
class _Want:
    """`model` tells where the Job runs. With PRESSURE, `need` are the bytes (0: all that is unused)."""

    cause: _Cause
    model: LlamaModel
    need: int = 0


@dataclass
class _Use:
    """What a model uses, or has used, and what it said of it when it last had a cache: `model` is from then."""

    model: LlamaModel
    links: dict[Volume, set[str]] = field(default_factory=dict)


@dataclass
class _Volume:
    """A volume's next Job. `released`: links that their models do not use any more. Times are the clock's."""

    sweep_at: float
    released: set[str] = field(default_factory=set)
    want: _Want | None = None
    free_at: float = 0.0
    pause: float = PAUSE_SECONDS
    last: frozenset[str] | None = None
    again: tuple[float, LlamaModel] | None = None


class Collector:
    """Remembers the models and the volumes of caches. `now`: Unix time."""

    def __init__(
        self,
        *,
        config: Config,
        cache: Cache,
        client: Client,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._cache = cache
        self._client = client
        self._clock = clock
        self._now = now
        self._started = clock()
        self._uses: dict[Key, _Use] = {}
        self._attempts: dict[Key, str] = {}
        self._volumes: dict[Volume, _Volume] = {}

    async def look(self, key: Key, model: LlamaModel | None, seen: Snapshot) -> float | None:
        """See what the model uses now, and make the Jobs that are due. `model` is None if it has gone.

        Returns after how many seconds to look again; None: when something changes. A Job that cannot be made is
        logged, and tried again later: nothing else waits for it.
        """
        self._release(key, model, seen)
        self._press(key, model, seen)
        self._sweep(key)
        for volume, state in list(self._volumes.items()):
            if state.again and self._clock() >= state.again[0]:
                self._want(volume, _Want(_Cause.SWEEP, state.again[1]))
                state.again = None
            if state.want and self._clock() >= state.free_at:
                await self._collect(volume, state, state.want)
        waiting = [state.free_at for state in self._volumes.values() if state.want]
        waiting += [at for at, model in self._again() if (model.namespace, model.name) == key]
        return max(min(waiting) - self._clock(), 0.0) if waiting else None

    def _again(self) -> list[tuple[float, LlamaModel]]:
        return [state.again for state in self._volumes.values() if state.again]

    def _release(self, key: Key, model: LlamaModel | None, seen: Snapshot) -> None:
        now = caches.used(model, deployment_of(model.uid, seen.children) if model else {}, seen.pods)
        use = self._uses.get(key)
        if model and caches.of(model):
            use = _Use(model, use.links if use else {})  # else it may have left the cache, and its pods not yet
        if use is None:
            return
        mine = caches.links_of([*seen.children, *seen.pods])
        links: dict[Volume, set[str]] = {}
        for volume in use.links.keys() | now.keys():
            used, before = now.get(volume, set()), use.links.get(volume, set())
            links[volume] = used | (before & mine)
            gone = before - links[volume]
            if not gone:
                continue
            state = self._state(volume)  # there may be something to collect now, so the next Job is not in vain
            state.pause, state.free_at = PAUSE_SECONDS, min(state.free_at, self._clock() + PAUSE_SECONDS)
            if caches.deletes(use.model):
                self._want(volume, _Want(_Cause.RELEASE, use.model))
                state.released |= gone
        use.links = {volume: some for volume, some in links.items() if some}
        if use.links:
            self._uses[key] = use
        else:
            self._uses.pop(key, None)

    def _press(self, key: Key, model: LlamaModel | None, seen: Snapshot) -> None:
        pressure = caches.pressure(model, seen.pods) if model else None
        if model is None or pressure is None:
            self._attempts.pop(key, None)
        elif pressure.attempt != self._attempts.get(key):
            self._attempts[key] = pressure.attempt
            self._want(pressure.volume, _Want(_Cause.PRESSURE, model, pressure.need))

    def _sweep(self, key: Key) -> None:
        use = self._uses.get(key)
        for volume in use.links if use else ():
            state = self._state(volume)
            if use and caches.deletes(use.model) and self._clock() >= state.sweep_at:
                state.sweep_at = self._clock() + SWEEP_SECONDS
                self._want(volume, _Want(_Cause.SWEEP, use.model))

    def _want(self, volume: Volume, want: _Want) -> None:
        if volume.node_path and (not volume.node or volume.node_path not in self._config.node_paths):
            return
        state, before = self._state(volume), self._state(volume).want
        if before and before.cause == want.cause:
            more = want.need == 0 or 0 < before.need < want.need
        else:
            more = before is None or before.cause < want.cause
        state.want = want if more else before

    def _state(self, volume: Volume) -> _Volume:
        return self._volumes.setdefault(volume, _Volume(sweep_at=self._started + FIRST_SWEEP))

    async def _collect(self, volume: Volume, state: _Volume, want: _Want) -> None:
        as_of, models = int(self._now()), self._cache.objects(constants.KIND, volume.namespace)
        pods = self._cache.objects("Pod", volume.namespace)
        live = frozenset(self._live(volume, models, pods))
        unused = bool(state.released - live) or want.cause != _Cause.RELEASE
        state.want, state.released = None, set()
        state.free_at = self._clock() + PAUSE_SECONDS
        kept = want.cause != _Cause.PRESSURE and caches.keeps(models, volume)
        if kept or not unused:
            return
        state.pause = min(2 * state.pause, LAST_PAUSE) if live == state.last else PAUSE_SECONDS
        state.free_at, state.last = self._clock() + state.pause, live
        job = collect_job(
            namespace=volume.namespace,
            claim_name=volume.claim_name,
            node_path=volume.node_path,
            node=volume.node or caches.node_of(volume.claim_name, pods),
            live=tuple(sorted(live)),
            as_of=as_of,
            need=want.need,
            quota=caches.quota(want.model),
            placement=want.model.spec.pod,
            bucket=as_of // int(PAUSE_SECONDS),
            config=self._config,
        )
        job["metadata"]["resourceVersion"] = NO_VERSION
        about = {
            "namespace": job["metadata"]["namespace"],
            "job": job["metadata"]["name"],
            "volume": volume.claim_name or f"{volume.node_path} on {volume.node}",
        }
        try:
            await self._client.apply(kinds.BY_NAME["Job"], job)
        except errors.Conflict:
            log.info("being collected already", **about)
        except errors.APIError as error:
            log.warning("not collected", error=str(error), **about)
            again = _Cause.SWEEP if want.cause == _Cause.RELEASE else want.cause  # what was released is known no more
            self._want(volume, replace(want, cause=again))
        else:
            if want.cause == _Cause.RELEASE:
                state.again = self._clock() + AGAIN_SECONDS, want.model
            log.info("collecting", in_use=len(live), **about)

    def _live(self, volume: Volume, models: list[Object], pods: list[Object]) -> set[str]:
        """Links that anybody uses who can reach the volume."""
        others = [obj for kind in ("Deployment", "Job") for obj in self._cache.objects(kind, volume.namespace)]
        return caches.live(models, [*others, *pods])
