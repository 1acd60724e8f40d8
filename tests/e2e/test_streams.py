"""Twenty clients stream all the time while the model is rolled five times: nothing is broken, and nobody is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import chat
from demo.cluster import environment
from ground.paths import BIN
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.witness import Model, Object

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).with_name("streams.py")
CLIENTS = 10
"""By each of the two ways."""
SLOTS = 2 * CLIENTS
GOOD: tuple[Object, ...] = ({"args": ["--temp", "0"]}, {"args": ["--temp", "0.1"]}, {"args": []})
CRASHES: Object = {"args": ["--chat-template-file", "/there/is/none"]}
MISSING = "localhost/there-is-none:1"
GRACE_SECONDS = 120


@contextmanager
def streaming(command: list[str]) -> Iterator[Callable[[], Object]]:
    """Clients from when each has had an answer until the block ends; what they have counted is asked for after it."""
    process = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    counted: Object = {}
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        assert "begun" in process.stdout.readline()
        yield lambda: counted
        process.stdin.close()
        counted |= json.loads(process.stdout.read())
        process.wait(GRACE_SECONDS)
    finally:
        process.kill()


def inside(url: str, server: FileServer) -> list[str]:
    """Through the Service, from a pod."""
    script = SCRIPT.read_text()
    pod = ["exec", "-i", "-n", server.namespace, server.pod(), "--", "python", "-c", script]
    return [str(BIN / "kubectl"), *pod, url, "", str(CLIENTS)]


def outside(url: str) -> list[str]:
    """Through the Ingress, from this machine."""
    address, port = httpx.URL(url), chat.ingress_port()
    here = address.copy_with(host="127.0.0.1", port=port)
    return [sys.executable, str(SCRIPT), str(here).rstrip("/"), f"{address.host}:{port}", str(CLIENTS)]


def test_no_stream_is_broken_and_none_refused_through_five_rollouts(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, measurements: dict[str, Any]
) -> None:
    model = new_model("streamed")
    engine = {"slots": SLOTS, "contextSize": 512}
    base: Object = {
        "source": files_in_cluster.source(),
        "ingress": {"host": f"streamed-{model.namespace}.{HOST_DOMAIN}"},
    }
    model.apply(**base, engine=engine)
    status = model.ready()
    with (
        streaming(inside(status["url"], files_in_cluster)) as by_service,
        streaming(outside(status["ingressURL"])) as by_ingress,
    ):
        model.apply(**base, engine=engine | GOOD[0])
        model.ready(timeout=240)
        model.apply(**base, engine=engine | CRASHES)
        model.wait("Stalled", "RolledBack", timeout=240)
        model.apply(**base, engine=engine | GOOD[1])
        model.ready(timeout=240)
        model.apply(**base, engine=engine, image=MISSING)
        model.wait("Stalled", "RolledBack", timeout=300)
        model.apply(**base, engine=engine | GOOD[2])
        model.ready(timeout=240)
    counted = {"service": by_service(), "ingress": by_ingress()}
    measurements["streams_through_five_rollouts"] = {way: found["whole"] for way, found in counted.items()}
    for way, found in counted.items():
        assert (found["broken"], found["failed"], found["troubles"]) == (0, 0, []), way
        assert found["whole"] >= CLIENTS, way
