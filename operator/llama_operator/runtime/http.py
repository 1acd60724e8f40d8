"""The port for probes and monitors: /healthz, /readyz, /metrics.

kopf's own probe serves one path and says only that its web server runs; hence this one, with kopf's own aiohttp.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from llama_operator.runtime.health import Health

END_SECONDS = 1.0
"""For answers that are under way when the server is ended; aiohttp's default is a minute."""


async def serve(health: Health, metrics: Callable[[], str], port: int) -> web.AppRunner:
    """Serve on all addresses, those of IPv6, too; the caller ends it with `cleanup()`. `metrics` is text in
    Prometheus' format."""

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.ailments(), health.leader())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(health.unready(), health.leader())

    async def exposition(_: web.Request) -> web.Response:
        return _answer(metrics(), 200, CONTENT_TYPE_PLAIN_0_0_4)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=END_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner


def _verdict(wrong: list[str], leader: bool) -> web.Response:
    if wrong:
        return _answer("\n".join(wrong), 503)
    return _answer("ok" if leader else "ok, standing by", 200)


def _answer(text: str, status: int, content_type: str = "text/plain; charset=utf-8") -> web.Response:
    """On a connection that ends with the answer: kopf would wait 5 s for an open one before it lets us stop."""
    response = web.Response(text=text, status=status, headers={"content-type": content_type})
    response.force_close()
    return response
