"""What a server says of itself, asked over HTTP by a real operator: told in one write, and not asked for again.

Pods are written by hand, as the kubelet would; their address is one of this machine, where a sidecar's answers wait.
"""

from __future__ import annotations

import pytest

from llama_operator.api import sidecar
from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import SPEC, Place, Start
from tests.integration.engine.pod import Pod, condition, container, now
from tests.integration.engine.sidecar import Sidecar
from tests.integration.server import Object

GOOD: Object = {"answered": True, "build": "b11669-Debian", "contextSize": 4096, "slots": 1}


@pytest.fixture
def operator(place: Place, start: Start) -> Operator:
    """It has a model whose Deployment its controller has taken up."""
    operator = start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    return operator


def served(place: Place, says: Sidecar, *, ready: bool = True) -> None:
    """A server runs; `ready` if the kubelet says so."""
    status = container({"running": {"startedAt": now()}}, name="llama-server", ready=ready, started=True)
    staged = container({"terminated": {"exitCode": 0, "reason": "Completed"}}, name="stage", ready=True)
    up = [condition("PodScheduled", True), condition("PodReadyToStartContainers", True), condition("Ready", ready)]
    ips = {"podIP": says.address, "podIPs": [{"ip": says.address}]}
    Pod(place).write(*up, phase="Running", containerStatuses=[status], initContainerStatuses=[staged], **ips)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    generation = place.get(place.deployment)["metadata"]["generation"]
    if ready:
        place.server("PATCH", f"{place.deployment}/status", {"status": {"observedGeneration": generation, **counts}})


def status(place: Place) -> Object:
    found: Object = place.get(f"{place.models}/m").get("status", {})
    return found


def test_what_it_serves_is_told_once_and_never_again(
    place: Place, start: Start, operator: Operator, says: Sidecar
) -> None:
    says.facts = GOOD
    served(place, says)

    def told() -> None:
        assert status(place).get("served") == {name: value for name, value in GOOD.items() if name != "answered"}
        assert place.condition("Ready")["status"] == "True"

    eventually(told)
    operator.settle()
    assert set(says.asked) == {sidecar.FACTS_PATH}
    asked = len(says.asked)
    with operator.reconciling():
        place.server("PATCH", f"{place.models}/m", {"metadata": {"labels": {"a": "b"}}})
    assert len(says.asked) == asked
    assert operator.stop() == 0
    before = place.versions()
    second = start().ready()

    def asked_again() -> None:
        assert len(says.asked) == asked + 1

    eventually(asked_again)
    second.settle(reconciles=2)
    assert not second.writes()
    assert place.versions() == before


def test_less_than_was_asked(place: Place, operator: Operator, says: Sidecar) -> None:
    says.facts = GOOD | {"contextSize": 512, "contextTrained": 512}
    served(place, says)

    def told() -> None:
        assert place.condition("Degraded")["reason"] == "ContextSmaller"
        assert place.condition("Ready")["status"] == "True"
        assert "asked for 4096: the model was trained with no more" in place.condition("Ready")["message"]

    eventually(told)
    assert "ContextSmaller" in eventually(lambda: place.reasons())


def test_a_server_that_completes_no_request(place: Place, operator: Operator, says: Sidecar) -> None:
    says.facts = {"problem": "status 500: failed to allocate"}
    served(place, says, ready=False)

    def told() -> None:
        assert place.condition("Available")["reason"] == "NoCompletion"
        assert "failed to allocate; lower spec.engine.contextSize" in place.condition("Ready")["message"]

    eventually(told)


@pytest.mark.parametrize("said", [None, b"\x00" * 99_999, b'{"slots": 1e99}', {"build": "\x1b[2J"}], ids=str)
def test_nonsense_is_not_told(place: Place, operator: Operator, says: Sidecar, said: Object | bytes | None) -> None:
    says.facts = said
    served(place, says)

    def ready() -> None:
        assert says.asked
        assert place.condition("Ready")["status"] == "True"

    eventually(ready)
    operator.settle()
    assert "served" not in status(place)
