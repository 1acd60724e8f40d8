"""Carries a plan out: apply by server-side apply, then prune; and knows what not to try again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from llama_operator import constants
from llama_operator.api.conditions import Reason
from llama_operator.kube import errors, kinds
from llama_operator.kube.client import NO_VERSION, Client
from llama_operator.reconcile import advice, clearing, guard, imagevolumes, pods, stagers, workload
from llama_operator.reconcile.damper import Damper
from llama_operator.reconcile.evidence import Evidence
from llama_operator.reconcile.keys import Keys
from llama_operator.reconcile.plan import Plan, beside, controller_uid, deployment_of
from llama_operator.reconcile.plan import key as ref_of
from llama_operator.reconcile.refusals import Outcome, Refusals
from llama_operator.reconcile.status import Failure
from llama_operator.runtime.cache import Cache, Key, Snapshot
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

RECHECK_SECONDS = 60.0
"""After which a name that was taken is looked up again, and what was forbidden is tried: nobody tells us when a foreign
object goes, or that a quota or a right is another one."""
LEFTOVER_SECONDS = 5.0
"""After which we look again whether a leftover has gone. Usually a watch tells us earlier."""

log = Log(__name__)


class _NoImageVolumes(Exception):
    """The API server would take the image volumes out of a child."""


class Executor:
    """`refusal_seconds`: after which a refused request is tried again although the spec has not changed."""

    def __init__(
        self, *, cache: Cache, client: Client, refusal_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cache = cache
        self._client = client
        self._refusal_seconds = refusal_seconds
        self._refusals = Refusals(clock)
        self._damper = Damper(clock)
        self._keys = Keys(client, clock)

    def forget(self, key: Key) -> None:
        """The model has gone."""
        self._refusals.forget(key)
        self._damper.forget(key)
        self._keys.forget(key)

    async def execute(self, model: Object, plan: Plan, observed: list[Object]) -> Outcome:
        """Apply, then prune: nothing is deleted while something that may replace it could not be applied.

        A refused child does not hold back the others. Raises `errors.Conflict` and `errors.Retryable` for
        what is worth another attempt, also if the model is not what it was.
        """
        key, uid = (model["metadata"]["namespace"], model["metadata"]["name"]), model["metadata"]["uid"]
        self._refusals.begin(key, model["metadata"].get("generation", 0))
        ours = {ref_of(obj): obj for obj in observed if controller_uid(obj) == uid}
        creates = any(ref_of(child) not in ours for child in plan.apply)
        if creates:
            await guard.confirm(self._client, self._cache, model)
        outcomes: list[Outcome] = []
        for child in plan.apply:
            if child["kind"] == "Secret":
                outcomes.append(await self._make(key, model, child))
                if outcomes[-1] != Outcome():
                    break  # pods that cannot start must not take the place of those that serve
            else:
                outcomes.append(await self._apply(key, child, ours.get(ref_of(child))))
        if all(outcome == Outcome() for outcome in outcomes):
            unwatched = await guard.unwatched(self._client, model, ours)
            outcomes = [await self._delete(key, obj) for obj in [*plan.delete, *unwatched]]
        if all(outcome == Outcome() for outcome in outcomes):
            self._refusals.forget(key)
        outcomes.append(self._quarrel(key))
        return Outcome(
            failure=next((outcome.failure for outcome in outcomes if outcome.failure), None),
            again=min((outcome.again for outcome in outcomes if outcome.again is not None), default=None),
        )

    async def restore(self, key: Key, children: list[Object], evidence: Evidence, seen: Snapshot) -> None:
        """Make the Secret among the children again, if the pods that were seen miss it."""
        for child in children:
            if child["kind"] == "Secret" and self._keys.missed(key, child, evidence):
                await self._keys.restore(key, child, _holders(child, seen))

    async def _make(self, key: Key, model: Object, secret: Object) -> Outcome:
        ref, request = ref_of(secret), secret["metadata"]["annotations"][constants.APPLIED_HASH]
        refused = self._refusals.recall(key, ref, request)
        if refused:
            return refused
        try:
            there = await self._keys.make(key, model, secret)
        except errors.Rejected as error:
            return self._refuse(key, secret, request, error)
        return Outcome() if there else Outcome(again=LEFTOVER_SECONDS)

    def _quarrel(self, key: Key) -> Outcome:
        """What the spec says may not be what is there, although each write succeeds."""
        quarrel = self._damper.quarrel(key)
        if quarrel is None:
            return Outcome()
        (kind, name), seconds = quarrel
        why = (
            f"{kind} {name}: somebody undoes what the operator writes; `kubectl get {kind.lower()} {name} -o yaml "
            "--show-managed-fields` tells who writes the same fields"
        )
        return Outcome(Failure(Reason.CONTESTED, why), seconds)

    async def _apply(self, key: Key, child: Object, seen: Object | None) -> Outcome:
        """Apply one child; `seen` is how the cache knows it, if it is this model's."""
        ref, request = ref_of(child), child["metadata"]["annotations"][constants.APPLIED_HASH]
        refused = self._refusals.recall(key, ref, request)
        if refused:
            return refused
        wait = self._damper.wait(key, ref, request)
        if wait:
            log.warning("does not hold", model="/".join(key), kind=ref[0], name=ref[1], retry_in=round(wait, 1))
            return Outcome(again=wait)
        try:
            answer = await self._applied(key, child, seen)
        except _NoImageVolumes:
            failure = Failure(
                Reason.IMAGE_VOLUME_UNSUPPORTED, f"the API server drops image volumes; {imagevolumes.ADVICE}"
            )
            log.warning("image volumes dropped", model="/".join(key), kind=ref[0], name=ref[1])
            return self._refusals.remember(key, ref, request, failure, self._refusal_seconds)
        except errors.Rejected as error:
            return self._refuse(key, child, request, error)
        except errors.Conflict as error:
            if seen is None:
                return await self._name_is_taken(key, child, request, error)
            await self._look_again(child, seen)
            raise
        self._cache.store(ref[0], answer)
        self._damper.wrote(key, ref, request)
        log.info("applied", model="/".join(key), kind=ref[0], name=ref[1], why=_why(child, seen))
        return Outcome()

    async def _applied(self, key: Key, child: Object, seen: Object | None) -> Object:
        """The answer to the apply; where the API server finds it invalid beside what others have set, theirs goes."""
        kind, bound = kinds.BY_NAME[child["kind"]], _bound(child, seen)
        if seen is not None:
            await clearing.resume(self._client, seen)
        if volumes := imagevolumes.wanted(child):  # what cannot run must not take the place of what does
            would_be = await self._client.apply(kind, bound, dry_run=True)
            if volumes - imagevolumes.wanted(would_be):
                raise _NoImageVolumes
        try:
            return await self._client.apply(kind, bound)
        except errors.Invalid as error:
            if seen is None or not await clearing.clear(self._client, child, seen):
                raise
            log.warning("cleared", model="/".join(key), kind=kind.kind, name=child["metadata"]["name"], why=str(error))
        return await self._client.apply(kind, bound)

    async def _name_is_taken(self, key: Key, child: Object, request: str, error: errors.Conflict) -> Outcome:
        """A child could not be created, most likely because something of its name exists."""
        ref = ref_of(child)
        holder, live = await guard.name_of(self._client, child)
        match holder:
            case guard.Name.OURS:
                return await self._apply_to(key, child, live)
            case guard.Name.LEFTOVER:
                log.info("waiting until a leftover is gone", model="/".join(key), kind=ref[0], name=ref[1])
                return Outcome(again=LEFTOVER_SECONDS)
            case guard.Name.TAKEN:
                log.warning("name taken", model="/".join(key), kind=ref[0], name=ref[1])
                failure = Failure(Reason.NAME_CONFLICT, _taken(child))
                return self._refusals.remember(key, ref, request, failure, RECHECK_SECONDS)
            case guard.Name.FREE:
                raise error

    async def _apply_to(self, key: Key, child: Object, live: Object) -> Outcome:
        """It is there and ours, although the cache did not know."""
        wanted = beside(child, live)
        return await (self._apply(key, wanted, live) if wanted else self._delete(key, live))

    async def _delete(self, key: Key, obj: Object) -> Outcome:
        ref, request = ref_of(obj), f"delete {obj['metadata']['uid']}"
        refused = self._refusals.recall(key, ref, request)
        if refused:
            return refused
        try:
            await self._client.delete(kinds.BY_NAME[ref[0]], obj)
        except errors.Rejected as error:
            return self._refuse(key, obj, request, error)
        except errors.NotFound:
            log.info("gone already", model="/".join(key), kind=ref[0], name=ref[1])
        except errors.Conflict:
            await self._look_again(obj, obj)
            raise
        else:
            log.info("deleted", model="/".join(key), kind=ref[0], name=ref[1], why="not wanted any more")
        # If a finalizer holds it back, the watch brings it again, with its deletionTimestamp.
        self._cache.absent(ref[0], obj["metadata"]["namespace"], ref[1])
        return Outcome(again=0.0) if ref[0] == "Job" else Outcome()  # it may have made way for another of its name

    def _refuse(self, key: Key, obj: Object, request: str, error: errors.Rejected) -> Outcome:
        ref = ref_of(obj)
        reasons: dict[type[errors.APIError], Reason] = {
            errors.Invalid: Reason.INVALID,
            errors.Forbidden: Reason.FORBIDDEN,
        }
        message, seconds = f"{ref[0]} {ref[1]}: {error.message}", self._refusal_seconds
        if isinstance(error, errors.Forbidden):
            message += f"; {advice.on_refusal(error.message)} (it is tried again every minute)"
            seconds = min(seconds, RECHECK_SECONDS)
        failure = Failure(reasons.get(type(error), Reason.API_ERROR), message)
        if imagevolumes.unknown(error.message):
            failure = Failure(Reason.IMAGE_VOLUME_UNSUPPORTED, f"{error.message}; {imagevolumes.ADVICE}")
        log.warning("refused", model="/".join(key), kind=ref[0], name=ref[1], why=str(error))
        return self._refusals.remember(key, ref, request, failure, seconds)

    async def _look_again(self, child: Object, seen: Object) -> None:
        """After a conflict: if the object that the cache shows is not there any more, the cache must not show it."""
        meta, kind = seen["metadata"], kinds.BY_NAME[child["kind"]]
        try:
            live = await self._client.get(kind, meta["namespace"], meta["name"])
        except errors.NotFound:
            live = None
        if live is None or live["metadata"]["uid"] != meta["uid"]:
            self._cache.absent(kind.kind, meta["namespace"], meta["name"])


def _holders(secret: Object, seen: Snapshot) -> Object | None:
    """The Deployment of the Secret's model, if pods of its template have mounted their Secrets."""
    deployment = deployment_of(controller_uid(secret), seen.children)
    servers = workload.current_pods([pod for pod in seen.pods if stagers.is_server(pod)], deployment)
    return deployment if any(_set_up(pod) for pod in servers) else None


def _set_up(pod: Object) -> bool:
    """The kubelet has mounted its volumes, and made its network (a condition since Kubernetes 1.29)."""
    return bool(pods.condition(pod, "PodReadyToStartContainers").get("status") == "True")


def _bound(child: Object, seen: Object | None) -> Object:
    """The request to apply a child: to the very object that was seen, not to one that has taken its name meanwhile."""
    bond = {"uid": seen["metadata"]["uid"]} if seen else {"resourceVersion": NO_VERSION}
    return {**child, "metadata": {**child["metadata"], **bond}}


def _taken(child: Object) -> str:
    return (
        f"{child['kind']} {child['metadata']['name']} exists already and does not belong to this LlamaModel, so it is "
        "left as it is; delete it, or give the LlamaModel another name"
    )


def _why(child: Object, seen: Object | None) -> str:
    if seen is None:
        return "absent"
    wanted, applied = (obj["metadata"].get("annotations", {}).get(constants.APPLIED_HASH) for obj in (child, seen))
    return "changed" if wanted != applied else "drifted"
