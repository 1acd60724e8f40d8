"""A server that hangs is restarted in a minute, one whose sidecar fails is not, one that cannot answer is hidden."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.e2e import beside
from tests.e2e.conftest import FileServer
from tests.e2e.routes import ThroughService
from tests.e2e.test_rollout import CHAT
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e

STREAM: Object = {"prompt": "Hello", "n_predict": 3_500, "stream": True}
SLOW: Object = {"limits": {"cpu": "500m"}, "requests": {"cpu": "10m"}}


def test_a_server_that_hangs_is_restarted_within_a_minute(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, measurements: dict[str, Any]
) -> None:
    model = new_model("hangs")
    model.apply(source=files_in_cluster.source())
    model.ready()
    pod = beside.pod_of(model)
    stopped = pod.signal("SIGSTOP")
    model.wait("Available", "Unresponsive", timeout=45)

    def restarted() -> Object:
        status = pod.container("llama-server")
        assert status["restartCount"] == 1, status
        assert "running" in status["state"], status
        return status

    status = eventually(restarted, timeout=90)
    assert status["lastState"]["terminated"]["exitCode"] == 137
    seconds = datetime.fromisoformat(status["state"]["running"]["startedAt"]).timestamp() - stopped
    measurements["seconds_from_a_hang_to_the_restarted_server"] = seconds
    assert seconds <= 60
    assert "neither got on nor used CPU time" in pod.facts().ended
    model.ready()
    route = ThroughService(model.read()["status"]["url"], files_in_cluster.namespace, files_in_cluster.pod())
    eventually(lambda: _answers(route), timeout=30)


def _answers(route: ThroughService) -> None:
    assert route("/v1/chat/completions", CHAT).status == 200


def test_a_sidecar_that_is_killed_takes_no_server_with_it(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, measurements: dict[str, Any]
) -> None:
    model = new_model("unwatched")
    model.apply(source=files_in_cluster.source("endless.gguf"), engine={"contextSize": 4096}, resources=SLOW)
    status = model.ready()
    pod, route = beside.pod_of(model), ThroughService(status["url"], model.namespace, files_in_cluster.pod())
    resident, cpu, age = (float(word) for word in pod.run(beside.USES).split())
    measurements["sidecar"] = f"{resident / 2**20:.1f} MiB, {cpu:.2f} CPU seconds in its first {age:.0f} s"
    assert resident < 32 * 2**20

    streams: list[list[str]] = []
    stream = threading.Thread(target=lambda: streams.append(route("/completion", STREAM).events()))
    stream.start()
    for kills in (1, 2):
        pod.run(beside.KILL)
        eventually(lambda count=kills: _runs_again(pod, count), timeout=60)  # type: ignore[misc]
    stream.join(90)
    assert '"stop":true' in streams[0][-1]
    assert pod.container("llama-server")["restartCount"] == 0
    eventually(lambda: _answered(pod), timeout=30)
    model.ready()


def _runs_again(pod: beside.Pod, kills: int) -> None:
    status = pod.container("sidecar")
    assert (status["restartCount"], "running" in status["state"]) == (kills, True), status


def _answered(pod: beside.Pod) -> None:
    assert pod.facts().answered


def test_a_server_that_cannot_answer_gets_no_requests(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    """/health says ok: the batch is only too small for any text at all."""
    model = new_model("mute")
    engine: Object = {"mode": "embedding", "args": ["--pooling", "mean"]}
    model.apply(source=files_in_cluster.source(), engine=engine | {"batch": {"size": 4, "micro": 4}})

    def refused() -> None:
        pods = model.pods()
        assert len(pods) == 1
        found = beside.Pod(model.witness, model.namespace, pods[0]["metadata"]["name"])
        assert "running" in found.container("llama-server")["state"]
        assert found.facts().problem == "a first embedding request was answered with HTTP 500"

    eventually(refused, timeout=90)
    assert not beside.pod_of(model).container("llama-server")["started"]
    slices = model.witness.all("EndpointSlice", model.namespace, f"kubernetes.io/service-name={model.name}")
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    assert endpoints
    assert not [endpoint for endpoint in endpoints if endpoint["conditions"]["ready"]]

    model.apply(source=files_in_cluster.source(), engine=engine)
    model.ready()
