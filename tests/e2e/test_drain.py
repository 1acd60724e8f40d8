"""A pod that is deleted first finishes what is in flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import beside
from tests.e2e.conftest import FileServer
from tests.e2e.routes import ThroughService
from tests.e2e.test_liveness import SLOW, STREAM
from tests.e2e.witness import Model, eventually

pytestmark = pytest.mark.e2e

SLOTS = 3


def test_streams_of_a_deleted_pod_are_finished(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, measurements: dict[str, Any]
) -> None:
    model = new_model("drained")
    source = files_in_cluster.source("endless.gguf")
    model.apply(source=source, engine={"contextSize": 4096, "slots": SLOTS}, resources=SLOW)
    status = model.ready()
    route = ThroughService(status["url"], model.namespace, files_in_cluster.pod())
    pod, events, ended = beside.pod_of(model), list[list[str]](), list[float]()

    def read() -> None:
        events.append(route("/completion", STREAM).events())
        ended.append(time.monotonic())

    streams = [threading.Thread(target=read) for _ in range(SLOTS)]
    for stream in streams:
        stream.start()

    def all_run() -> None:
        slots = route("/slots").json()
        assert [slot["is_processing"] for slot in slots] == [True] * SLOTS

    eventually(all_run, timeout=30, every=0.05)
    model.witness.delete("Pod", pod.name, pod.namespace)
    begun = time.monotonic()
    for stream in streams:
        stream.join(120)
    assert len(events) == SLOTS
    assert all('"stop":true' in told[-1] and len(told) > STREAM["n_predict"] for told in events)

    def gone() -> None:
        assert model.witness.get("Pod", pod.name, pod.namespace) is None

    eventually(gone, timeout=60)
    last = max(ended) - begun
    assert last > 5, "too fast to tell a drained pod from one that only waits for its endpoints"
    measurements["drain"] = (
        f"last stream {last:.0f} s after the deletion, the pod gone {time.monotonic() - begun:.0f} s"
    )
