"""What is done to one side on a fresh API server, and what is measured meanwhile.

Each scenario returns its measures by name: seconds, MiB, counts. `report` says what they mean.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.control_plane import audit, place, pods
from benchmarks.control_plane.audit import Audit, Calls
from benchmarks.control_plane.place import NAMESPACE, Place
from benchmarks.control_plane.process import Process, Side, cpu_seconds, started
from llama_operator.kube.kinds import BY_NAME

PACE_SECONDS = 0.25
"""Between two changes at rest: slower than everybody's rate limit."""
SETTLED_SECONDS = 35.0
"""From its start until the operator has made the lists that belong to it."""
WRITES_PER_MODEL = 7
"""Six children and a status: the least that there can be."""
LEASE = f"{NAMESPACE}/llama-operator"


@dataclass
class Outcome:
    """Measures of one scenario by name, and the calls of the creation of its models."""

    measures: dict[str, float] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)


async def at_rest(side: Side, samples: int) -> Outcome:
    """One change at a time: new models, deleted Services, news of a pod."""
    names = [f"rest-{number:03}" for number in range(samples)]
    async with place.fresh() as here:
        with started(side, here.server.kubeconfig) as process:
            await process.quiet()
            created = await _paced(names, lambda name: _until_deployed(here, name))
            await process.quiet()
            returned = await _paced(names, lambda name: _until_service_is_back(here, name))
            for name in names:
                await pods.create(here, name)
            await process.quiet()
            told = await _paced(names, lambda name: _until_told(here, name))
    return Outcome(_spread("rest.deployment", created) | _spread("rest.service", returned) | _spread("rest.pod", told))


async def burst(side: Side, models: int, idle_seconds: float) -> Outcome:
    """All models at once, a time of rest, a restart, and a time of rest after that."""
    async with place.fresh() as here:
        log = Audit(here.server.audit_log)
        with started(side, here.server.kubeconfig) as process:
            await process.quiet()
            measures, calls = await _fill(here, process, log, models)
            await asyncio.sleep(max(process.since + SETTLED_SECONDS - time.perf_counter(), 0))
            measures |= await _idle(process, log, idle_seconds, "idle")
        with started(side, here.server.kubeconfig) as process:
            settled = await process.quiet()
            asked = log.calls()
            measures |= {
                "restart.seconds": settled - process.since,
                "restart.cpu": process.cpu_seconds(),
                "restart.rss": process.rss_mib(),
                "restart.peak": process.peak_rss_mib(),
                "restart.writes": audit.writes(asked),
                "restart.reads": audit.reads(asked),
            }
            measures |= await _idle(process, log, idle_seconds, "after")
    return Outcome(measures, calls)


async def change_of_leader(side: Side, models: int) -> Outcome:
    """Two processes and a Lease; the leader ends, at once a model is created; once told to end, and once killed."""
    measures: dict[str, float] = {}
    both = side.with_env(LEASE=LEASE)
    async with place.fresh() as here:
        log, kubeconfig = Audit(here.server.audit_log), here.server.kubeconfig
        with started(both, kubeconfig) as first:
            await first.quiet()
            await _fill(here, first, log, models)
            with started(both, kubeconfig) as second:
                await second.quiet()
                measures |= await _succeeded(here, log, "told", lambda: first.end(signal.SIGTERM), second)
                with started(both, kubeconfig) as third:
                    await third.quiet()
                    measures |= await _succeeded(here, log, "killed", lambda: second.end(signal.SIGKILL), third)
    return Outcome(measures)


async def _fill(here: Place, process: Process, log: Audit, models: int) -> tuple[dict[str, float], Calls]:
    """Create so many models at once, and wait until the last of their children and statuses has been seen."""
    log.calls()
    cpu, servers_cpu = process.cpu_seconds(), _servers_cpu(here)
    started_at, sent = time.perf_counter(), dict[str, float]()
    gate = asyncio.Semaphore(place.CONCURRENCY)

    async def create(name: str) -> None:
        async with gate:
            sent[name] = await here.create_model(name)

    await asyncio.gather(*(create(f"m-{number:05}") for number in range(models)))
    await here.witness.until(lambda: here.witness.count_complete() >= models)
    seconds = time.perf_counter() - started_at
    await process.quiet()
    calls = log.calls()
    seen = here.witness.added["Deployment"]
    return {
        "burst.seconds": seconds,
        "burst.cpu": process.cpu_seconds() - cpu,
        "burst.servers_cpu": _servers_cpu(here) - servers_cpu,
        "burst.rss": process.rss_mib(),
        "burst.peak": process.peak_rss_mib(),
        "burst.writes": audit.writes(calls) / models,
        "burst.reads": audit.reads(calls) / models,
        **_spread("burst.deployment", [seen[name] - at for name, at in sent.items()]),
    }, calls


def _servers_cpu(here: Place) -> float:
    """What the API server has used so far: it shares the machine with those that are measured."""
    return cpu_seconds(Path(f"/proc/{here.server.process.handle.pid}/stat").read_text())


async def _idle(process: Process, log: Audit, seconds: float, name: str) -> dict[str, float]:
    """Do nothing for so long, and look what the process does."""
    log.calls()
    cpu = process.cpu_seconds()
    await asyncio.sleep(seconds)  # not to wait for something: the time itself is what is measured
    asked = log.calls()
    return {
        f"{name}.writes": audit.writes(asked) * 60 / seconds,
        f"{name}.reads": audit.reads(asked) * 60 / seconds,
        f"{name}.cpu": (process.cpu_seconds() - cpu) / seconds,
    }


async def _succeeded(
    here: Place, log: Audit, how: str, end: Callable[[], None], successor: Process
) -> dict[str, float]:
    """End the leader; how long a model that is created at this moment waits for the next one, and what that writes."""
    log.calls()
    before, began = successor.cpu_seconds(), time.perf_counter()
    end()
    name = f"after-{how}"
    await here.create_model(name)
    await here.witness.until(lambda: here.witness.complete(name))
    await successor.quiet()
    seen = here.witness.added["Deployment"][name]
    fresh = audit.writes(log.calls()) - WRITES_PER_MODEL
    return {
        f"leader.{how}.seconds": seen - began,
        f"leader.{how}.writes": fresh,
        f"leader.{how}.cpu": successor.cpu_seconds() - before,
    }


async def _until_deployed(here: Place, name: str) -> float:
    sent = await here.create_model(name)
    await here.witness.until(lambda: here.witness.complete(name))
    return here.witness.added["Deployment"][name] - sent


async def _until_service_is_back(here: Place, name: str) -> float:
    services, before = here.witness.added["Service"], here.witness.added["Service"][name]
    sent = time.perf_counter()
    await here.send("DELETE", BY_NAME["Service"].path(NAMESPACE, name))
    await here.witness.until(lambda: services[name] != before)
    return services[name] - sent


async def _until_told(here: Place, name: str) -> float:
    before = here.witness.ready[name]
    sent = time.perf_counter()
    await pods.block(here, name)
    await here.witness.until(lambda: here.witness.ready[name] != before)
    return here.witness.ready[name][1] - sent


async def _paced(names: Sequence[str], measure: Callable[[str], Awaitable[float]]) -> list[float]:
    """One after the other, with a pause in which everything comes to rest again."""
    times = []
    for name in names:
        times.append(await measure(name))
        await asyncio.sleep(PACE_SECONDS)
    return times


def _spread(name: str, times: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile (the nearest rank)."""
    ranked = sorted(times)
    return {f"{name}.p50": ranked[(len(ranked) - 1) // 2], f"{name}.p99": ranked[-(-len(ranked) * 99 // 100) - 1]}
