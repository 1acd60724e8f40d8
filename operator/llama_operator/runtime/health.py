"""What the probes ask: is this process still doing its work?

An operator whose watch has died, or whose workers hang, looks idle from outside: healthy, and doing nothing. So
liveness asks for proof of progress. It does not ask whether the API server can be reached: a restart mends nothing
there. kopf's own probe serves one path and says only that its web server runs; hence this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.resync import Resync
from llama_operator.runtime.workqueue import WorkQueue

WATCH_SECONDS = 180.0
"""In which a watch has to report what we know from elsewhere. kopf takes a silent watch for dead after 70 s."""
QUEUE_SECONDS = 300.0
"""In which some reconcile has to end while there is work. The longest, a chain of timeouts, takes about 200 s."""
RESYNC_SECONDS = 300.0
"""By which a resync may be late: the time for the lists themselves and the pauses after failures."""

Counters = Callable[[], Mapping[tuple[str, str, int], int]]


@dataclass(frozen=True)
class Health:
    cache: Cache
    queue: WorkQueue[Key]
    resync: Resync
    period: float
    calls: Counters
    clock: Callable[[], float] = time.monotonic

    def ailments(self) -> list[str]:
        """Why the process should be restarted; empty when it is well."""
        found = []
        listed, since = self.resync.listed_at, self.cache.unconfirmed_since()
        if listed is not None and since is not None and listed - since > WATCH_SECONDS:
            found.append(f"a list showed news that no watch has reported for {listed - since:.0f} s")
        late = self.clock() - self.resync.tried_at
        if late > self.period * 1.1 + RESYNC_SECONDS:
            found.append(f"no list has been tried for {late:.0f} s")
        stuck = self.queue.stuck_for()
        if stuck > QUEUE_SECONDS:
            found.append(f"work is waiting, but none has been finished for {stuck:.0f} s")
        return found

    def ready(self) -> bool:
        """Everything has been listed, and not too long ago."""
        listed = self.resync.listed_at
        return listed is not None and self.clock() - listed < 3 * self.period and not self.ailments()

    def metrics(self) -> str:
        """Prometheus text format."""
        lines = ["# TYPE llama_operator_api_calls_total counter"]
        for (verb, kind, code), count in sorted(self.calls().items()):
            lines.append(f'llama_operator_api_calls_total{{verb="{verb}",kind="{kind}",code="{code}"}} {count}')
        lines += ["# TYPE llama_operator_reconciles_total counter"]
        lines += [f"llama_operator_reconciles_total {self.queue.finished}"]
        gauges: dict[str, float] = {
            "models": len(self.cache.models()),
            "cached_objects": self.cache.count(),
            "queue_waiting": self.queue.depth(),
            "queue_busy": self.queue.busy(),
        }
        if self.resync.listed_at is not None:
            gauges["list_age_seconds"] = self.clock() - self.resync.listed_at
        for name, value in gauges.items():
            lines += [f"# TYPE llama_operator_{name} gauge", f"llama_operator_{name} {value:g}"]
        return "\n".join(lines) + "\n"


async def serve(health: Health, port: int) -> web.AppRunner:
    """Serve /healthz, /readyz and /metrics on all addresses; the caller ends it with `cleanup()`."""

    async def healthz(_: web.Request) -> web.Response:
        ailments = health.ailments()
        return _answer("\n".join(ailments) or "ok", well=not ailments)

    async def readyz(_: web.Request) -> web.Response:
        ready = health.ready()
        return _answer("ok" if ready else "not listed yet, or not lately", well=ready)

    async def metrics(_: web.Request) -> web.Response:
        return _answer(health.metrics())

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    return runner


def _answer(text: str, *, well: bool = True) -> web.Response:
    """Plain text on a connection that ends with it: kopf would wait 5 s for an open one before it lets us stop."""
    response = web.Response(text=text, status=200 if well else 503)
    response.force_close()
    return response
