"""From a key to a cluster that says what the spec says. The whole of it, to be read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from llama_operator.api.conditions import Reason
from llama_operator.api.sidecar import Facts
from llama_operator.api.staging import Progress
from llama_operator.api.types import SpecError, parse
from llama_operator.config import Config
from llama_operator.kube import errors
from llama_operator.reconcile import ahead, status
from llama_operator.reconcile.blame import blame
from llama_operator.reconcile.blockades import Blockades
from llama_operator.reconcile.collector import Collector
from llama_operator.reconcile.executor import Executor
from llama_operator.reconcile.inquiry import Inquiry
from llama_operator.reconcile.plan import controller_uid, deployment_of, plan
from llama_operator.reconcile.questions import Questions
from llama_operator.reconcile.reporter import Reporter
from llama_operator.reconcile.resizer import Resizer
from llama_operator.reconcile.status import Failure, Observed
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.logs import Log

PATIENCE = 3
"""Failures in a row before the user is told of an error that may pass: about seven seconds."""

log = Log(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    def __init__(
        self,
        *,
        config: Config,
        cache: Cache,
        executor: Executor,
        inquiry: Inquiry,
        resizer: Resizer,
        progresses: Questions[Progress],
        facts: Questions[Facts],
        blockades: Blockades,
        collector: Collector,
        reporter: Reporter,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._config = config
        self._cache = cache
        self._executor = executor
        self._inquiry = inquiry
        self._resizer = resizer
        self._progresses = progresses
        self._facts = facts
        self._blockades = blockades
        self._collector = collector
        self._reporter = reporter
        self._now = now

    async def reconcile(self, key: Key, failures: int = 0) -> float | None:
        """Do what is to be done for one model, now; `failures` of this key in a row came before.

        Returns after how many seconds to look again, None for "when something changes". Raises `errors.Conflict`
        and `errors.Retryable`: come again, the one at once, the other later.
        """
        seen = self._cache.snapshot(key)
        if seen.model is None or "deletionTimestamp" in seen.model["metadata"]:
            # Children go with their owner: Kubernetes collects them, also while we are not running.
            self._executor.forget(key)
            self._inquiry.forget(key)
            self._resizer.forget(key)
            self._progresses.forget(key)
            self._facts.forget(key)
            self._blockades.forget(key)
            return await self._collector.look(key, None, seen)

        try:
            model = parse(seen.model)
        except SpecError as error:
            await self._reporter.report(seen.model, _invalid(key, error))
            return None
        ours = [child for child in seen.children if controller_uid(child) == model.uid]
        deployment = deployment_of(model.uid, ours)
        blocked = self._blockades.look(key, seen.pods)
        cause, judge_again = blame(deployment, seen.pods, self._now(), self._facts.lasting(key), blocked)
        desired, refused = ahead.feasible(model, self._config, ours, cause)
        invalid = _invalid(key, refused) if refused else None
        if not desired:
            await self._reporter.report(seen.model, invalid)
            return None

        try:
            outcome = await self._executor.execute(seen.model, plan(desired, seen.children), seen.children)
        except errors.Retryable as error:
            if failures >= PATIENCE:
                await self._reporter.report(seen.model, Failure(Reason.API_ERROR, error.message))
            raise

        if cause:
            log.warning("rolled back", model="/".join(key), reason=cause.reason, detail=cause.message)
        evidence, inquire_again = await self._inquiry.inquire(key)
        after = self._cache.snapshot(key)
        await self._executor.restore(key, desired, evidence, after)
        resizes, resize_again = await self._resizer.look(key, after)
        stagers, servers = status.asked(seen.model, Observed(after.children, after.pods))
        progress, stager_again = self._progresses.look(key, stagers)
        told, server_again = self._facts.look(key, servers)
        await self._reporter.report(
            seen.model, invalid or outcome.failure, evidence, next(iter(progress.values()), None), told, resizes
        )
        collect_again = await self._collector.look(key, model, after)
        asked_again = (inquire_again, resize_again, stager_again, server_again)
        pauses = (outcome.again, judge_again, *asked_again, collect_again)
        return min((again for again in pauses if again is not None), default=None)


def _invalid(key: Key, error: SpecError) -> Failure:
    log.warning("spec refused", model="/".join(key), why=str(error))
    return Failure(Reason.INVALID, str(error))
