"""The parts put together, started in the right order, and ended without leaving anything half-done."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import kopf

from llama_operator import handlers
from llama_operator.config import Config
from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.kube.kinds import BY_NAME, WATCHED
from llama_operator.lease import Lease
from llama_operator.reconcile.blockades import Blockades
from llama_operator.reconcile.collector import Collector
from llama_operator.reconcile.executor import Executor
from llama_operator.reconcile.inquiry import Inquiry
from llama_operator.reconcile.questions import Questions
from llama_operator.reconcile.reconciler import Reconciler
from llama_operator.reconcile.reporter import Reporter
from llama_operator.reconcile.resizer import Resizer
from llama_operator.reconcile.respondents import after_facts, after_progress, complains
from llama_operator.runtime import http
from llama_operator.runtime.ask import Asker
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.gauges import Gauges
from llama_operator.runtime.health import Health
from llama_operator.runtime.logs import Log
from llama_operator.runtime.metrics import Metrics, Result
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

KOPF_SECONDS = 8.0
"""For kopf to end after SIGTERM. It takes a third of a second, or up to 5 s with an open connection of its own."""
GRACE_SECONDS = 15.0
"""For running reconciles to end after that; both together are less than the 30 s that a pod usually has."""

log = Log(__name__)


class Engine:
    """The state of one operator process. Without a Lease it leads from the start."""

    def __init__(self, config: Config, client: Client, lease: Lease | None = None) -> None:
        self._config = config
        self._client = client
        self._lease = lease
        if lease:
            client.may_write = lease.held
        self.cache = Cache()
        self.metrics = Metrics()
        client.took = self.metrics.called
        self.queue: WorkQueue[Key] = WorkQueue(waited=self.metrics.waited)
        self._resync = Resync(
            lister=lambda kind, namespace: client.pages(BY_NAME[kind], namespace),
            kinds=[kind.kind for kind in WATCHED],
            namespaces=config.namespaces,
            cache=self.cache,
            queue=self.queue,
            period=config.resync_seconds,
            transient=errors.Retryable,
        )
        self._asker = Asker()
        self._progresses = Questions(ask=self._asker.progress, pause=after_progress, wake=self.queue.add)
        self._facts = Questions(ask=self._asker.facts, pause=after_facts, wake=self.queue.add, lasts=complains)
        self._reconciler = Reconciler(
            config=config,
            cache=self.cache,
            executor=Executor(cache=self.cache, client=client, refusal_seconds=config.resync_seconds),
            inquiry=Inquiry(cache=self.cache, client=client),
            resizer=Resizer(
                cache=self.cache,
                client=client,
                shipped=config.server_images.get("cpu"),
                refusal_seconds=config.resync_seconds,
            ),
            progresses=self._progresses,
            facts=self._facts,
            blockades=Blockades(),
            collector=Collector(config=config, cache=self.cache, client=client),
            reporter=Reporter(cache=self.cache, client=client),
        )

    async def run(self, login: Callable[[], kopf.ConnectionInfo]) -> None:
        """Stand by, then work until a signal ends it. Raises when anything else does: it is to be started anew."""
        config, lease = self._config, self._lease
        leader = lease.held if lease else (lambda: True)
        health = Health(self.cache, self.queue, self._resync, config.resync_seconds, leader)
        self.metrics.add(Gauges(self.cache, self.queue, health, lambda: self._client.calls))
        try:
            await self._probe()
            server = await http.serve(health, self.metrics.text, config.health_port)
            try:
                if lease:
                    await lease.acquire()
                await self._lead(login)
            finally:
                if lease:
                    await lease.release()  # after the workers: the successor begins where they have ended
                await server.cleanup()
        finally:
            await self._progresses.close()
            await self._facts.close()
            await self._asker.close()
            await self._client.close()

    async def _probe(self) -> None:
        """End here, before we are Ready and a rollout takes our predecessor away, if a right or the CRD is missing."""
        for kind in WATCHED:
            for namespace in self._config.namespaces or (None,):
                try:
                    await self._client.probe(kind, namespace)
                except errors.Retryable as error:
                    log.warning("starting without a look at the API server", error=str(error))
                    return

    async def _lead(self, login: Callable[[], kopf.ConnectionInfo]) -> None:
        """Raises `LeaseLost`, without finishing anything, when somebody else may lead."""
        try:
            async with asyncio.TaskGroup() as group:  # whichever part fails takes the others with it
                holding = group.create_task(self._lease.hold(), name="lease") if self._lease else None
                await self._resync.start()  # nobody decides anything before the cache is complete
                workers = [group.create_task(self._work(), name=f"worker {n}") for n in range(self._config.workers)]
                resync = group.create_task(self._resync.run(), name="resync")
                try:
                    await self._watch(login)
                finally:
                    resync.cancel()
                    self.queue.close()
                _, late = await asyncio.wait(workers, timeout=GRACE_SECONDS)
                for worker in late:
                    worker.cancel()
                if holding:
                    holding.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # one is the cause, the others are what it broke
        log.info("stopped", unfinished=len(late))

    async def _watch(self, login: Callable[[], kopf.ConnectionInfo]) -> None:
        """Let kopf watch until SIGTERM or SIGINT.

        Told to stop, it is waited for, but not for ever: a watch that is about to connect anew may swallow its
        cancellation, and goes on.
        """
        stop = asyncio.Event()
        told = asyncio.create_task(stop.wait(), name="stop")
        watching = asyncio.create_task(self._kopf(login, stop), name="kopf")
        try:
            await asyncio.wait({told, watching}, return_when=asyncio.FIRST_COMPLETED)
            self.queue.close()  # what runs may finish, and nothing new is begun
            await asyncio.wait({watching}, timeout=KOPF_SECONDS)
            if watching.done():
                await watching
            else:
                log.warning("going on without the end of the watches", waited=KOPF_SECONDS)
        finally:
            told.cancel()
            watching.cancel()

    async def _kopf(self, login: Callable[[], kopf.ConnectionInfo], stop: asyncio.Event) -> None:
        """What `kopf.operator` does, but SIGTERM and SIGINT set `stop`. It leaves tasks alone that were there before.

        kopf's own handlers of signals, which `spawn_tasks` puts in place, would tell nobody but kopf.
        """
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=handlers.registry(login=login, cache=self.cache, queue=self.queue),
            settings=handlers.settings(),
            namespaces=self._config.namespaces,
            clusterwide=not self._config.namespaces,
            stop_flag=stop,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await kopf.run_tasks(tasks, ignored=others)

    async def _work(self) -> None:
        while (key := await self.queue.get()) is not None:
            started = time.monotonic()
            try:
                result = await self._reconcile(key)
                self.metrics.reconciled(result, time.monotonic() - started)
            finally:
                self.queue.done(key)
            # A reconcile with nothing to do awaits nothing: without this a resync of thousands of models would hold
            # up the probes, the watches and the Lease until the last one.
            await asyncio.sleep(0)

    async def _reconcile(self, key: Key) -> Result:
        """One key, once; what comes out of it decides when it comes again."""
        model = "/".join(key)
        try:
            again = await self._reconciler.reconcile(key, self.queue.failures(key))
        except errors.Conflict as error:
            delay = self.queue.retry(key, at_once=True)
            log.info("conflict", model=model, retry_in=round(delay, 1), error=str(error))
            return Result.CONFLICT
        except errors.APIError as error:
            delay = self.queue.retry(key, at_least=error.retry_after or 0.0)
            log.warning("failed", model=model, retry_in=round(delay, 1), error=str(error))
            return Result.RETRY
        except Exception:
            # A bug. It must not end the worker, and must not be silent either.
            delay = self.queue.retry(key)
            log.exception("failed, and this is a bug", model=model, retry_in=round(delay, 1))
            return Result.ERROR
        self.queue.forget(key)
        if again is None:
            return Result.OK
        self.queue.add_after(key, again)
        return Result.REQUEUED
