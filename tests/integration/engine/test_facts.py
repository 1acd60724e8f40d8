"""What a server says of itself, asked over HTTP by a real operator: told in one write, and not asked for again.

Pods are written by hand, as the kubelet would; their address is one of this machine, where a sidecar's answers wait.
"""

from __future__ import annotations

import json

import pytest

from llama_operator.api import sidecar
from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import SPEC, Place, Start
from tests.integration.engine.pod import Pod, condition, container, now, terminated
from tests.integration.engine.sidecar import Sidecar
from tests.integration.server import Object

GOOD: Object = {
    "answered": True,
    "build": "b11669-Debian",
    "contextSize": 4096,
    "slots": 1,
    "quantization": "Q4_K - Medium",
    "devices": ["/dev/nvidia0"],
}


@pytest.fixture
def operator(place: Place, start: Start) -> Operator:
    """It has a model whose Deployment its controller has taken up."""
    operator = start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    return operator


def served(place: Place, says: Sidecar, *, ready: bool = True, sha256: str = "") -> None:
    """A server runs; `ready` if the kubelet says so. `sha256`: of the model that its stager has reported."""
    status = container({"running": {"startedAt": now()}}, name="llama-server", ready=ready, started=True)
    report = json.dumps({"files": [{"role": "model", "bytes": 9, "sha256": sha256}]}) if sha256 else ""
    staged = container(terminated(0, report), name="stage", ready=True)
    up = [condition("PodScheduled", True), condition("PodReadyToStartContainers", True), condition("Ready", ready)]
    ips = {"podIP": says.address, "podIPs": [{"ip": says.address}]}
    Pod(place).write(*up, phase="Running", containerStatuses=[status], initContainerStatuses=[staged], **ips)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    generation = place.get(place.deployment)["metadata"]["generation"]
    if ready:
        place.server("PATCH", f"{place.deployment}/status", {"status": {"observedGeneration": generation, **counts}})


def argument(place: Place, flag: str) -> str:
    """Of llama-server."""
    words: list[str] = place.get(place.deployment)["spec"]["template"]["spec"]["containers"][0]["args"]
    return words[words.index(flag) + 1]


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


def test_the_file_that_it_has_open(place: Place, operator: Operator, says: Sidecar) -> None:
    says.facts = GOOD | {"model": argument(place, "--model"), "sha256": "ab" * 32}
    served(place, says, sha256="ab" * 32)

    def told() -> None:
        found = status(place)
        assert found.get("served", {}).get("sha256") == "ab" * 32
        assert found["model"]["sha256"] == "ab" * 32
        assert place.condition("Ready")["status"] == "True"

    eventually(told)


def test_another_file_than_the_one_that_was_staged(place: Place, operator: Operator, says: Sidecar) -> None:
    says.facts = GOOD | {"model": argument(place, "--model"), "sha256": "cd" * 32}
    served(place, says, sha256="ab" * 32)

    def told() -> None:
        assert place.condition("Degraded")["reason"] == "OtherModel"
        assert place.condition("Stalled")["reason"] == "OtherModel"
        assert place.condition("Ready")["status"] == "False"

    eventually(told)


def test_an_accelerator_that_is_not_used(place: Place, start: Start, says: Sidecar) -> None:
    says.facts = GOOD | {"devices": []}
    start().ready()
    place.model(SPEC | {"accelerator": {"type": "cuda"}, "image": "localhost/a:1"})
    eventually(lambda: place.condition("Ready"))
    served(place, says)

    def told() -> None:
        assert place.condition("Degraded")["reason"] == "AcceleratorUnused"
        assert place.condition("Ready")["status"] == "True"
        assert status(place)["state"] == "Degraded: AcceleratorUnused"

    eventually(told)
    assert "AcceleratorUnused" in eventually(lambda: place.reasons())


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
