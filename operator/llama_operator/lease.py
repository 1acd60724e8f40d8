"""One leader among the replicas: a Lease of coordination.k8s.io, held by renewing it, lost by not being able to.

Durations and rules are those of client-go's leader election. Whoever does not hold it judges the holder by when *he*
last saw the record change, on a clock of his own, so clocks of different nodes need not agree. Who holds it
judges himself by when he last *asked* for a renewal that succeeded, so he gives up before anybody else may take over.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from llama_operator.kube import errors, kinds
from llama_operator.kube.client import NO_VERSION, Client
from llama_operator.runtime.logs import Log

Object = dict[str, Any]

LEASE_SECONDS = 15.0
"""For which a renewal is good. A holder that says nothing for so long is replaced."""
GIVE_UP_SECONDS = 10.0
"""Without a successful renewal, after which a holder ends; less than the lease, so that nobody is beside it."""
RENEW_SECONDS = 4.0
RETRY_SECONDS = 2.0
"""Between two looks of a standby, and two attempts of a holder that could not renew."""

log = Log(__name__)


def uptime() -> float:
    """Seconds on a clock that, unlike Python's monotonic one, goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseLost(Exception):
    """We are not the leader any more: another one is, or may be."""


class Lease:
    """`identity` tells this process from all others, also from the one before it in the same pod."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        *,
        identity: str | None = None,
        clock: Callable[[], float] = uptime,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity or f"{socket.gethostname()}_{uuid.uuid4()}"
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._record: Object = {}
        self._version = NO_VERSION
        self._seen_at = clock()
        self._renewed_at: float | None = None

    def held(self) -> bool:
        """Whether we lead: nobody else can yet, and will not for some seconds more."""
        return self._renewed_at is not None and self._clock() - self._renewed_at < GIVE_UP_SECONDS

    async def acquire(self) -> None:
        """Wait until it is ours. Raises `errors.Rejected` if we have no right to it."""
        told = ""
        while not await self._attempt():
            holder = str(self._record.get("holderIdentity") or "")
            if holder != told:
                log.info("standing by", lease=self._name, holder=holder)
                told = holder
            await self._sleep(RETRY_SECONDS)
        log.info("leading", lease=self._name, identity=self._identity)

    async def hold(self) -> None:
        """Renew it for ever. Raises `LeaseLost`."""
        assert self._renewed_at is not None, "only after acquire()"
        pause = RENEW_SECONDS
        while True:
            await self._sleep(pause)
            left = self._renewed_at + GIVE_UP_SECONDS - self._clock()
            if left <= 0:
                raise self._lost(f"could not renew it for {GIVE_UP_SECONDS:.0f} s")
            renewed = False
            try:
                async with asyncio.timeout(left):
                    renewed = await self._attempt()
            except TimeoutError:
                log.warning("lease not renewed", lease=self._name, error="no answer")
            except errors.Rejected as error:
                log.warning("lease not renewed", lease=self._name, error=str(error))
            holder = self._record.get("holderIdentity")
            if not renewed and holder and holder != self._identity:
                raise self._lost(f"{holder} holds it")
            pause = RENEW_SECONDS if renewed else RETRY_SECONDS

    def _lost(self, why: str) -> LeaseLost:
        self._renewed_at = None
        return LeaseLost(why)

    async def release(self) -> None:
        """Give it back, so that the next one need not wait. A failure only costs them time, so it is only logged."""
        if not self.held():
            return
        self._renewed_at = None
        try:
            await self._write({**self._record, "holderIdentity": "", "leaseDurationSeconds": 1})
        except (errors.APIError, LeaseLost) as error:
            log.warning("lease not released", lease=self._name, error=str(error))
        else:
            log.info("lease released", lease=self._name)

    async def _attempt(self) -> bool:
        """Take or renew it, if that is possible now. A failure that may pass is logged, and counts as no."""
        try:
            if self._record.get("holderIdentity") != self._identity:
                await self._look()
            return self._may_take() and await self._take()
        except errors.Conflict:
            self._record = {}  # somebody was faster, or an answer was lost: look first, next time
            return False
        except (errors.Retryable, errors.NotFound) as error:
            log.warning("lease out of reach", lease=self._name, error=str(error))
            return False

    def _may_take(self) -> bool:
        holder = self._record.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        return self._clock() - self._seen_at > float(self._record.get("leaseDurationSeconds") or LEASE_SECONDS)

    async def _look(self) -> None:
        try:
            live = await self._client.get(kinds.LEASE, self._namespace, self._name)
        except errors.NotFound:
            self._record, self._version = {}, NO_VERSION
            return
        self._arrow_of_time(live)
        record, self._version = live.get("spec", {}), live["metadata"]["resourceVersion"]
        if record != self._record:
            self._record, self._seen_at = record, self._clock()

    def _arrow_of_time(self, live: Object) -> None:
        """Versions only grow, unless etcd was restored from a backup: then all that we know is of another world."""
        if int(live["metadata"]["resourceVersion"]) < int(self._version):
            raise self._lost("the API server has gone back in time; it was probably restored from a backup")

    async def _take(self) -> bool:
        asked_at, now = self._clock(), self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = self._record.get("holderIdentity") == self._identity
        transitions = int(self._record.get("leaseTransitions", -1))
        await self._write(
            {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(LEASE_SECONDS),
                "acquireTime": self._record.get("acquireTime", now) if mine else now,
                "renewTime": now,
                "leaseTransitions": transitions if mine else transitions + 1,
            }
        )
        self._renewed_at = asked_at
        return True

    async def _write(self, spec: Object) -> None:
        """Write the record over the version that we saw. Raises `errors.Conflict` if there is a newer one."""
        meta = {"namespace": self._namespace, "name": self._name, "resourceVersion": self._version}
        lease = {"apiVersion": kinds.LEASE.api_version, "kind": kinds.LEASE.kind, "metadata": meta, "spec": spec}
        written = await self._client.apply(kinds.LEASE, lease)
        self._arrow_of_time(written)
        self._record, self._version = written["spec"], written["metadata"]["resourceVersion"]
