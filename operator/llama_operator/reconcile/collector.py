"""Has unused files removed from shared volumes: by a Job, at the right moments, and not too often.

Each look at a model compares the links it has used with those that anybody uses now. Those that nobody uses any more
are collected at once where the models say `whenUnused: Delete`; and whatever the models say, room is made when a stager
has none. An operator that was away when a model went has not seen that; so volumes with `Delete` are collected once a
day as well, beginning an hour after the start: a restart writes nothing.

The list of what is in use must be complete, so this asks for a cache that has listed everything (as all reconciles do).
A pod of a model that is not in it cannot be: the operator makes the pods.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import NO_VERSION, Client
from llama_operator.reconcile import caches
from llama_operator.reconcile.caches import Volume
from llama_operator.reconcile.plan import controller_uid
from llama_operator.resources.collect import collect_job
from llama_operator.runtime.cache import Cache, Key, Snapshot
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

PAUSE_SECONDS = 60.0
"""Between two Jobs for one volume; doubled as long as nothing has become unused since the last."""
LAST_PAUSE = 3600.0
FIRST_SWEEP = 3600.0
SWEEP_SECONDS = 24 * 3600.0

log = Log(__name__)


@dataclass
class _Use:
    """What a model uses, or has used, and what it said of it when it last had a cache: `model` is from then."""

    links: dict[Volume, set[str]] = field(default_factory=dict)
    model: LlamaModel | None = None
    attempt: str = ""


@dataclass(frozen=True)
class _Want:
    """Why a Job is needed: a model that gives up files, or whose stager has no room for `need` bytes (0: for none)."""

    model: LlamaModel
    need: int = 0


@dataclass
class _Volume:
    """A volume's next Job. Times are the clock's."""

    sweep_at: float
    wanted: _Want | None = None
    free_at: float = 0.0
    pause: float = PAUSE_SECONDS
    last: frozenset[str] | None = None


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
        self._volumes: dict[Volume, _Volume] = {}

    async def look(self, key: Key, model: LlamaModel | None, seen: Snapshot) -> float | None:
        """See what the model uses now, and make the Jobs that are due. `model` is None if it has gone.

        Returns after how many seconds to look again; None: when something changes. A Job that cannot be made is
        logged, and tried again later: nothing else waits for it.
        """
        self._release(key, model, seen)
        if model and key in self._uses:
            self._press(key, model, seen)
            self._sweep(key, model)
        for volume, state in list(self._volumes.items()):
            if state.wanted and self._clock() >= state.free_at:
                await self._collect(volume, state, state.wanted)
        waiting = [state.free_at for state in self._volumes.values() if state.wanted]
        return max(min(waiting) - self._clock(), 0.0) if waiting else None

    def _release(self, key: Key, model: LlamaModel | None, seen: Snapshot) -> None:
        use = self._uses.get(key, _Use())
        now = caches.used(model, _deployment(model, seen), seen.pods)
        if model and caches.of(model):
            use.model = model  # else it may have left the cache, and its pods not yet
        for volume in use.links.keys() | now.keys():
            links = use.links.get(volume, set()) | now.get(volume, set())
            if gone := links - now.get(volume, set()):
                gone -= self._live(volume)
                if gone and use.model and caches.deletes(use.model):
                    self._want(volume, _Want(use.model))
            use.links[volume] = links - gone
        use.links = {volume: links for volume, links in use.links.items() if links}
        if use.links:
            self._uses[key] = use
        else:
            self._uses.pop(key, None)

    def _press(self, key: Key, model: LlamaModel, seen: Snapshot) -> None:
        pressure = caches.pressure(model, seen.pods)
        if pressure and pressure.attempt != self._uses[key].attempt:
            self._uses[key].attempt = pressure.attempt
            self._want(pressure.volume, _Want(model, pressure.need), pressed=True)

    def _sweep(self, key: Key, model: LlamaModel) -> None:
        for volume in self._uses[key].links:
            state = self._state(volume)
            if self._clock() >= state.sweep_at:
                state.sweep_at = self._clock() + SWEEP_SECONDS
                self._want(volume, _Want(model))

    def _want(self, volume: Volume, want: _Want, *, pressed: bool = False) -> None:
        if volume.node_path and (not volume.node or volume.node_path not in self._config.node_paths):
            return
        if not pressed and caches.keeps(self._cache.objects(constants.KIND), volume):
            return
        state = self._state(volume)
        if state.wanted is None or 0 < state.wanted.need < want.need or want.need == 0:
            state.wanted = want  # one that removes all is enough for everybody

    def _state(self, volume: Volume) -> _Volume:
        return self._volumes.setdefault(volume, _Volume(sweep_at=self._started + FIRST_SWEEP))

    async def _collect(self, volume: Volume, state: _Volume, want: _Want) -> None:
        as_of, live = int(self._now()), frozenset(self._live(volume))
        state.pause = min(2 * state.pause, LAST_PAUSE) if live == state.last else PAUSE_SECONDS
        state.free_at, state.wanted, state.last = self._clock() + state.pause, None, live
        job = collect_job(
            namespace=volume.namespace or want.model.namespace,
            claim_name=volume.claim_name,
            node_path=volume.node_path,
            node=volume.node,
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
            state.wanted = state.wanted or want
        else:
            log.info("collecting", in_use=len(live), **about)

    def _live(self, volume: Volume) -> set[str]:
        """Links that anybody uses who can reach the volume."""
        scope = volume.namespace or None
        others = [obj for kind in ("Deployment", "Job", "Pod") for obj in self._cache.objects(kind, scope)]
        return caches.live(self._cache.objects(constants.KIND, scope), others)


def _deployment(model: LlamaModel | None, seen: Snapshot) -> Object:
    """That of this very model: one of a deleted model of its name may still be there."""
    for child in seen.children:
        if child["kind"] == "Deployment" and model and controller_uid(child) == model.uid:
            return child
    return {}
