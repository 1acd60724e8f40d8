"""Memory for a model whose spec names none: the pods get it from a real kubelet, in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llama_operator.reconcile.memory import HEADROOM
from llama_operator.resources import quantity
from tests.e2e import audit
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e

REPLICAS = 2
MIB = 1 << 20
RESIZE = "patch pods/resize"


def server(pod: Object) -> Object:
    """The status of its llama-server's container."""
    found: Object = next(c for c in pod["status"]["containerStatuses"] if c["name"] == "llama-server")
    return found


def asked(pod: Object) -> dict[str, int]:
    """What its llama-server asks for of memory, in bytes."""
    (container,) = (c for c in pod["spec"]["containers"] if c["name"] == "llama-server")
    return memory(container)


def memory(container: Object) -> dict[str, int]:
    """Of a container, or of its status."""
    given = container.get("resources") or {}
    return {which: int(quantity.parse(has["memory"])) for which, has in given.items() if has and "memory" in has}


def sized(model: Object, pod: Object) -> None:
    """The pod has the memory that the status predicts, in the container with which it began."""
    total = model["status"]["memory"]["total"]
    request, limit = -(-total // MIB), -(-(total + max(total, HEADROOM)) // MIB)
    assert asked(pod) == {"requests": request * MIB, "limits": limit * MIB}
    assert memory(server(pod)) == asked(pod), "the kubelet has not granted it yet"
    assert server(pod)["restartCount"] == 0
    assert pod["status"]["qosClass"] == "Burstable"
    assert "PodResizePending" not in [c["type"] for c in pod["status"]["conditions"]]


def test_each_pod_gets_what_its_file_takes_and_keeps_running(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    since = audit.now()
    model = new_model("sized")
    model.apply(source=files_in_cluster.source(), replicas=REPLICAS)
    model.ready()
    (before,) = model.children("Deployment")

    def all_sized() -> None:
        pods, seen = model.pods(), model.read()
        assert len(pods) == REPLICAS
        for pod in pods:
            sized(seen, pod)

    eventually(all_sized, timeout=60)
    status = model.ready()
    assert status["state"] == "Ready"
    (after,) = model.children("Deployment")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    names = {pod["metadata"]["name"] for pod in model.pods()}
    resizes = [
        call["objectRef"]["name"]
        for call in audit.calls(since)
        if audit.by_verb([call]) == {RESIZE: 1} and call["objectRef"]["name"] in names
    ]
    assert sorted(resizes) == sorted(names), "one for each pod"


def test_a_node_that_never_has_as_much_is_told(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("infeasible")
    model.apply(source=files_in_cluster.source(), engine={"promptCache": "100Ti"})
    degraded = model.wait("Degraded", "MemoryNotGranted")
    assert "its node never has as much (Infeasible" in degraded["message"]
    assert "set spec.resources.requests.memory to" in degraded["message"]
    status = model.ready()
    assert status["state"] == "Degraded: MemoryNotGranted"
    assert [event["type"] for event in model.events() if event["reason"] == "MemoryNotGranted"] == ["Warning"]


def test_what_the_user_says_stands(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    since = audit.now()
    model = new_model("given")
    model.apply(source=files_in_cluster.source(), resources={"requests": {"memory": "128Mi"}})
    model.ready()
    (pod,) = model.pods()
    assert asked(pod) == {"requests": 128 * MIB}
    name = pod["metadata"]["name"]
    assert not [c for c in audit.calls(since) if audit.by_verb([c]) == {RESIZE: 1} and c["objectRef"]["name"] == name]
