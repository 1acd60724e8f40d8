"""Memory for pods whose spec names none: a real operator, with the chart's rights, asks a real API server for it.

Pods are written by hand, as the ReplicaSet's controller and the kubelet would.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import SPEC, Place, Start
from tests.integration.engine.pod import Pod, condition, container, now, terminated
from tests.integration.engine.test_refusals import account as account
from tests.integration.server import Object

MIB = 1 << 20
PARTS = {"weights": 2000, "kvCache": 500, "compute": 12, "promptCache": 512, "process": 24}
MEMORY = {name: MIB * size for name, size in PARTS.items()} | {"total": MIB * sum(PARTS.values())}
REPORT = json.dumps({"files": [{"role": "model", "bytes": 1}], "memory": MEMORY})
BOTH = {"requests": {"memory": "3048Mi"}, "limits": {"memory": "6096Mi"}}
RESIZE = ("resize", "Pod")
INFEASIBLE = "Node didn't have enough capacity: memory, requested: {}, capacity: 2125138944"


@pytest.fixture
def operator(place: Place, start: Start, account: Path) -> Operator:
    return start(account).ready()


def modelled(place: Place, operator: Operator, spec: Object = SPEC) -> None:
    place.model(spec)
    eventually(lambda: place.condition("Ready"))
    operator.settle()


def staged(pod: Pod) -> None:
    """Its stager has ended, and its server is about to be started."""
    pod.runs(container(terminated(0, REPORT), ready=True))


def runs(pod: Pod, *conditions: Object, old_node: bool = False) -> None:
    """Its server is up. A kubelet before 1.33 does not tell the resources of a container."""
    known: Object = {} if old_node else {"resources": resources(pod)}
    up = container({"running": {"startedAt": now()}}, name="llama-server", ready=True, started=True, **known)
    stage = container(terminated(0, REPORT), name="stage", ready=True)
    ready = [condition(type_, True) for type_ in ("PodScheduled", "PodReadyToStartContainers", "Ready")]
    pod.write(*ready, *conditions, phase="Running", containerStatuses=[up], initContainerStatuses=[stage])


def resources(pod: Pod) -> Object:
    (found,) = (c for c in pod.place.get(pod.path)["spec"]["containers"] if c["name"] == "llama-server")
    return dict(found["resources"])


def available(place: Place, count: int = 1) -> None:
    """What the Deployment's controller counts."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
    generation = place.get(place.deployment)["metadata"]["generation"]
    place.server("PATCH", f"{place.deployment}/status", {"status": {"observedGeneration": generation, **counts}})


def resized(*pods: Pod) -> None:
    assert [resources(pod) for pod in pods] == [BOTH] * len(pods)


def degraded(place: Place, words: str) -> None:
    found = place.condition("Degraded")
    assert found["reason"] == "MemoryNotGranted"
    assert words in found["message"]


def nothing_degraded(place: Place) -> None:
    conditions = place.get(f"{place.models}/m")["status"]["conditions"]
    assert "Degraded" not in [c["type"] for c in conditions]


def test_each_pod_is_resized_once_and_nothing_rolls(
    place: Place, start: Start, operator: Operator, account: Path
) -> None:
    modelled(place, operator, {**SPEC, "replicas": 2})
    before = place.get(place.deployment)["metadata"]
    pods = [Pod(place, name=name) for name in ("m-1", "m-2")]
    for pod in pods:
        staged(pod)
    eventually(lambda: resized(*pods))
    operator.settle()
    assert operator.writes()[RESIZE] == 2
    for pod in pods:
        runs(pod)
    available(place, 2)

    def told() -> None:
        assert place.condition("Ready")["status"] == "True"
        assert place.get(f"{place.models}/m")["status"]["memory"] == MEMORY

    eventually(told)
    operator.settle()
    assert operator.writes()[RESIZE] == 2
    after = place.get(place.deployment)["metadata"]
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
    assert [place.get(pod.path)["status"]["qosClass"] for pod in pods] == ["Burstable"] * 2
    assert operator.stop() == 0

    versions = place.versions()
    second = start(account).ready()
    second.settle(reconciles=1)
    assert not second.writes(), "a restart is no reason"
    assert place.versions() == versions
    third = Pod(place, name="m-3")
    staged(third)
    eventually(lambda: resized(third))
    second.settle()
    assert second.writes()[RESIZE] == 1
    assert not [line for line in second.lines() if "orbidden" in line]


def test_a_server_that_runs_already_is_resized_too(place: Place, operator: Operator) -> None:
    modelled(place, operator)
    pod = Pod(place)
    runs(pod)
    eventually(lambda: resized(pod))


@pytest.mark.parametrize("given", [{"limits": {"memory": "8Gi"}}, {"requests": {"memory": "1Gi"}}], ids=list)
def test_what_the_user_says_is_what_the_pod_gets(place: Place, operator: Operator, given: Object) -> None:
    modelled(place, operator, {**SPEC, "resources": given})
    pod = Pod(place)
    with operator.reconciling():
        staged(pod)
    asked = {"requests": given.get("limits", {}), **given}
    assert resources(pod) == asked, "the API server takes a limit for the request as well"
    assert operator.writes()[RESIZE] == 0


def test_a_node_that_never_has_it_is_told_once(place: Place, start: Start, operator: Operator) -> None:
    modelled(place, operator)
    pod = Pod(place)
    runs(pod)
    available(place)
    eventually(lambda: resized(pod))

    def ready() -> None:
        assert place.condition("Ready")["status"] == "True"

    eventually(ready)
    operator.settle()
    before = operator.writes()
    runs(pod, condition("PodResizePending", True, reason="Infeasible", message=INFEASIBLE.format(3196059648)))

    def told() -> None:
        degraded(place, "its node never has as much (Infeasible: Node didn't have enough capacity")
        ready = place.condition("Ready")
        assert ready["status"] == "True"
        assert "set spec.resources.requests.memory to 3048Mi" in ready["message"]

    eventually(told)
    assert "MemoryNotGranted" in eventually(place.reasons)
    operator.settle()
    assert operator.writes() - before == {("patch_status", "LlamaModel"): 1, ("create", "Event"): 1}
    so_far = operator.writes()
    with operator.reconciling():
        runs(pod, condition("PodResizePending", True, reason="Infeasible", message=INFEASIBLE.format(3196059649)))
    assert operator.writes() == so_far
    runs(pod)
    eventually(lambda: nothing_degraded(place))


def test_what_the_api_server_refuses_is_told_and_not_repeated(place: Place, operator: Operator) -> None:
    modelled(place, operator)
    pod = Pod(place)
    limits = {"limits": [{"type": "Container", "max": {"memory": "4Gi"}}]}
    place.server(
        "POST",
        f"/api/v1/namespaces/{place.namespace}/limitranges",
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": limits},
    )
    runs(pod)
    available(place)
    eventually(lambda: degraded(place, "maximum memory usage per Container is 4Gi, but limit is 6096Mi"))
    assert "change spec.resources to what the LimitRange allows" in place.condition("Degraded")["message"]
    operator.settle()
    with operator.reconciling():
        place.server("PATCH", place.service, {"metadata": {"annotations": {"some": "event"}}})
    assert operator.writes()[RESIZE] == 1
    assert "memory" not in json.dumps(resources(pod))


def test_a_node_that_is_too_old_is_told(place: Place, operator: Operator) -> None:
    modelled(place, operator)
    runs(Pod(place), old_node=True)
    available(place)
    eventually(lambda: degraded(place, "upgrade the node to Kubernetes 1.33"))


def test_a_right_that_is_missing_is_told_and_nothing_else_suffers(place: Place, start: Start, account: Path) -> None:
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}/roles/operator"
    rules = [rule for rule in place.get(role)["rules"] if "pods/resize" not in rule["resources"]]
    place.server("PATCH", role, {"rules": rules})
    operator = start(account).ready()
    modelled(place, operator)
    runs(Pod(place))
    available(place)

    def told() -> None:
        degraded(place, "grant the operator what its chart grants it")
        assert place.condition("Ready")["status"] == "True"

    eventually(told)
    operator.settle()
    assert operator.writes()[RESIZE] == 1
