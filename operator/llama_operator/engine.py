"""The parts put together, started in the right order, and ended without leaving anything half-done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import kopf

from llama_operator import handlers
from llama_operator.config import Config
from llama_operator.kube import errors
from llama_operator.kube.client import Client
from llama_operator.kube.kinds import BY_NAME, WATCHED
from llama_operator.reconcile.executor import Executor
from llama_operator.reconcile.reconciler import Reconciler
from llama_operator.reconcile.reporter import Reporter
from llama_operator.runtime import health
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.logs import Log
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

GRACE_SECONDS = 20.0
"""For running reconciles to end after SIGTERM; less than the 30 s that a pod usually has."""

log = Log(__name__)


class Engine:
    """The state of one operator process."""

    def __init__(self, config: Config, client: Client) -> None:
        self._config = config
        self._client = client
        self.cache = Cache()
        self.queue: WorkQueue[Key] = WorkQueue()
        self._resync = Resync(
            lister=lambda kind, namespace: client.list(BY_NAME[kind], namespace),
            kinds=[kind.kind for kind in WATCHED],
            namespaces=config.namespaces,
            cache=self.cache,
            queue=self.queue,
            period=config.resync_seconds,
            transient=errors.Retryable,
        )
        self._reconciler = Reconciler(
            config=config,
            cache=self.cache,
            executor=Executor(cache=self.cache, client=client, refusal_seconds=config.resync_seconds),
            reporter=Reporter(cache=self.cache, client=client),
        )

    async def run(self, login: Callable[[], kopf.ConnectionInfo]) -> None:
        """Work until a signal ends it. Raises when anything else does: the process is to be started anew."""
        config = self._config
        state = health.Health(self.cache, self.queue, self._resync, config.resync_seconds, lambda: self._client.calls)
        server = await health.serve(state, config.health_port)
        try:
            await self._resync.start()  # nobody decides anything before the cache is complete
            async with asyncio.TaskGroup() as group:  # whichever part fails takes the others with it
                workers = [group.create_task(self._work(), name=f"worker {n}") for n in range(config.workers)]
                resync = group.create_task(self._resync.run(), name="resync")
                try:
                    await self._watch(login)
                finally:
                    resync.cancel()
                    self.queue.close()
                _, late = await asyncio.wait(workers, timeout=GRACE_SECONDS)
                for worker in late:
                    worker.cancel()
        finally:
            await server.cleanup()
            await self._client.close()
        log.info("stopped", unfinished=len(late))

    async def _watch(self, login: Callable[[], kopf.ConnectionInfo]) -> None:
        """Let kopf watch until SIGTERM or SIGINT. It leaves tasks alone that were there before it."""
        await kopf.operator(
            registry=handlers.registry(login=login, cache=self.cache, queue=self.queue),
            settings=handlers.settings(),
            namespaces=self._config.namespaces,
            clusterwide=not self._config.namespaces,
        )

    async def _work(self) -> None:
        while (key := await self.queue.get()) is not None:
            try:
                await self._reconcile(key)
            finally:
                self.queue.done(key)

    async def _reconcile(self, key: Key) -> None:
        """One key, once; what comes out of it decides when it comes again."""
        model = "/".join(key)
        try:
            again = await self._reconciler.reconcile(key, self.queue.failures(key))
        except errors.Conflict as error:
            delay = self.queue.retry(key, at_once=True)
            log.info("conflict", model=model, retry_in=round(delay, 1), error=str(error))
        except errors.APIError as error:
            delay = self.queue.retry(key, at_least=error.retry_after or 0.0)
            log.warning("failed", model=model, retry_in=round(delay, 1), error=str(error))
        except Exception:
            # A bug. It must not end the worker, and must not be silent either.
            delay = self.queue.retry(key)
            log.exception("failed, and this is a bug", model=model, retry_in=round(delay, 1))
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)
